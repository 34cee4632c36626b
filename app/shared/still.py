"""A part of a page as a file can hold it: what needs the app is left out or becomes plain text."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

from markupsafe import Markup

# Nothing happens when these are used where there is no app.
_CONTROLS = frozenset({"button", "input", "select", "textarea", "label", "search", "form", "script", "style", "iframe"})
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})
_DROPPED = frozenset({"href", "target", "download", "aria-current", "aria-live", "data-go", "data-key"})


def still(html: str) -> Markup:
    """Markup of our own templates without controls and what is marked ``data-control``; folds are open.

    A link becomes its words; one to a place in the same page stays. Of a ``nav``, which chooses what is shown, only the
    present choice is left. All text is escaped anew.
    """
    found = _Still()
    found.feed(html)
    found.close()
    return Markup("".join(found.parts))


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
