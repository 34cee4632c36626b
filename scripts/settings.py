"""``rallrec settings``."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from backend.settings import PREFIX, Settings, load_settings, origins
from scripts.console import out, print_json
from storage.precompute.graph import effective_tables
from storage.roles import engine_tables


def run(*, profile: str | None, as_json: bool) -> None:
    """Every setting with its value, its source and what it means."""
    settings, sources = load_settings(profile=profile), origins({"profile": profile})
    values = settings.model_dump(mode="json") | effective_tables(settings) | engine_tables(settings)
    rows = {
        name: {
            "value": values[name],
            "from": sources[name],
            "variable": f"{PREFIX}{name.upper()}",
            "meaning": field.description,
        }
        for name, field in Settings.model_fields.items()
    }
    if as_json:
        print_json(rows)
        return
    table = Table("setting", "value", "from", "meaning")
    for name, row in rows.items():
        table.add_row(*map(Text, (name, _shown(row["value"]), str(row["from"]), str(row["meaning"]))))
    out.print(table)
    out.print(
        f"Set any of them with {PREFIX}NAME in the environment, as name = value in rallrec.toml, or in a profile.",
        markup=False,
    )


def _shown(value: Any) -> str:
    """A table as lines of its entries."""
    return "\n".join(f"{name} = {entry}" for name, entry in value.items()) if isinstance(value, dict) else str(value)
