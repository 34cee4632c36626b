"""The fixed sentence about an item whose embedding is e_title (section 4.2.1)."""

from __future__ import annotations

from collections.abc import Sequence

# Part of an artifact's recipe: vectors made with another wording are other vectors.
TITLE_TEMPLATE = "The {noun} is called {label}. Its genres are {categories}."
NO_CATEGORY = "unknown"


def title_texts(noun: str, labels: Sequence[str], categories: Sequence[Sequence[str]]) -> list[str]:
    """One sentence per item, from its title with year and its categories."""
    return [
        TITLE_TEMPLATE.format(noun=noun, label=label, categories=", ".join(own) or NO_CATEGORY)
        for label, own in zip(labels, categories, strict=True)
    ]
