"""What a system reaches, with its draws of users; kept by content, because drawing takes seconds for a whole part."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.engines.base import raise_if
from backend.evaluation.intervals import DRAWS, Drawn
from backend.evaluation.metrics import METRICS
from backend.evaluation.paper.tables import Scored, score
from storage.evaluation.labelled import Labelled
from storage.evaluation.looked_up import Looking
from storage.evaluation.systems import System

# Raised whenever the same scores would give other numbers.
_VERSION = 1


def score_all(
    folder: Path, samples: Labelled, systems: Mapping[str, System], looking: Looking, draws: int = DRAWS
) -> dict[str, Scored]:
    """By name, what each reaches; one that is not complete is not scored. ``folder``: what keeps them.

    No ``draws``: no intervals. Raises ``Stopped``.
    """
    found = {}
    for number, (name, system) in enumerate(systems.items()):
        raise_if(looking.stop)
        looking.progress(f"drawing users: {name}", number / len(systems))
        found[name] = score_one(folder, samples, system, draws)
    return found


def score_one(folder: Path | None, samples: Labelled, system: System, draws: int = DRAWS) -> Scored:
    """One of them; without a ``folder``, nothing is kept."""
    if not system.complete or not len(samples):
        return Scored(system.name, 0, missing=system.problem or "there are no samples", run=system.run)
    plain = score(system.name, samples.users, samples.labels, system.scores, 0)
    if not draws:
        return plain
    path = folder / f"drawn-{_digest(samples, system, draws)}.npz" if folder else None
    drawn = _read(path, plain) if path else None
    if drawn is None:
        drawn = dict(score(system.name, samples.users, samples.labels, system.scores, draws).drawn)
        if path:
            _write(path, drawn)
    return replace(plain, drawn=drawn)


def _digest(samples: Labelled, system: System, draws: int) -> str:
    found = hashlib.sha256(f"{_VERSION} {draws} {','.join(METRICS)}".encode())
    for array in (samples.users, samples.labels, system.scores):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:24]


def _read(path: Path, plain: Scored) -> dict[str, Drawn] | None:
    try:
        with np.load(path) as stored:
            return {metric: Drawn(plain.values[metric], stored[metric]) for metric in METRICS}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _write(path: Path, drawn: Mapping[str, Drawn]) -> None:
    """Without it the next run takes longer, no more."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **{metric: own.each for metric, own in drawn.items()})  # type: ignore[arg-type]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_bytes(packed.getvalue())
        beside.replace(path)
    except OSError:
        return
