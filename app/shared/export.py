"""Views as files, ``/export/<view>.html`` and ``.json`` (``.csv`` for rows), by their page's own query.

What a screen exports is in its ``export`` module; here is the one way to make a file of it. The page in a file asks for
nothing: it opens from a disk, in light and dark, and prints.
"""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from html import escape
from html.parser import HTMLParser
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from markupsafe import Markup

from app.shared.controls import in_words
from app.shared.errors import HEADERS, problem
from app.shared.frame import Players, notice
from app.shared.templating import asset, render, significant
from backend.datasets import DatasetMeta
from backend.engines import makes_up_answers
from backend.evaluation.drawing import styles as exhibit_styles
from backend.pipeline import Recipe

# A page that was saved asks for nothing, whatever a title holds.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
# (its id in the page, heading or nothing, markup)
Section = tuple[str, str, Markup]
Facts = list[tuple[str, object]]
_TYPES = {"html": "text/html", "json": "application/json", "csv": "text/csv"}
# A spreadsheet takes text that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_DARK = re.compile(r"\.dark ([^{}]*)\{([^{}]*)\}")


@dataclass(frozen=True)
class Exported:
    """One view on its way into a file. ``name``: of the file, without its ending; ``record``: what JSON is made of,
    without NaN; ``page``: the whole document, given when it was made, in words; ``table``: the record is a list of rows
    that a spreadsheet can read, too.
    """

    name: str
    record: Callable[[], Any]
    page: Callable[[str], str]
    table: bool = False


def add_export(app: FastAPI, view: str, export: Callable[[Request], Exported]) -> None:
    """Serves a view as files. ``export`` reads the page's query and raises ``UsageError`` for a wrong one."""

    @app.get(f"/export/{view}.{{ending}}")
    def file(ending: str, request: Request) -> Response:
        if ending not in _TYPES:
            return problem(f"There is no .{ending[:10]} of it", 404)
        exported = export(request)
        if ending == "html":
            text = exported.page(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))
        elif ending == "json":
            text = json.dumps(exported.record(), indent=2, ensure_ascii=False, allow_nan=False)
        elif exported.table:
            text = csv_of(exported.record())
        else:
            return problem("There is no .csv of it", 404)
        headers = HEADERS | {"Content-Disposition": f'attachment; filename="{exported.name}.{ending}"'}
        policy = {"Content-Security-Policy": POLICY} if ending == "html" else {}
        return Response(text, media_type=_TYPES[ending], headers=headers | policy)


def csv_of(records: Sequence[Mapping[str, Any]]) -> str:
    """Writes a header and a line for each record; what is not known is empty, and no cell is a formula."""

    def cell(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    written = io.StringIO()
    names = dict.fromkeys(name for record in records for name in record)
    writer = csv.DictWriter(written, list(names), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in record.items()} for record in records)
    return written.getvalue()


def safe_name(*parts: str) -> str:
    """Makes a file name of letters, digits and hyphens, whatever the parts hold."""
    said = (re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in ("rallrec", *parts))
    return "-".join(filter(None, said))[:120]


def document(
    title: str,
    about: str,
    sections: Sequence[Section],
    facts: Facts,
    *,
    address: str,
    made: str,
    players: Players,
    meta: DatasetMeta | None = None,
    complete: bool = True,
    styles: tuple[str, ...] = (),
) -> str:
    """The whole page around a view. ``about``: what it is, in a few words; ``facts``: how it was made, by name;
    ``address``: of the view; ``made``: when it was exported; ``meta``: of the data, where it is about one dataset;
    ``players``: who answers, which a reader must know first; ``styles``: further style sheets of the app.
    """
    data = [("data", f"{meta.title}: {meta.licence}")] if meta else []
    order_note = meta.order_note if meta else ""
    return render(
        "shared/export.html",
        styles=_styles(styles),
        title=title,
        about=about,
        dataset=meta.title if meta else "",
        notice=Markup(notice(players.cast, players.tuned, players.reasoning, order_note=order_note)),
        complete=complete,
        sections=sections,
        facts=[*facts, ("address", address), ("exported", made), *data],
    )


