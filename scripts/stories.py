"""``rallrec stories``: walkthroughs found in the results that ship. Runs no model."""

from __future__ import annotations

from contextlib import closing
from itertools import product
from pathlib import Path

from backend.batch import unasked_predictions
from backend.errors import UsageError
from backend.pipeline import Prediction
from backend.settings import load_settings
from backend.stories import Story, Told, find_stories
from backend.stories.finder import RECENT, RELEVANT, USUAL
from backend.types import Progress
from scripts.console import checked_out, log, out, print_json, progress_bar
from storage.evaluation.ways import KNOWLEDGE
from storage.kept.sample_list import read_samples
from storage.kept.stories import write_stories
from storage.precompute.artifacts import BUNDLE
from storage.results.lookup import look_up
from storage.shipped import samples_file
from storage.workspace import Workspace


def run(*, samples: str | None, out_file: str | None, as_json: bool) -> None:
    """Find a story of each kind among the samples. Raises ``UsageError`` where nothing of them is cached."""
    path = checked_out(out_file, "give another --out") if out_file is not None else None
    with closing(Workspace(load_settings())) as workspace, progress_bar() as progress:
        found = find(workspace, Path(samples) if samples else samples_file(BUNDLE, "test"), progress)
    if not found:
        raise UsageError(
            "No story was found: none of these samples has the results that stories are told about",
            expected="answers and chains for gamma 1/2, 2/3 and 4/5, with and without injected knowledge",
            fix="rallrec reason --gamma 0.5 --gamma 0.6667 --gamma 0.8 --knowledge none --knowledge paper",
        )
    if path:
        write_stories(path, found)
    if as_json:
        print_json({key: story.model_dump(mode="json") for key, story in found.items()})
        return
    for story in found.values():
        out.print(f"{story.title}. {story.about}", markup=False)
        for number, step in enumerate(story.steps, start=1):
            out.print(f"  {number}. {step.sentence}\n     {step.view}", markup=False)
    if path:
        log.print(f"Written: {path}", markup=False)


def find(workspace: Workspace, samples: Path, progress: Progress) -> dict[str, Story]:
    """The stories that the cached results of a list of samples tell, by kind."""
    pipeline, data = workspace.pipeline(), workspace.dataset()
    recipes = [
        workspace.recipe(gamma=gamma, knowledge=wording)
        for gamma, wording in product((USUAL, RECENT, RELEVANT), KNOWLEDGE)
    ]
    told = []
    listed = read_samples(samples, data)
    for number, sample in enumerate(listed):
        progress("looking for stories", number / len(listed))
        asked = unasked_predictions(pipeline, [(sample.user, sample.item)], recipes)
        known = [look_up(pipeline, own.question, own.recipe) for own in asked]
        by: dict[tuple[float, str], Prediction] = {
            (own.recipe.retrieval.gamma, own.recipe.prompting.knowledge): own for own in known if own.complete
        }
        label = known[0].question.label
        if by and label is not None:
            title = data.item_label(sample.item)
            told.append(Told(data.user_ids[sample.user], data.item_ids[sample.item], title, label, by))
    return find_stories(told)
