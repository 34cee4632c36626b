"""Links: what a page's address says, checked, and the shortest address that says it again.

A screen's address is a subclass of :class:`Address` with the screen's parameters as its fields; the types here check
them. :class:`SampleAddress` is the one that several screens share: one prediction, as the Predict page shows it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import parse_qsl, urlencode

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from app.shared.controls import no_number, read, short_gamma
from backend.errors import RallrecError, UnknownNameError, UsageError
from backend.knobs import KNOBS
from backend.pipeline import Recipe
from backend.retrieval import exact_gamma


class Address(BaseModel):
    """What a page shows, as its link says it. Fields have defaults, which the link leaves out."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    path: ClassVar[str] = "/"

    @classmethod
    def parse(cls, given: Mapping[str, Any] | str) -> Self:
        """From a link or its parameters; parameters of others and empty ones are passed over.

        Raises ``UsageError`` naming the parameter that is wrong.
        """
        query = parameters_of(given)
        return cls(**{name: query[name] for name in cls.model_fields if query.get(name) not in (None, "")})

    def link(self, **changes: Any) -> str:
        """The address that leads to this with some values changed; what has its default is left out."""
        query = self.query(**changes)
        return f"{self.path}?{query}" if query else self.path  # not "?..." alone: the page's base is the site's root

    def query(self, **changes: Any) -> str:
        """The parameters of :meth:`link`, spelled."""
        changed = self.model_copy(update=changes)
        said = {}
        for name, field in type(self).model_fields.items():
            value = getattr(changed, name)
            if value != field.default:
                spell = next((mark.write for mark in field.metadata if isinstance(mark, Spelled)), str)
                said[name] = spell(value)
        return urlencode(said)


def parameters_of(given: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """The parameters of an address; a browser can send anything in its place, which has none."""
    return given if isinstance(given, Mapping) else dict(parse_qsl(str(given or "").partition("?")[2]))


@dataclass(frozen=True)
class Spelled:
    """How a link writes the values of a field."""

    write: Callable[[Any], str]


def one_of(*names: str) -> AfterValidator:
    """The check of a field that takes one of these names."""

    def check(value: str, info: ValidationInfo) -> str:
        check_name(str(info.field_name), value, names)
        return value

    return AfterValidator(check)


def check_name(parameter: str, value: str, names: Iterable[str]) -> None:
    """Raise ``UnknownNameError`` where a parameter's value is none of these names."""
    known = tuple(names)
    if value not in known:
        raise UnknownNameError(f"{parameter} of this page", value, filter(None, known), fix="mend the link")


def between(low: float, high: float) -> AfterValidator:
    """The check of a number's bounds, both included."""

    def check(value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and not low <= value <= high:
            raise UsageError(
                f"{info.field_name} is {value:g}", expected=f"{low:g} to {high:g}", fix="mend the link"
            )  # fmt: skip
        return value

    return AfterValidator(check)


def _number(given: Any, info: ValidationInfo) -> float | None:
    try:
        value = None if given is None else float(given)
        if value is not None and not abs(value) < 1e9:  # NaN too
            raise ValueError
    except (TypeError, ValueError):
        raise no_number(str(info.field_name), given) from None
    return value


def _whole(given: Any, info: ValidationInfo) -> int | None:
    value = _number(given, info)
    return None if value is None else int(value)


Text = Annotated[str, BeforeValidator(str)]
Number = Annotated[float | None, BeforeValidator(_number)]
Whole = Annotated[int | None, BeforeValidator(_whole)]
# A page of a list; less than 1 is the first.
PageNumber = Annotated[int, AfterValidator(lambda number: max(1, number)), BeforeValidator(_whole)]
Gamma = Annotated[
    Number, AfterValidator(lambda value: value if value is None else exact_gamma(value)), between(0, 1),
    Spelled(short_gamma),
]  # fmt: skip


class SampleAddress(Address):
    """One prediction: all that a view of the Predict page depends on.

    ``choices``: the value of each knob, by its name; in the link each is a parameter of its own. ``near``: id of the
    item whose nearest items are shown; empty for the target. ``dataset``: empty for that of the app's settings.
    """

    user: Text = ""
    item: Text = ""
    choices: dict[str, Any] = {}
    near: Text = ""
    dataset: Text = ""

    @staticmethod
    def names() -> tuple[str, ...]:
        """The parameters of the link, in its order."""
        return ("user", "item", *KNOBS, "near", "dataset")

    @classmethod
    def of(cls, user: str, item: str, recipe: Recipe, dataset: str = "") -> Self:
        """The ids of a user and an item, asked by a recipe."""
        named = recipe.named
        return cls(user=user, item=item, choices={name: named[name] for name in KNOBS}, dataset=dataset)

    @classmethod
    def parse(cls, given: Mapping[str, Any] | str) -> Self:
        """See :meth:`Address.parse`; what is not given has no choice here."""
        query = parameters_of(given)
        choices = {name: read(name, query[name]) for name in KNOBS if query.get(name) not in (None, "")}
        return super().parse({**query, "choices": choices})

    def choosing(self, **choices: Any) -> Self:
        """This with some knobs moved."""
        return self.model_copy(update={"choices": self.choices | choices})

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter of the link by its name."""
        return {name: self.choices.get(name) if name in KNOBS else getattr(self, name) for name in self.names()}

    def query(self, **changes: Any) -> str:
        """See :meth:`Address.query`; every knob is named, whatever the settings become."""
        values = self.parameters | changes
        return urlencode({name: _spelt(name, value) for name, value in values.items() if value not in (None, "")})

    def command(self, begun: str) -> str:
        """The command that predicts the same, safe to paste into a shell. ``begun``: its line without any choice."""
        named = {"user": self.user, "item": self.item}
        named |= {name.replace("_", "-"): _plain(value) for name, value in self.choices.items()}
        options = [word for name, value in named.items() for word in (f"--{name}", value)]
        return f"{begun} {shlex.join([*options, '--json'])}"


def _spelt(name: str, value: Any) -> str:
    return short_gamma(value) if name in KNOBS and KNOBS[name].fraction else _plain(value)


def _plain(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class LeftOut:
    """A parameter of a link that was not used, and why."""

    name: str
    why: str


def readable(
    query: Mapping[str, str], look: Callable[[Mapping[str, str]], object]
) -> tuple[dict[str, str], tuple[LeftOut, ...]]:
    """The parameters of a link that can be shown together, and those that cannot: a link with a slip in it still shows
    the rest.

    ``look`` shows some of them, or raises ``RallrecError``; it is asked once more than there are parameters at most.
    The user and the item come first, so that a wrong setting does not cost the question; edits of a what-if come last,
    since they say most and are read with all the rest.
    """
    kept: dict[str, str] = {}
    who = {name: query[name] for name in ("user", "item") if name in query}
    with suppress(RallrecError):
        look(who)
        kept = who
    left = []
    for name in (*who, *sorted(query.keys() - who, key=lambda name: (name == "edits", [*query].index(name)))):
        if name in kept:
            continue
        try:
            look(kept | {name: query[name]})
            kept[name] = query[name]
        except RallrecError as error:
            left.append(LeftOut(name, str(error)))
    return kept, tuple(left)