def recipe_facts(recipe: Recipe) -> Facts:
    """Says in words which choices a prediction was made with."""
    sampling = recipe.reasoning.sampling
    chains = (
        f"{recipe.reasoning.traces} of at most {sampling.max_tokens} tokens, temperature "
        f"{significant(sampling.temperature)}, top-p {significant(sampling.top_p)}, seed {sampling.seed}"
    )
    facts = {
        "retrieval": in_words(recipe, "retrieval"),
        "knowledge": recipe.prompting.knowledge,
        "prompt": in_words(recipe, "prompting", leave=["knowledge"]),
        "chains": chains,
        "sampling": in_words(recipe, "reasoning", leave=["traces", *asdict(sampling)]),
        "merge": in_words(recipe, "merging"),
    }
    return [(name, said) for name, said in facts.items() if said]


def model_facts(models: Mapping[str, Mapping[str, Any]]) -> Facts:
    """Says which model played which role, and all that its results depend on."""

    def said(model: Mapping[str, Any]) -> str:
        known = model.get("precision") or model.get("server") or makes_up_answers(str(model.get("name")))
        words = [f"{key} {value}" for key, value in model.items() if value is not None]
        return ", ".join(words if known else [*words, "precision unknown"])

    return [(f"{role} model", said(model)) for role, model in models.items()]


def still(html: str) -> Markup:
    """Markup of our own templates without controls and what is marked ``data-control``; folds are open.

    A link becomes its words; one to a place in the same page stays. Of a ``nav``, which chooses what is shown, only the
    present choice is left. All text is escaped anew.
    """
    reader = _Still()
    reader.feed(html)
    reader.close()
    return Markup("".join(reader.parts))


@cache
def _styles(more: tuple[str, ...]) -> Markup:
    """Returns the app's own styles. What a class makes dark there, the reader's choice makes dark here, and never on
    paper."""
    names = ("shared/base.css", "predict/page.css", *more, "shared/export.css")
    css = "\n".join((*(asset(name) for name in names), exhibit_styles() if more else ""))
    return Markup(
        _DARK.sub(
            lambda rule: (
                f"@media screen and (prefers-color-scheme: dark) {{ {rule[1].strip() or ':root'} {{{rule[2]}}} }}"
            ),
            css,
        )
    )


# Nothing happens when these are used where there is no app.
_CONTROLS = frozenset({"button", "input", "select", "textarea", "label", "search", "form", "script", "style", "iframe"})
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})
_DROPPED = frozenset({"href", "target", "download", "aria-current", "aria-live", "data-go", "data-key"})


class _Still(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        # Of each element that is open: its tag, and the end tag to write; None: it is left out with all that is inside.
        self._open: list[tuple[str, str | None]] = []

    @property
    def _left_out(self) -> bool:
        return bool(self._open) and self._open[-1][1] is None

    def _inside(self, tag: str) -> bool:
        return any(name == tag for name, _ in self._open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        other_choice = tag == "a" and self._inside("nav") and "aria-current" not in given
        if self._left_out or tag in _CONTROLS or "data-control" in given or other_choice:
            if tag not in _VOID:
                self._open.append((tag, None))
            return
        name = tag
        if tag == "a" and not (given.get("href") or "").startswith("#"):
            name = "g" if self._inside("svg") else "b" if "aria-current" in given else "span"
        self.parts.append(f"<{name}{''.join(_attribute(*one) for one in attrs if _stays(name, one[0], given))}")
        self.parts.append(" open>" if tag == "details" and "open" not in given else ">")
        if tag not in _VOID:
            self._open.append((tag, f"</{name}>"))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            self.parts.append(self._open.pop()[1] or "")

    def handle_data(self, data: str) -> None:
        if not self._left_out:
            self.parts.append(escape(data, quote=False))


def _stays(tag: str, name: str, given: dict[str, str | None]) -> bool:
    if name == "tabindex":  # what explains itself, and what scrolls, is for the keyboard, too
        return tag == "abbr" or given.get("role") == "region"
    return not name.startswith("on") and (name not in _DROPPED or (name == "href" and tag == "a"))


def _attribute(name: str, value: str | None) -> str:
    return f" {name}" if value is None else f' {name}="{escape(value)}"'
