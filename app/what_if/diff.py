"""Two prompts as one list of lines, each kept, removed or added. Pure text; escaping is the template's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

_NUMBER = re.compile(r"^(\d+)\. ")


@dataclass(frozen=True)
class Line:
    """``kind``: ``same``, ``moved`` (of the history, elsewhere now), ``left`` (only before) or ``entered`` (only
    after). ``was``: the number that a line of the history had before, where it has another one now."""

    kind: str
    text: str
    was: str = ""


def diff_lines(before: str, after: str) -> list[Line]:
    """The lines of both texts in order, what left before what entered.

    A line of the history is the same whatever its number: one item that leaves renumbers, and may reorder, the others.
    """
    old, new = before.splitlines(), after.splitlines()
    was, now = ([unnumbered(line) for line in lines] for lines in (old, new))
    # Lines of the history that are once in each text, by what they say but for their number before.
    numbers = {text: _number(line) for text, line in zip(was, old, strict=True) if _number(line)}
    stay = {text for text in numbers if was.count(text) == now.count(text) == 1}
    lines: list[Line] = []
    # No junk: every line counts, also one that is often there.
    for kind, start, end, new_start, new_end in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [_same(*pair) for pair in zip(old[start:end], new[new_start:new_end], strict=True)]
            continue
        lines += [Line("left", old[place]) for place in range(start, end) if was[place] not in stay]
        for place in range(new_start, new_end):
            moved = now[place] in stay
            lines.append(Line("moved", new[place], numbers[now[place]]) if moved else Line("entered", new[place]))
    return lines


def unnumbered(line: str) -> str:
    """A line of a history without its number."""
    return _NUMBER.sub("", line)


def _same(was: str, now: str) -> Line:
    return Line("same", now, "" if was == now else _number(was))


def _number(line: str) -> str:
    found = _NUMBER.match(line)
    return found[1] if found else ""
