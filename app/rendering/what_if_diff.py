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
    was, now = ([_NUMBER.sub("", line) for line in lines] for lines in (old, new))
    # The history's lines that are in both, by what they say but for the number.
    numbers = {text: _number(line) for text, line in zip(was, old, strict=True) if _number(line)}
    stays = numbers.keys() & {text for text, line in zip(now, new, strict=True) if _number(line)}
    lines: list[Line] = []
    # No junk: every line counts, also one that is often there.
    for kind, start, end, new_start, new_end in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if kind != "equal":
            lines += [
                Line("left", line)
                for text, line in zip(was[start:end], old[start:end], strict=True)
                if text not in stays
            ]
        for place in range(new_start, new_end):
            line, text = new[place], now[place]
            here = "same" if kind == "equal" else "moved" if text in stays else "entered"
            number = numbers.get(text, "") if here != "entered" else ""
            lines.append(Line(here, line, number if number != _number(line) else ""))
    return lines


def _number(line: str) -> str:
    found = _NUMBER.match(line)
    return found[1] if found else ""
