"""The samples that are evaluated on, with what really happened: a list that ships, a file's, or a part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.datasets import PARTS, Dataset, build_samples, bundled_source, split
from backend.errors import UsageError
from backend.evaluation.paper.systems import LabelledSamples
from storage.kept.sample_list import Sample, part_samples, read_samples
from storage.precompute.artifacts import BUNDLE
from storage.shipped import samples_file
from storage.workspace import Workspace

SHIPPED = "shipped"
# The shipped list that alpha and epsilon are chosen on, to look at.
SHIPPED_VALIDATION = "shipped-validation"


@dataclass(frozen=True)
class SampleChoice:
    """Names a list of samples: ``shipped`` (the part's list that ships), ``shipped-validation``, a part's name, or a
    file's path; empty: ``shipped`` where the dataset holds all of that list, else the part. ``limit``: only the first
    so many.
    """

    what: str = ""
    limit: int | None = None

    def resolved(self, workspace: Workspace, part: str) -> SampleChoice:
        """The same with ``what`` decided. ``part``: what these samples are for, ``test`` or ``validation``."""
        return SampleChoice(self.what or (SHIPPED if _ships(workspace.dataset(), part) else part), self.limit)


def labelled(workspace: Workspace, choice: SampleChoice, part: str) -> LabelledSamples:
    """The samples of a choice. Raises ``UsageError`` for a file that cannot be read, and for what is not rated."""
    data, choice = workspace.dataset(), choice.resolved(workspace, part)
    limit = ("--limit", str(choice.limit)) if choice.limit else ()
    if choice.what in PARTS:
        samples = part_samples(data, workspace.settings.split, choice.what, choice.limit)
        first = f"the first {choice.limit:,} of the " if choice.limit else "the whole "
        return _with_labels(samples, data, f"{first}{choice.what} part", ("--part", choice.what, *limit))
    part = "validation" if choice.what == SHIPPED_VALIDATION else part
    ships = choice.what in (SHIPPED, SHIPPED_VALIDATION)
    file = samples_file(BUNDLE, part) if ships else Path(choice.what)
    samples = read_samples(file, data)[: choice.limit]
    said = f"the {'first ' if choice.limit else ''}{len(samples):,} {part} samples that ship" if ships else str(file)
    return _with_labels(samples, data, said, ("--samples", str(file)))


def sample_facts(workspace: Workspace, samples: LabelledSamples) -> dict[str, Any]:
    """How many samples there are, of how many users, how many were liked, and how many are of which part."""
    data = workspace.dataset()
    how = split(build_samples(data), data, workspace.settings.split)
    names = [how.name_of(int(row)) or "no sample" for row in samples.rows]
    return {
        "file": samples.said, "count": len(samples), "users": len(np.unique(samples.users)),
        "liked": int(samples.labels.sum()),
        "parts": {name: names.count(name) for name in (*PARTS, "no sample") if name in names},
    }  # fmt: skip


def _with_labels(samples: Sequence[Sample], data: Dataset, said: str, options: tuple[str, ...]) -> LabelledSamples:
    """Raises ``UsageError`` naming the line of a sample that the user never rated: nothing says what is right."""
    rows = []
    for sample in samples:
        row = data.find_row(sample.user, sample.item)
        if row is None:
            user, item = data.user_ids[sample.user], data.item_label(sample.item)
            raise UsageError(f"{sample.where}: user {user} never rated {item}", expected="samples with a rating")
        rows.append(row)
    places = np.asarray(rows, dtype=np.int64)
    return LabelledSamples(
        places, data.user_index[places].astype(np.int64), data.item_index[places].astype(np.int64),
        data.labels[places].astype(np.float64), [sample.where for sample in samples], said, options,
    )  # fmt: skip


def _ships(data: Dataset, part: str) -> bool:
    """Whether the dataset holds all samples of the list that ships."""
    if bundled_source(data.meta.name) is None:
        return False
    try:
        return bool(read_samples(samples_file(BUNDLE, part), data))
    except UsageError:
        return False


def check_apart(test: LabelledSamples, validation: LabelledSamples) -> None:
    """Raise ``UsageError`` where a sample is in both lists: weights chosen on it would be scored on it."""
    both = np.intersect1d(test.rows, validation.rows)
    if len(both):
        where = test.where[int(np.flatnonzero(test.rows == both[0])[0])]
        raise UsageError(
            f"{len(both)} samples are in both lists; the first is {where}",
            expected="validation samples that are not scored",
            fix="take them out of one list",
        )
