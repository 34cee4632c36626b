"""The items' mixed vectors (eq. 7), their parts kept apart, so that every variant of Table 6 is a view of one array.

The parts lie side by side: text, collaborative, aligned. A dot product over some columns is the sum of those parts'
cosines, which is what the variants compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.errors import UnknownNameError, UsageError

PARTS = ("text", "collaborative", "aligned")
# Which parts each variant of Table 6 compares; they lie next to each other.
VARIANT_PARTS: dict[str, tuple[str, ...]] = {
    "text": PARTS[:1],
    "id": PARTS[1:2],
    "concat": PARTS[:2],
    "concat+ssl": PARTS,
}
VARIANTS = tuple(VARIANT_PARTS)


@dataclass(frozen=True, eq=False)
class ItemSpace:
    """``rows``: [items, sum of widths], float32; each part's row has length 1, or 0 for an item without that signal.

    ``widths``: columns of each part, in the order of :data:`PARTS`. ``rows`` may be a memory map. Raises ``UsageError``
    where they do not fit.
    """

    rows: NDArray[np.float32]
    widths: Mapping[str, int]

    def __post_init__(self) -> None:
        if tuple(self.widths) != PARTS or self.rows.ndim != 2 or sum(self.widths.values()) != self.rows.shape[1]:
            raise UsageError(
                f"Rows of shape {self.rows.shape} do not hold parts of widths {dict(self.widths)}",
                expected=f"a width for each of {', '.join(PARTS)}, that add up to the rows' width",
            )

    def __len__(self) -> int:
        return len(self.rows)

    def variant(self, name: str) -> NDArray[np.float32]:
        """A view [items, d] of the columns that a variant of Table 6 compares. Raises ``UnknownNameError``."""
        if name not in VARIANT_PARTS:
            raise UnknownNameError("embedding variant", name, VARIANTS)
        parts = VARIANT_PARTS[name]
        return self.rows[:, self.columns(parts[0]).start : self.columns(parts[-1]).stop]

    def columns(self, part: str) -> slice:
        """Where a part lies. Raises ``UnknownNameError``."""
        if part not in PARTS:
            raise UnknownNameError("part of the item vectors", part, PARTS)
        start = sum(self.widths[name] for name in PARTS[: PARTS.index(part)])
        return slice(start, start + self.widths[part])
