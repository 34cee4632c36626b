"""What a Predict page is asked and what it shows: plain values between the service, the rendering and the page."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from app.predict.neighbours import Explained, Nearest
from app.shared.address import SampleAddress
from app.shared.runs import LiveRun, Snapshot
from backend.datasets import Dataset
from backend.pipeline import Prediction
from backend.retrieval import GammaStretch
from backend.types import ModelRef
from storage.jobs.store import StoredJob


@dataclass
class PredictSession:
    """What one open page remembers: what it shows, its last answered prediction, its run, and what was drawn where.

    ``near_open``: whether the fold with the nearest items is open, so that they are worth looking up. ``owner``: whose
    page it is, as a key that nobody else holds.
    """

    view: PredictView | None = None
    asked: Prediction | None = None
    run: LiveRun | None = None
    near_open: bool = False
    owner: str = field(default_factory=lambda: uuid.uuid4().hex, repr=False)
    drawn: dict[str, str] = field(default_factory=dict)
    # A page's sliders and its watched run reach the service from several threads at once.
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)


@dataclass(frozen=True)
class PredictView:
    """One setting of the Predict page, ready to be drawn.

    ``prediction`` is what is known for exactly this setting; ``command`` gives the same in a shell. ``stale`` is
    the page's last answered prediction, of another setting, where this one has no answer yet. ``cast``: what a
    reader must know of who answers: ``made up``, ``untuned`` (one small model plays both parts as it is), ``untuned
    reasoner``, ``stand-in`` (for M_R), or nothing. ``entered`` and ``left`` are item codes, against the setting
    drawn before. ``run`` is the live run of exactly this setting, ``earlier`` the last job of it in the database,
    where it is not complete. ``explained`` covers the items of both channels. ``stretches`` is empty where gamma
    does not apply; ``nearest`` is None until its fold is opened. ``still``: drawn for reading alone, with nothing
    to press. ``players``: who plays each role.
    """

    request: SampleAddress
    data: Dataset
    prediction: Prediction
    models: Mapping[str, str]
    cast: str
    stretches: Sequence[GammaStretch]
    explained: Explained
    command: str = ""
    nearest: Nearest | None = None
    stale: Prediction | None = None
    entered: frozenset[Hashable] = frozenset()
    left: tuple[Hashable, ...] = ()
    run: Snapshot | None = None
    other_run: bool = False
    earlier: StoredJob | None = None
    truth: bool = False
    still: bool = False
    players: Mapping[str, ModelRef] = field(default_factory=dict)
