"""``rallrec precompute``, the commands of its single stages, ``tune``, and what is read out of item vectors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from backend.errors import UnknownNameError
from scripts.console import checked_out, note, open_workspace, print_json, print_table, progress_bar, say
from scripts.options import Beta, DatasetName, DryRun, Gamma, Json, ProfileName, Strategy, Variant

if TYPE_CHECKING:
    from storage.precompute.plan import Planned

# Kept here in words, so that help needs no more than this module; a test compares it with the graph of stages.
STAGES = {
    "describe": "Let the model describe the items (equation 1)",
    "embed": "Turn item titles and descriptions into vectors (equation 2)",
    "collaborative": "Learn item vectors from interactions (equation 4)",
    "align": "Align text with collaborative vectors (equation 5)",
    "mix": "Put all item vectors side by side (equation 7)",
    "index": "Index the item vectors for nearest-item search",
    "compare": "Compare variants and strategies of retrieval on the validation part",
    "map": "Lay the items out on a flat map",
    "baselines": "Train DeepFM, xDeepFM, DCN and AutoInt, the ID-based systems of Table 4, and Boosting",
}
_STATES = {"shipped": "shipped with the program", "missing": "to be made"}


def precompute(
    dataset: DatasetName = None,
    until: Annotated[str | None, typer.Option(help=f"The last stage: {', '.join(STAGES)} (default: all).")] = None,
    fresh: Annotated[
        list[str] | None, typer.Option(help="A stage to make anew, also if nothing changed (can be repeated).")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make what the app reads: descriptions, vectors, indexes. Runs only what is missing; resumes when interrupted."""
    _make(until, fresh or [], dry_run, as_json, dataset=dataset)


def add_stages(app: typer.Typer) -> None:
    """Add ``rallrec STAGE`` to the commands for every stage: it is ``precompute --until STAGE``."""
    for stage, help_text in STAGES.items():
        app.command(stage, help=f"{help_text}.", epilog=f"Example: rallrec {stage} --dry-run")(_stage_command(stage))


