"""The fixed sentence about an item whose embedding is e_title (section 4.2.1)."""

from __future__ import annotations

from collections.abc import Sequence

from backend.datasets.rules import fill
from backend.datasets.schema import DatasetMeta

# Part of an artifact's recipe: vectors made with another wording are other vectors.
TITLE_TEMPLATE = "The {noun} is called {label}. Its genres are {categories}."
TEMPLATES = {
    "books": "The {noun} is called {label}. It was written by {categories}.",
    "general": "The {noun} is called {label}. It belongs to {categories}.",
}
NO_CATEGORY = "unknown"


def title_template(meta: DatasetMeta) -> str:
    """The dataset's own sentence, or that of its domain."""
    return meta.templates.title or TEMPLATES.get(meta.domain, TITLE_TEMPLATE)


def title_texts(meta: DatasetMeta, labels: Sequence[str], categories: Sequence[Sequence[str]]) -> list[str]:
    """One sentence per item, from its title with year and its categories."""
    template = title_template(meta)
    return [
        fill(template, {"noun": meta.item_noun, "label": label, "categories": ", ".join(names) or NO_CATEGORY})
        for label, names in zip(labels, categories, strict=True)
    ]
