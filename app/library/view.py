"""What the Library page lists: plain values between the service, the rendering and the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Curve:
    """One number per epoch, from epoch 1; None where it could not be had."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class DescribedItem:
    """One item's description. ``source`` and ``reasons`` as in ``descriptions.jsonl``."""

    label: str
    interactions: int
    text: str
    source: str
    attempts: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Descriptions:
    """Who wrote about how many items. ``covered``: share of all interactions that are with items described by the
    model; ``reasons``: why texts were of no use, with how many; ``writer_kind``: ``small``, ``scripted`` or ``given``.
    """

    items: int
    counts: Mapping[str, int]
    drawn_again: int
    covered: float
    reasons: tuple[tuple[str, int], ...]
    samples: tuple[DescribedItem, ...]
    writer: str
    writer_kind: str


@dataclass(frozen=True)
class FactTable:
    """Rows of values by column; a row may lack columns."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Facts:
    """What makes one artifact understandable; which fields are filled depends on its kind. ``part``: of the split."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    descriptions: Descriptions | None = None
    curves: tuple[Curve, ...] = ()
    best_epoch: int = 0
    table: FactTable | None = None
    part: str = ""


@dataclass(frozen=True)
class File:
    """One file of an artifact; ``sha256`` is what was noted when it was written."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Input:
    """An artifact that another was made from. ``key``: its place on this page; None where it is not here."""

    kind: str
    hash: str
    key: str | None


@dataclass(frozen=True)
class ArtifactEntry:
    """One artifact. ``key`` is its name in a link.

    ``state``: ``ready``, ``shipped``, ``making``, ``interrupted``, ``missing`` or ``damaged``, and ``why`` it is so;
    ``command`` mends it (empty where nothing is to be done). What is not known of it is None or empty.
    ``dataset``: what it was made from, by name. ``reader``: the other dataset whose pages read it now, if any do, and
    ``place``: its key there.
    """

    key: str
    kind: str
    stage: str
    state: str
    why: str
    command: str
    recipe: Mapping[str, Any]
    inputs: tuple[Input, ...] = ()
    quick: bool = False
    folder: str = ""
    made: str = ""
    version: str = ""
    seconds: float | None = None
    bytes: int | None = None
    rows: int | None = None
    dimensions: int | None = None
    files: tuple[File, ...] = ()
    facts: Facts | None = None
    error: str = ""
    dataset: str = ""
    reader: str = ""
    place: str = ""


@dataclass(frozen=True)
class Shelf:
    """``own``: the plan of one dataset, in order; ``others``: what else the store holds. ``problem``: why there is no
    plan. ``dataset``: as addresses name it, empty for the settings' own; ``command`` makes what the plan lacks."""

    own: tuple[ArtifactEntry, ...]
    others: tuple[ArtifactEntry, ...]
    problem: str = ""
    dataset: str = ""
    command: str = "rallrec precompute"


@dataclass(frozen=True)
class DatasetEntry:
    """``state``: ``prepared``, ``shipped`` (prepared at first use), ``missing`` or ``damaged`` (``why``).

    ``current``: whether the page is about it; ``order_note``: what stands in for time, where the data has none.
    """

    name: str
    state: str
    current: bool
    command: str = ""
    why: str = ""
    title: str = ""
    licence: str = ""
    users: int | None = None
    items: int | None = None
    interactions: int | None = None
    bytes: int | None = None
    skipped: int = 0
    order_note: str = ""


@dataclass(frozen=True)
class ModelEntry:
    """Who plays a role. ``state``: ``disk``, ``fetched`` or ``hub`` (each at first use), ``server`` or ``scripted``."""

    role: str
    name: str
    revision: str
    state: str
    bytes: int | None = None
    command: str = ""


@dataclass(frozen=True)
class CacheEntry:
    """What is cached of one model; ``latest``: when the newest was written, in UTC."""

    name: str
    revision: str
    answers: int
    traces: int
    latest: str


@dataclass(frozen=True)
class DrawnEntry:
    """How many chains one model drew in one way, from how many prompts and ``seeds`` streams."""

    name: str
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    prompts: int
    seeds: int
    chains: int


@dataclass(frozen=True)
class Cache:
    """``place``: the database, without its password; ``bytes``: its size where it is a file; ``exists``: or is made
    at first use; ``drawn``: the chains by how they were drawn."""

    place: str
    exists: bool
    bytes: int | None
    models: tuple[CacheEntry, ...]
    drawn: tuple[DrawnEntry, ...] = ()
