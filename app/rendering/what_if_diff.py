"""Two prompts as one list of lines, each kept, removed or added. Pure text; escaping is the template's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

_NUMBER = re.compile(r"^(\d+)\. ")


@dataclass(frozen=True)
class Line:
    """``kind``: ``same``, ``left`` (only before) or ``entered`` (only after). ``was``: the number that a line of the
    history had before, where it is the same item with another number now."""

    kind: str
    text: str
    was: str = ""


def diff_lines(before: str, after: str) -> list[Line]:
    """The lines of both texts in order, what left before what entered.

    A line of the history whose number alone changed is the same line: one item that leaves renumbers all below it.
    """
    old, new = before.splitlines(), after.splitlines()
    lines: list[Line] = []
    # No junk: every line counts, also one that is often there.
    matcher = SequenceMatcher(
        None, [_NUMBER.sub("", line) for line in old], [_NUMBER.sub("", line) for line in new], False
    )
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        if kind == "equal":
            pairs = zip(old[start:end], new[new_start:new_end], strict=True)
            lines += [Line("same", now, "" if was == now else _number(was)) for was, now in pairs]
        else:
            lines += [Line("left", line) for line in old[start:end]]
            lines += [Line("entered", line) for line in new[new_start:new_end]]
    return lines


def _number(line: str) -> str:
    found = _NUMBER.match(line)
    return found[1] if found else ""
