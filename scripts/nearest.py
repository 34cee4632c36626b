"""``rallrec nearest``."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from backend.settings import load_settings
from scripts.console import out, print_json, print_table, progress_bar
from storage.workspace import Workspace


def run(*, item: str, count: int, dataset: str | None, variant: str | None, as_json: bool) -> None:
    """List the items nearest to one by their vectors."""
    workspace = Workspace(load_settings(dataset=dataset))
    chosen = workspace.recipe(variant=variant).retrieval.variant
    with progress_bar() as progress:
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
    out.print(f"Nearest to {data.item_label(code)} by {chosen}:", markup=False)
    table = Table(box=None, pad_edge=False)
    for name in ("item", "title", "categories", "similarity"):
        table.add_column(name, justify="right" if name == "similarity" else "left")
    for row in rows:
        # As text objects, so that nothing in a title is taken for markup.
        cells = (row["item"], row["title"], ", ".join(row["categories"]), f"{row['similarity']:.3f}")
        table.add_row(*map(Text, cells))
    if not rows:
        out.print("None: this item has no signal in these vectors.")
        return
    print_table(table)
