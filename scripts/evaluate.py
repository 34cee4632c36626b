"""``rallrec evaluate``: what every system reaches on a list of samples, and how readable and grounded the chains are.

From cached results alone: no model runs. What is not cached for every sample is named, with what to run, and not
scored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

from backend.evaluation.tables import Scored
from backend.settings import load_settings
from backend.types import Progress
from scripts.console import print_json, progress_bar
from scripts.evaluate_tables import show
from storage.evaluation.labelled import Choice, check_apart, labelled
from storage.evaluation.looked_up import Looking
from storage.evaluation.report import report
from storage.evaluation.scored import score_all
from storage.evaluation.systems import Evaluated, evaluate
from storage.evaluation.ways import own_adapter
from storage.workspace import Workspace


@dataclass(frozen=True)
class Asked:
    """The options that ``evaluate`` and ``report`` share. ``samples`` and ``validation``: a CSV file, or nothing;
    ``part``: a part of the split, instead of ``samples``.
    """

    samples: str | None = None
    part: str | None = None
    limit: int | None = None
    validation: str | None = None
    gamma: float | None = None
    dataset: str | None = None
    profile: str | None = None
    engine: str | None = None


def run(asked: Asked, *, as_json: bool) -> None:
    """Score what is cached. Raises ``UsageError`` for lists that cannot be scored."""
    started = time.perf_counter()
    with evaluated(asked) as (workspace, own, scored, _):
        found = report(workspace, own, scored)
    found["seconds"] = round(time.perf_counter() - started, 3)
    if as_json:
        print_json(found)
    else:
        show(found)


@contextmanager
def evaluated(asked: Asked) -> Iterator[tuple[Workspace, Evaluated, Mapping[str, Scored], Progress]]:
    """The workspace with M_G as RALLRec tunes it, what is known of the systems, and what each reaches."""
    given = {"dataset": asked.dataset, "profile": asked.profile, "engine": asked.engine}
    adapter = own_adapter(load_settings(**given))
    settings = load_settings(**given, tuned_adapter=adapter)
    with closing(Workspace(settings)) as workspace, progress_bar() as progress:
        test = labelled(workspace, Choice(asked.samples or asked.part or "", asked.limit), "test")
        held_out = labelled(workspace, Choice(asked.validation or ""), "validation")
        check_apart(test, held_out)
        own = evaluate(workspace, test, held_out, asked.gamma, Looking(progress))
        scored = score_all(settings.home / "evaluated", test, own.all, Looking(progress))
        yield workspace, own, scored, progress