def _stage_command(stage: str) -> Any:
    def command(
        dataset: DatasetName = None,
        fresh: Annotated[bool, typer.Option("--fresh", help="Make this stage anew, also if nothing changed.")] = False,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        _make(stage, [stage] if fresh else [], dry_run, as_json, dataset=dataset)

    return command


def tune(
    recipe: Annotated[
        str,
        typer.Option(help="M_G: rallrec, rella (by text), hybrid (Hybrid-Score), recent (Fig. 8); M_R: reasoner."),
    ] = "rallrec",
    dataset: DatasetName = None,
    profile: ProfileName = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Tune anew, also if nothing changed.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Tune a LoRA adapter on the training part (section 4.2.5). Resumes when interrupted."""
    from backend.training.config import RECIPES

    if recipe not in RECIPES:
        raise UnknownNameError("recipe of tuning", recipe, RECIPES)
    stage = f"tune-{recipe}"
    _make(stage, [stage] if fresh else [], dry_run, as_json, dataset=dataset, profile=profile)


def _make(until: str | None, fresh: list[str], dry_run: bool, as_json: bool, **given: Any) -> None:
    """Make what is missing of a dataset's artifacts, or say what would be made."""
    with open_workspace(**given) as workspace, progress_bar() as progress:
        work = workspace.precompute(workspace.dataset(progress=progress).meta.name)
        plan = work.plan(until, fresh)
        made = set() if dry_run else {item.node.stage.kind for item in plan if item.will_run}
        if not dry_run:
            work.run(
                until, fresh, progress,
                on_done=lambda artifact: note(f"made {artifact.meta['kind']} in {artifact.meta['seconds']:,.1f} s"),
            )  # fmt: skip
            plan = work.plan(until)
        rows = [_row(item, item.node.stage.kind in made) for item in plan]
    if as_json:
        print_json({"dataset": workspace.settings.dataset, "dry_run": dry_run, "artifacts": rows})
        return
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "artifact", "state", "seconds", "MB", "would run because" if dry_run else "why"):
        table.add_column(name, justify="right" if name in ("seconds", "MB") else "left")
    for row in rows:
        seconds = "" if row["seconds"] is None else f"{row['seconds']:,.1f}"
        size = "" if row["bytes"] is None else f"{row['bytes'] / 1e6:,.1f}"
        why = row["why"] if not dry_run or row["folder"] is None else f"(does not run: {row['why']})"
        cells = (row["stage"], row["artifact"], _STATES.get(row["state"], row["state"]), seconds, size, why)
        table.add_row(*map(Text, cells))  # as text: nothing in it is markup
    print_table(table)


def _row(item: Planned, made_now: bool) -> dict[str, Any]:
    stage, artifact = item.node.stage, item.artifact
    return {
        "stage": stage.name,
        "artifact": stage.kind,
        "state": item.state,
        "why": "made now" if made_now else item.why,
        "folder": str(artifact.folder) if artifact else None,
        "seconds": artifact.meta.get("seconds") if artifact else None,
        "bytes": artifact.bytes if artifact else None,
        "facts": artifact.meta if artifact else None,
    }


def retrieve(
    out: Annotated[str, typer.Option(help="Parquet file to write.")],
    dataset: DatasetName = None,
    part: Annotated[str, typer.Option(help="Samples of this part: train, validation or test.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many samples, the earliest ones.")] = None,
    variant: Variant = None,
    strategy: Strategy = None,
    gamma: Gamma = None,
    beta: Beta = None,
    k: Annotated[int | None, typer.Option(help="Past items per sample.")] = None,
    as_json: Json = False,
) -> None:
    """Retrieve and rerank the histories of a whole part of the samples at once."""
    from backend.datasets import build_samples, split
    from backend.retrieval import write_retrieval

    path = checked_out(out, "give another --out")
    with open_workspace(dataset=dataset) as workspace, progress_bar() as progress:
        config = workspace.recipe(variant=variant, strategy=strategy, gamma=gamma, beta=beta, k=k).retrieval
        data = workspace.dataset(progress=progress)
        rows = split(build_samples(data), data, workspace.settings.split).part(part)[:limit]
        space = workspace.space(progress=progress)
        started = time.perf_counter()
        lines = write_retrieval(path, space, data, rows, config, progress)
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "file": str(path), "dataset": data.meta.name, "part": part, "samples": len(rows), "lines": lines,
                "seconds": round(seconds, 3), "retrieval": config.model_dump(),
            }
        )  # fmt: skip
        return
    say(f"{lines:,} past items of {len(rows):,} {part} samples in {seconds:.1f} s: {path}")


def nearest(
    item: Annotated[str, typer.Option(help="Item id.")],
    count: Annotated[int, typer.Option(min=1, help="How many items.")] = 10,
    dataset: DatasetName = None,
    variant: Variant = None,
    as_json: Json = False,
) -> None:
    """List the items whose vectors are nearest to an item's."""
    with open_workspace(dataset=dataset) as workspace, progress_bar() as progress:
        chosen = workspace.recipe(variant=variant).retrieval.variant
        data = workspace.dataset(progress=progress)
        code = data.item_code(item)
        codes, similarities = workspace.nearest(code, count, chosen)
    rows = [
        {
            "item": data.item_ids[near],
            "title": data.item_label(near),
            "categories": list(data.categories[near]),
            "similarity": round(similarity, 6),
        }
        for near, similarity in zip(codes.tolist(), similarities.tolist(), strict=True)
    ]
    if as_json:
        print_json({"item": item, "title": data.item_label(code), "variant": chosen, "nearest": rows})
        return
    say(f"Nearest to {data.item_label(code)} by {chosen}:")
    if not rows:
        say("None: this item has no signal in these vectors.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("item", "title", "categories", "similarity"):
        table.add_column(name, justify="right" if name == "similarity" else "left")
    for row in rows:
        cells = (row["item"], row["title"], ", ".join(row["categories"]), f"{row['similarity']:.3f}")
        table.add_row(*map(Text, cells))  # as text: nothing in a title is markup
    print_table(table)
