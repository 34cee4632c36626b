"""The job ``reason``: ask both models about many samples, as ``rallrec reason`` does."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from backend.knobs import KNOBS
from backend.types import Stop
from storage.jobs.kind import JobReport, PlayedParams, Tell, TimedTeller, samples_in_words

if TYPE_CHECKING:
    from storage.workspace import Workspace


class ReasonParams(PlayedParams):
    """``samples``: the list that ships, or the earliest ``limit`` of a part. Each sample is asked under each of
    ``gammas`` with each of ``knowledge``, for ``traces`` chains (0: the tuned model alone). ``choices``: other
    choices of the recipe, by name; they are not written where there are none, so that jobs of before are the same.
    """

    kind: ClassVar[str] = "reason"

    samples: Literal["shipped", "train", "validation", "test"]
    limit: int | None = Field(None, ge=1)
    gammas: tuple[float, ...] = Field(min_length=1)
    knowledge: tuple[str, ...] = Field(min_length=1)
    traces: int = Field(ge=0, le=64)
    choices: dict[str, str | int | float] = Field({}, exclude_if=lambda choices: not choices)

    @property
    def title(self) -> str:
        chains = f"{self.traces} chain{'s' * (self.traces != 1)}" if self.traces else "answers only"
        more = "".join(f", {KNOBS[name].short} {value}" for name, value in self.choices.items() if name in KNOBS)
        gammas = ", ".join(f"{gamma:.3g}" for gamma in self.gammas)
        some = samples_in_words(self.samples, self.limit)
        return f"reason about {some}, gamma {gammas}, knowledge {', '.join(self.knowledge)}, {chains}{more}"

    def check(self, workspace: Workspace) -> None:
        for gamma, wording in product(self.gammas, self.knowledge):
            workspace.recipe(gamma=gamma, knowledge=wording, traces=self.traces, **self.choices)

    def perform(self, workspace: Workspace, tell: Tell, stop: Stop) -> None:
        """The report counts the results of the kind in hand. Raises ``EngineError`` where prompts failed, after all
        others were asked.
        """
        from backend.batch import Batch, BatchListener, Count
        from storage.jobs.work import counted, kept, raise_failures, recalled
        from storage.kept.sample_list import part_samples, read_samples
        from storage.precompute.artifacts import BUNDLE
        from storage.shipped import samples_file

        workspace = self.workspace_of(workspace)
        data = workspace.dataset()
        if self.samples == "shipped":
            samples = read_samples(samples_file(BUNDLE, "test"), data)[: self.limit]
        else:
            samples = part_samples(data, workspace.settings.split, self.samples, self.limit)
        recipes = [
            workspace.recipe(gamma=gamma, knowledge=wording, traces=self.traces, **self.choices)
            for gamma, wording in product(self.gammas, self.knowledge)
        ]
        pipeline, teller = workspace.pipeline(), TimedTeller(tell)

        def count(now: Count) -> None:
            if now.wanted != now.known:
                left = now.seconds_left if now.left else None
                teller.say(JobReport(counted(now), now.fraction, now.known + now.made, now.wanted), left)

        batch = Batch(pipeline, recalled(pipeline, samples, recipes, teller.stage, stop))
        try:
            batch.run(BatchListener(teller.stage, count), stop)
        finally:
            counts = [batch.answers, batch.chains]
            finished, total = sum(one.known + one.made for one in counts), sum(one.wanted for one in counts)
            tell(JobReport(f"{kept(batch)} are there", finished / total if total else None, finished, total))
        raise_failures(batch, samples, recipes, "resume the job")
