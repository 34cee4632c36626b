"""A search box over the server's lists: type, see at most 50 matches, choose by mouse or keyboard.

Gradio's own dropdown holds every choice in the page and copies them at every event (40 ms a slider move for 2,000
titles), and mixes up rows when its choices follow what is typed. Here the page never holds more than it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.shared.templating import asset
from backend.errors import UsageError

_SCRIPT = asset("shared/picker.js")
# Nothing from outside goes through the template: Gradio evaluates ``${}`` in what it has filled in. The script sets the
# value as a property.
_TEMPLATE = """
<div class="picker">
  <label for="{id}-input">{label}</label>
  <input id="{id}-input" type="text" role="combobox" aria-expanded="false" aria-autocomplete="list"
    aria-controls="{id}-list" autocomplete="off" spellcheck="false">
  <ul id="{id}-list" role="listbox" aria-label="{label}" hidden></ul>
</div>
"""


def join_within(dataset: str, user: str) -> str:
    """``within`` of a search for a user's items in a dataset (empty: that of the settings)."""
    return f"{dataset}\n{user}" if dataset else user


def split_within(within: str) -> tuple[str, str]:
    """The dataset and the user of :func:`join_within`."""
    dataset, _, user = within.rpartition("\n")
    return dataset, user


def picker(elem_id: str, label: str, find: Callable[[str, str], list[tuple[str, str]]], **layout: Any) -> gr.HTML:
    """A box whose ``select`` event carries ``id``. ``find(text, within)`` gives (what to show, id) pairs.

    Its value is what it shows; ``within`` is a property that every search is told (such as the present user).
    """

    def search(query: Any) -> list[list[str]]:
        # Anybody can send anything here: what is no search finds nothing.
        given = query if isinstance(query, dict) else {}
        text, within = (str(given.get(name) or "") for name in ("text", "within"))
        try:
            return [[shown, identifier] for shown, identifier in find(text.strip(), within)]
        except UsageError:
            return []

    return gr.HTML(
        "",
        html_template=_TEMPLATE.format(id=elem_id, label=label),
        js_on_load=_SCRIPT,
        server_functions=[search],
        within="",
        elem_id=elem_id,
        elem_classes="panel",
        apply_default_css=False,
        **layout,
    )
