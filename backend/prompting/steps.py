"""A chain of thought in steps: its sentences and list items, each with its place in the text and a name that lasts.

The same text always gives the same steps under the same ids, so that what is said about a step can be kept by its id.
All rules are in this file, and none knows the dataset: a title that ends in a mark without its year behind it
("Airplane!") may end a step too early, two sentences about names may stay one step. No text is ever lost by that.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from backend.seeding import digest

_ID_LENGTH = 12
# The tags around a chain's thinking; they say nothing that could be right or wrong.
_TAG = re.compile(r"</?think>")
# Chinese, Japanese and Korean: no space stands between sentences there.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_OPENERS = "\"'“‘«([{*_`「『《【（"
_CLOSERS = "\"'”’»)\\]}*_`」』》】）"
# What may end a sentence, with the marks that close it.
_END = re.compile(rf"(?P<mark>[.!?…]+|[。！？｡．]+[.!?。！？｡．…]*)(?P<close>[{_CLOSERS}]*)")
# Inside brackets no sentence ends, if they are closed on the same line.
_BRACKETS = re.compile(r"\([^()\n]*\)|（[^（）\n]*）|《[^《》\n]*》|【[^【】\n]*】|\[[^\[\]\n]*\]")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_LINE = re.compile(r"\n[^\S\n]*")
# What a list item begins with. What stands behind its number is still the same item.
_ITEM = re.compile(
    r"(?:[-*+•◦▪‣·–—]|#{1,6}|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{2,5})[.)]|\*\*\d{1,3}[.)]|[（(]?[一二三四五六七八九十\d]{1,3}[、．）]|[①-⑳])(?=\s|[^\W\d])"
)
_NUMBER_ONLY = re.compile(r"\W*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{2,5})")
_WORD = re.compile(r"[^\s\"“‘«(\[{*_`]+$")
_YEAR = re.compile(r"\s*\(\d{4}\)")
# Words with a capital up to a year, as a title goes on: the rest of "Hot Shots! Part Deux (1993)".
_TITLE_GOES_ON = re.compile(r"(?:(?:[A-Z0-9][\w'’&-]*|of|the|and|a|an|in|to)[!?:,]*\s+){1,6}\(\d{4}\)")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
# A full stop behind these says nothing of a sentence's end; behind some only where a number follows ("The answer is
# No." ends); behind others what follows decides.
_ABBREVIATED = """
al approx ca capt cf ch col cpt dept dr ed eds ep eq esp est feat fig fr ft gen gov hon incl lt maj messrs mlle mme mr
mrs ms mt mx prof pt rep rev sec sen sgt st viz vol vs
"""
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
_BEFORE_NUMBERS = frozenset(("art", "no", "nos", "p", "pp"))
_MAY_END = frozenset(("a.m", "bros", "co", "corp", "etc", "inc", "jr", "ltd", "max", "min", "p.m", "sr"))


@dataclass(frozen=True)
class Step:
    """``text`` is ``[start, end)`` of the text that was split, without space around it.

    ``id``: a short hash of the words, whatever the space between them, and the how manieth step with these words it is
    in its text ("2f0c61d5a9be-1"); no two steps of a text share one.
    """

    id: str
    text: str
    start: int
    end: int


def split_steps(text: str) -> tuple[Step, ...]:
    """The steps of ``text`` in order; none for a text of space alone. Between and around them is only space, and the
    tags around a chain's thinking: its answer behind them is a step of its own.
    """
    steps, seen = [], Counter[str]()
    for start, end in _between_tags(text):
        words = digest(_normal(text[start:end]), _ID_LENGTH)
        seen[words] += 1
        steps.append(Step(f"{words}-{seen[words]}", text[start:end], start, end))
    return tuple(steps)


def _normal(words: str) -> str:
    # Half of a surrogate pair, which a model that babbles may write, has no bytes to hash.
    return " ".join(unicodedata.normalize("NFC", words).split()).encode("utf-8", "replace").decode()


def _between_tags(text: str) -> Iterator[tuple[int, int]]:
    begin = 0
    for stop, after in (*(tag.span() for tag in _TAG.finditer(text)), (len(text), len(text))):
        yield from ((begin + start, begin + end) for start, end in _spans(text[begin:stop]))
        begin = after


def _spans(text: str) -> list[tuple[int, int]]:
    """Yields where steps stand. A piece without a letter or digit (a rule, stray marks) joins the step before it."""
    spans: list[tuple[int, int]] = []
    open_start: int | None = None
    start = 0
    for stop in (*_boundaries(text), len(text)):
        piece = text[start:stop]
        if piece.strip():
            first = start + len(piece) - len(piece.lstrip())
            last = start + len(piece.rstrip())
            if open_start is not None:
                first = open_start
            if any(map(str.isalnum, piece)):
                spans.append((first, last))
                open_start = None
            elif spans:
                spans[-1] = (spans[-1][0], last)
            else:
                open_start = first
        start = stop
    if open_start is not None:
        spans.append((open_start, len(text.rstrip())))
    return spans


def _boundaries(text: str) -> Iterator[int]:
    """Yields where one step ends and the next may begin, in order."""
    inside = [match.span() for match in _BRACKETS.finditer(text)]
    starts = [start for start, _ in inside]
    ends = [(match.end(), match) for match in _END.finditer(text)]
    lines = [(match.start(), None) for match in _LINE.finditer(text)]
    begin = 0
    for place, end in sorted([*ends, *lines], key=lambda boundary: boundary[0]):
        if place <= begin:
            continue
        if end is None:
            stops = _line_ends(text, place)
        else:
            around = bisect_right(starts, end.start()) - 1
            bracket = inside[around] if around >= 0 and end.start() < inside[around][1] else None
            stops = _sentence_ends(text, begin, end, bracket)
        if stops:
            begin = place
            yield place


def _line_ends(text: str, place: int) -> bool:
    """Whether the line break at ``place`` ends a step: always, but where the next line goes on in small letters."""
    if _BLANK_LINE.match(text, place):
        return True
    rest = _LINE.match(text, place)
    assert rest is not None
    following = text[rest.end() : rest.end() + 12]
    return bool(_ITEM.match(following)) or not following[:1].islower()


def _sentence_ends(text: str, begin: int, end: re.Match[str], bracket: tuple[int, int] | None) -> bool:
    """Whether a mark in the step that starts at ``begin`` ends it. ``bracket``: where the brackets around it stand."""
    mark, after = end["mark"], text[end.end() : end.end() + 80]
    if bracket is not None and (end.end() < bracket[1] or text[bracket[0]] in "《【"):
        return False
    if _YEAR.match(after):
        return False
    word = _before(text, begin, end.start())
    if mark[0] in "。！？｡．":
        return bracket is None or after[:1].isspace()
    if not after[:1].isspace():
        # Signs of both scripts together: 真的?是的
        return bool(re.match(f"[{_CJK}]", after)) and bool(re.search(f"[{_CJK}]$", word)) and not end["close"]
    following = after.lstrip().lstrip(_OPENERS)
    if not following:
        return True
    if mark == "." and not end["close"] and not _full_stop(text[begin : end.start()], word, following):
        return False
    if following[0].islower():
        return bracket is None and mark[0] != "…" and mark != "..." and _plain(word)
    first_word = not text[begin : end.start() - len(word)].strip(" \t\n" + _OPENERS)
    return mark == "." or first_word or word[:1].islower() or not _TITLE_GOES_ON.match(after.lstrip())


def _full_stop(so_far: str, word: str, following: str) -> bool:
    """Whether the full stop behind ``word`` can be one: not behind a list item's number, an abbreviation, initials."""
    if _NUMBER_ONLY.fullmatch(so_far.strip()):
        return False
    lower = word.lower()
    if lower in _BEFORE_NUMBERS:
        return not following[0].isdigit()
    if lower in _MAY_END:
        return following[0].isupper()
    if lower in _ABBREVIATIONS:
        return False
    # "J. R. R. Tolkien", "L.A. Confidential"; but "so do I."
    return not (_INITIALS.fullmatch(word) and (word != "I" or so_far[: -len(word)].rstrip().endswith(".")))


def _before(text: str, begin: int, place: int) -> str:
    """Returns the word that ends at ``place``."""
    word = _WORD.search(text[max(begin, place - 40) : place])
    return word.group() if word else ""


def _plain(word: str) -> bool:
    """A word or number behind which a sentence may end although the next one begins small."""
    if word[-1:].isdigit():
        return True
    vowel = any(letter in "aeiouyäöüàáâèéêìíîòóôùúû" for letter in word)
    return word[:1].islower() and word.isalpha() and (vowel or len(word) > 4)
