"""The titles that a reasoning chain cites: whether they are in its prompt, and whether the ratings it gives them are.

A chain cites a title where it writes one with its year in brackets, as labels in prompts do: ``Heat (1995)``. Each such
place counts, also the second one of the same title. A title counts as in the prompt where it is written as the label
of a past item or the target: in any case, with "The" in front instead of behind ("The Net" for "Net, The"), and with
or without other names in brackets ("Seven (a.k.a. Se7en) (1995)"). Half a title, another year or a longer title do not.

What it cannot see: a title without its year (so nothing is counted for data whose labels have none), and words between
a title and its year. An invented title whose end is a whole label, behind punctuation ("Die Hard: Heat (1995)"), passes
for the label, and so does one that an owner stands before ("Mary Shelley's Frankenstein (1994)"). How much of the text
belongs to a title that is not in the prompt is a guess, for showing alone. Ratings are read right behind a title only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import astuple, dataclass, field

from backend.prompting import HistoryLine

_YEAR = re.compile(r"\(\d{4}\)")
_BRACKETS = re.compile(r"\s*\([^()]*\)")
_ARTICLE = re.compile(r"^(?P<name>.+), (?P<article>The|A|An|L[aeo]s?|L'|Il|El|D[ae]r|Die|Das|Une?)$")
# A sentence or clause ends here for sure; ":", "." and "," also stand inside titles.
_BREAK = re.compile(r"[!?;.]\s|\n")
_WORD = re.compile(r"[^\s,]+")
# Words of a reasoning text that may stand with a capital in front of a title without belonging to it.
_OPENING_WORDS = """
a according after again against all also although an and another are as at because before besides both but by compared
consider considering despite did even film films finally first following for from gave given giving has he her his
however i if in including is it item items its just last let like liked likes loved maybe movie movies next no not
number of on one only or other others over perhaps rated rates rating regarding second seeing she similar since so still
such than that the their then there these they third this those though thus to title under unlike user was watched we
what when where whereas which while will with would yes yet
"""
_OPENERS = frozenset(_OPENING_WORDS.split())
# Marks around words. A word with a closing mark behind it, or an owner ("Pixar's"), is no part of the next title.
_MARKS = "*\"'“”‘’([{¡¿…"
_CLOSERS = ".,:;!?)]\"'*”’"
_OWNERS = ("'s", "’s")
# At most so many small words stand between two capitals of a title.
_GAP = 3
# A year that is further than this from any capital belongs to no title.
_REACH = 6
_RATING = re.compile(
    r"""[*"'”’)]*(?:\s*\[[^\]\n]*\])?                            # **bold**, "quoted", [Drama]
    (?:
        \s*[:=]\s*                                              # Heat (1995): 4
      | ,?\s+(?:which\s+|that\s+)?(?:they\s+|s?he\s+|the\s+user\s+)?(?:was\s+|is\s+)?
        (?:not\s+quite\s+|clearly\s+|slightly\s+|highly\s+)?(?:(?:liked|disliked|rated|scored)\s+)?
        (?:at|got|gets|given|earned|rated|received|scored|with)\s+(?:an?\s+)?  # got 4, was clearly liked at 4
      | \s*\((?:rated\s+|at\s+)?                                # (rated 4)
      | \s+                                                     # they gave Heat (1995) 4
    )
    (?P<rating>\d+(?:\.\d+)?)
    (?!\w|\.\d|\s?%|[,:-]\d|\s+on\s+average|\s+(?:by|from|among)\s+others)""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Citation:
    """``title`` as the chain writes it, with its year. ``rating``: what it says the user gave, directly behind it.

    ``rating_right``: whether the prompt says so too; None where no rating is given, or where the prompt has none to
    compare it with (the target, and titles that are not in it). ``label``: the line of the prompt that is meant, by its
    label (the first of several); empty for a title that is not in it.
    """

    title: str
    in_prompt: bool
    rating: float | None = None
    rating_right: bool | None = None
    label: str = field(default="", compare=False)


@dataclass(frozen=True)
class CitationCount:
    """Counts over any number of chains: titles cited and in the prompt; ratings compared and right."""

    cited: int = 0
    in_prompt: int = 0
    rated: int = 0
    rated_right: int = 0

    def __add__(self, other: CitationCount) -> CitationCount:
        return CitationCount(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @classmethod
    def of(cls, citations: Iterable[Citation]) -> CitationCount:
        cited = list(citations)
        compared = [citation.rating_right for citation in cited if citation.rating_right is not None]
        return cls(len(cited), sum(citation.in_prompt for citation in cited), len(compared), sum(compared))


def cited_titles(text: str, history: Sequence[HistoryLine], target: HistoryLine) -> list[Citation]:
    """Every title that the chain ``text`` cites, in order; ``history`` and ``target`` as its prompt shows them."""
    text = "\n".join(" ".join(line.split()) for line in text.splitlines())
    ratings: dict[str, set[float]] = {}
    named: dict[str, str] = {}
    forms = {line.label: _forms(line.label) for line in (*history, target)}
    for line in (*history, target):
        for form in forms[line.label]:
            ratings.setdefault(form.lower(), set()).update(() if line.rating is None else (line.rating,))
            named.setdefault(form.lower(), line.label)
    own_words = _OPENERS | {name.lower() for line in (*history, target) for name in line.categories}
    citations, end = [], 0
    for start, stop in _places(text, set().union(*forms.values())):
        known = ratings.get(text[start:stop].lower())
        rating = _rating_behind(text, stop)
        if known is not None and not _goes_on(text[end:start], own_words):
            right = rating in known if rating is not None and known else None
            citations.append(Citation(text[start:stop], True, rating, right, named[text[start:stop].lower()]))
        elif title := _unknown(text[end:stop], own_words):
            citations.append(Citation(title, False, rating))
        end = stop
    return citations


def _forms(label: str) -> set[str]:
    """The ways to write a label that count as writing it; none for a label without a year."""
    label = " ".join(label.split())
    year = list(_YEAR.finditer(label))
    if not year or year[-1].end() != len(label):
        return set()
    name, suffix = label[: year[-1].start()].rstrip(), label[year[-1].start() :]
    names = {name, _BRACKETS.sub("", name).strip()} - {""}
    moved = set()
    for form in names:
        plain = _BRACKETS.sub("", form).strip()
        if article := _ARTICLE.match(plain):
            space = "" if article["article"].endswith("'") else " "
            moved.add(f"{article['article']}{space}{article['name']}{form.removeprefix(plain)}")
    return {f"{form} {suffix}" for form in names | moved}


def _places(text: str, labels: Iterable[str]) -> list[tuple[int, int]]:
    """Start and end of each label in the text (the longest where several fit) and of every other year in brackets."""
    known = sorted(labels, key=len, reverse=True)
    places = []
    if known:
        pattern = rf"(?<!\w)(?<!\w-)(?:{'|'.join(map(re.escape, known))})"
        places = [match.span() for match in re.finditer(pattern, text, re.IGNORECASE)]
    inside = [match.span() for match in _YEAR.finditer(text)]
    rest = [(a, b) for a, b in inside if not any(start <= a and b <= stop for start, stop in places)]
    return sorted(places + rest)


def _goes_on(before: str, own_words: Set[str]) -> bool:
    """Whether a title begins before the label: its last word has a capital and is none of the reasoning's own."""
    if not before.endswith(" "):
        return False
    last = before.split()[-1:]
    return bool(last) and _capital(last[0], own_words) and last[0][-1] not in _CLOSERS and last[0][-2:] not in _OWNERS


def _unknown(text: str, own_words: Set[str]) -> str | None:
    """The title that ``text``, which ends in a year, ends in; None where no word before the year looks like one."""
    year = list(_YEAR.finditer(text))[-1].start()
    # Other names of the same item, in brackets, are no words of the title; all places stay where they were.
    name = _BRACKETS.sub(lambda match: " " * len(match.group()), text[:year]).rstrip()
    begin = max((match.end() for match in _BREAK.finditer(name)), default=0)
    words = list(_WORD.finditer(name, begin))
    start, gap = None, 0
    for place, word in enumerate(reversed(words)):
        bare = _bare(word.group())
        if (place == 0 and (bare != bare.lower() or bare[:1].isdigit())) or _capital(word.group(), own_words):
            start, gap = word.start(), 0
        elif gap == (_REACH if start is None else _GAP):
            break
        else:
            gap += 1
    return None if start is None else text[start:].lstrip(_MARKS)


def _capital(word: str, own_words: Set[str]) -> bool:
    """Whether a word has a capital ("eXistenZ" has one too) and is none of the reasoning's own."""
    bare = _bare(word)
    return bare != bare.lower() and bare.lower() not in own_words


def _bare(word: str) -> str:
    return word.strip(_MARKS + "])}.,:")


def _rating_behind(text: str, place: int) -> float | None:
    match = _RATING.match(text, place)
    return float(match["rating"]) if match else None
