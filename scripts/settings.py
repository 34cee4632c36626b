"""``rallrec settings``."""

from __future__ import annotations

from rich.table import Table

from backend.settings import PREFIX, Settings, load_settings, origins
from scripts.console import out, print_json


def run(*, as_json: bool) -> None:
    """Every setting with its value, its source and what it means."""
    settings, sources = load_settings(), origins()
    rows = {
        name: {
            "value": value,
            "from": sources[name],
            "variable": f"{PREFIX}{name.upper()}",
            "meaning": field.description,
        }
        for (name, field), value in zip(
            Settings.model_fields.items(), settings.model_dump(mode="json").values(), strict=True
        )
    }
    if as_json:
        print_json(rows)
        return
    table = Table("setting", "value", "from", "meaning")
    for name, row in rows.items():
        table.add_row(name, str(row["value"]), str(row["from"]), str(row["meaning"]))
    out.print(table)
    out.print(
        f"Set any of them with {PREFIX}NAME in the environment, or as name = value in rallrec.toml.", markup=False
    )
