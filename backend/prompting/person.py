"""What a prompt says of its user: the sentences that a dataset has for its users, and the pronouns that fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backend.datasets.rules import PRONOUN_PLACES, fill, places


@dataclass(frozen=True)
class Person:
    """The pronouns ``they`` and ``their`` for this user; with a capital where a sentence begins with them."""

    they: str
    their: str

    @property
    def They(self) -> str:
        return self.they[0].upper() + self.they[1:]

    @property
    def Their(self) -> str:
        return self.their[0].upper() + self.their[1:]


# A user of whom nothing is known.
SOMEBODY = Person("the user", "the user's")
# Pronouns by the value of a user's column ``gender``.
_SHE, _HE = Person("she", "her"), Person("he", "his")
_BY_GENDER = dict.fromkeys(("female", "f", "woman", "w"), _SHE) | dict.fromkeys(("male", "m", "man"), _HE)
# Everybody that a prompt can speak of.
PERSONS = (SOMEBODY, _SHE, _HE)


def about_user(sentences: tuple[str, ...], known: Mapping[str, str | None]) -> tuple[tuple[str, ...], Person]:
    """The ``sentences`` (see :class:`~backend.datasets.rules.Templates`) filled in with what is ``known`` of a user,
    without those of which a part is not known; and how the user is spoken of.
    """
    person = _BY_GENDER.get((known.get("gender") or "").lower(), SOMEBODY)
    values = {name: value for name, value in known.items() if value}
    values |= {name: getattr(person, name) for name in PRONOUN_PLACES}
    return tuple(fill(text, values) for text in sentences if all(name in values for name in places(text))), person
