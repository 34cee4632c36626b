"""The one genre of each item that drawings colour it by: the same colours on the item map and on a user's timeline."""

from __future__ import annotations

from collections import Counter

from backend.datasets import Dataset

# More genres than this cannot be told apart by colour; the rest shares one.
GENRES = 9
OTHER = "other"


def first_genres(data: Dataset) -> tuple[list[int], list[str]]:
    """Returns, by item code, the place of its first category in a second list: the most common ones, then all
    others."""
    first = [names[0] if names else OTHER for names in data.categories]
    common = [name for name, _ in Counter(name for name in first if name != OTHER).most_common(GENRES)]
    place = {name: number for number, name in enumerate(common)}
    return [place.get(name, len(common)) for name in first], [*common, OTHER]
