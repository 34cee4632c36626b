"""The samples that are evaluated on, with what really happened: the list that ships, a file's, or a part."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.datasets import PARTS, Dataset, build_samples, bundled_source, split
from backend.errors import UsageError
from backend.seeding import digest
from storage.kept.sample_list import Sample, part_samples, read_samples
from storage.precompute.artifacts import BUNDLE
from storage.shipped import samples_file
from storage.workspace import Workspace

Float64 = NDArray[np.float64]
SHIPPED = "shipped"
# The shipped list that alpha and epsilon are chosen on, to look at.
SHIPPED_VALIDATION = "shipped-validation"


@dataclass(frozen=True)
class Choice:
    """Which samples: ``shipped`` (the part's list that ships), ``shipped-validation``, a part's name, or a file's path;
    empty: ``shipped`` where the dataset holds all of that list, else the part. ``limit``: the first so many.
    """

    what: str = ""
    limit: int | None = None

    def resolved(self, workspace: Workspace, part: str) -> Choice:
        """With nothing left open. ``part``: what these samples are for, ``test`` or ``validation``."""
        return Choice(self.what or (SHIPPED if _ships(workspace.dataset(), part) else part), self.limit)


@dataclass(frozen=True)
class Labelled:
    """Samples with what really happened. ``rows``: int64[s]; ``users``: codes; ``labels``: 0 or 1.

    ``said``: which samples they are, in words; ``options``: how ``rallrec reason`` is told of them.
    """

    samples: tuple[Sample, ...]
    rows: NDArray[np.int64]
    users: NDArray[np.int64]
    labels: Float64
    said: str = ""
    options: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, samples: Sequence[Sample], data: Dataset, said: str = "", options: str = "") -> Labelled:
        """Raises ``UsageError`` naming the line of a sample that the user never rated: nothing says what is right."""
        rows = []
        for sample in samples:
            row = data.find_row(sample.user, sample.item)
            if row is None:
                user, item = data.user_ids[sample.user], data.item_label(sample.item)
                raise UsageError(f"{sample.where}: user {user} never rated {item}", expected="samples with a rating")
            rows.append(row)
        found = np.asarray(rows, dtype=np.int64)
        users = data.user_index[found].astype(np.int64)
        return cls(tuple(samples), found, users, data.labels[found].astype(np.float64), said, options)

    def parts(self, workspace: Workspace) -> dict[str, int]:
        """How many samples are of which part of the split."""
        data = workspace.dataset()
        how = split(build_samples(data), data, workspace.settings.split)
        names = [how.name_of(int(row)) or "no sample" for row in self.rows]
        return {name: names.count(name) for name in (*PARTS, "no sample") if name in names}

    def facts(self, workspace: Workspace) -> dict[str, Any]:
        return {
            "file": self.said, "count": len(self), "users": len(np.unique(self.users)),
            "liked": int(self.labels.sum()), "parts": self.parts(workspace),
        }  # fmt: skip

    @property
    def digest(self) -> str:
        """What stands for these samples in the names of what is kept of them."""
        return digest(self.rows.tolist(), 16)


def labelled(workspace: Workspace, choice: Choice, part: str) -> Labelled:
    """The samples of a choice. Raises ``UsageError`` for a file that cannot be read, and for what is not rated."""
    data, own = workspace.dataset(), choice.resolved(workspace, part)
    limit = f" --limit {own.limit}" if own.limit else ""
    if own.what in PARTS:
        samples = part_samples(data, workspace.settings.split, own.what, own.limit)
        first = f"the first {own.limit:,} of the " if own.limit else "the whole "
        return Labelled.of(samples, data, f"{first}{own.what} part", f"--part {own.what}{limit}")
    part = "validation" if own.what == SHIPPED_VALIDATION else part
    ships = own.what in (SHIPPED, SHIPPED_VALIDATION)
    file = samples_file(BUNDLE, part) if ships else Path(own.what)
    samples = read_samples(file, data)[: own.limit]
    said = f"the {'first ' if own.limit else ''}{len(samples):,} {part} samples that ship" if ships else str(file)
    return Labelled.of(samples, data, said, f"--samples {shlex.quote(str(file))}")


def _ships(data: Dataset, part: str) -> bool:
    """Whether the list that ships is of this data."""
    if bundled_source(data.meta.name) is None:
        return False
    try:
        return bool(read_samples(samples_file(BUNDLE, part), data))
    except UsageError:
        return False


def check_apart(test: Labelled, validation: Labelled) -> None:
    """Raise ``UsageError`` where a sample is in both lists: weights chosen on it would be scored on it."""
    both = np.intersect1d(test.rows, validation.rows)
    if len(both):
        where = test.samples[int(np.flatnonzero(test.rows == both[0])[0])].where
        raise UsageError(
            f"{len(both)} samples are in both lists; the first is {where}",
            expected="validation samples that are not scored",
            fix="take them out of one list",
        )
