"""Training that survives a kill: epochs kept on disk one by one, and the best one's weights at the end.

What an epoch does is left to the caller. It may depend on nothing but the model, the optimiser and the epoch's number
(draw inside :func:`seeded`): then a run that was killed or stopped, and goes on, ends in the same bytes as one that was
not. A file that is damaged or belongs to another run is passed over: starting anew only costs time.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import Stopped, StorageError, UsageError
from backend.seeding import derive_seed, digest
from backend.types import Progress, Stop

if TYPE_CHECKING:
    import torch

# One epoch's numbers; None where a number cannot be had (nothing is held out).
Point = dict[str, Any]
_SEAL = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Run:
    """One training run: where it is kept, what makes it this run (:func:`run_key`), how long it may last.

    ``patience``: after how many epochs without a better score it ends. ``label`` names it in ``progress``.
    """

    label: str
    key: str
    checkpoint: Path
    max_epochs: int
    patience: int
    progress: Progress | None = None
    stop: Stop | None = None

    def check_stop(self) -> None:
        """Raises ``Stopped`` where somebody asked for it; to be called between batches too."""
        if self.stop is not None and self.stop():
            raise Stopped()

    def fit(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        epoch: Callable[[int], Point],
        score: Callable[[Point], float | None],
    ) -> tuple[list[Point], int]:
        """Train until the last epoch or ``patience``: the curve, and the best epoch, whose weights ``model`` has then.

        ``epoch(n)``, n from 1, trains one epoch and returns its numbers; ``score`` of them is to be as high as can be.
        Where it is None the latest epoch counts as the best. Raises ``Stopped`` (the epochs done are kept),
        ``UsageError`` (the numbers are no longer finite) and ``StorageError``.
        """
        curve: list[Point] = []
        best = model.state_dict()
        if kept := load_state(self.checkpoint, self.key):
            model.load_state_dict(kept["model"])
            optimizer.load_state_dict(kept["optimizer"])
            curve, best = kept["curve"], kept["best"]
        while len(curve) < self.max_epochs and len(curve) - _best(curve, score) < max(self.patience, 1):
            self.check_stop()
            curve.append({"epoch": len(curve) + 1, **epoch(len(curve) + 1)})
            self._check_finite(curve[-1])
            if _best(curve, score) == len(curve):
                best = {name: value.clone() for name, value in model.state_dict().items()}
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "curve": curve, "best": best}
            save_state(self.checkpoint, self.key, state)
            self._report(curve[-1])
        model.load_state_dict(best)
        return curve, _best(curve, score)

    def _check_finite(self, point: Point) -> None:
        if not all(np.isfinite(v) for v in point.values() if v is not None):
            raise UsageError(f"Training the {self.label} went astray: {point}", fix="set a lower learning_rate")

    def _report(self, point: Point) -> None:
        if self.progress is not None:
            numbers = ", ".join(f"{k} {v:.4f}" for k, v in point.items() if isinstance(v, float))
            done = point["epoch"]
            self.progress(f"{self.label}: epoch {done} of at most {self.max_epochs}, {numbers}", done / self.max_epochs)


def _best(curve: list[Point], score: Callable[[Point], float | None]) -> int:
    """The number of the best epoch, the first of equals; 0 before the first."""
    best, highest = 0, -np.inf
    for point in curve:
        reached = score(point)
        if reached is None or reached > highest:
            best, highest = point["epoch"], -np.inf if reached is None else reached
    return best


def run_key(config: Mapping[str, Any], seed: int, arrays: Mapping[str, np.ndarray]) -> str:
    """What a run's result depends on, as 64 hexadecimal characters: settings, seed, and the bytes it learns from."""
    parts = {
        name: [array.dtype.str, array.shape, hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()]
        for name, array in arrays.items()
    }
    return digest([config, seed, parts])


def save_state(path: Path, key: str, state: Mapping[str, Any]) -> None:
    """Put ``state`` (tensors, numbers, text, lists, mappings) at ``path``, all at once. Raises ``StorageError``."""
    import torch

    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    payload = buffer.getvalue()
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            out.write(_seal(key, payload))
            out.write(payload)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as error:
        raise StorageError(
            f"The training state cannot be written to {path} ({error})",
            fix="free some space, or set RALLREC_HOME to a folder that can be written",
        ) from error


def load_state(path: Path, key: str) -> dict[str, Any] | None:
    """What :func:`save_state` wrote under this ``key``, on the CPU; None for no file, a damaged one, another run's."""
    import torch

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            f"The training state {path} cannot be read ({error})", fix="delete it; the training starts anew"
        ) from error
    seal, payload = content[:_SEAL], content[_SEAL:]
    if seal != _seal(key, payload):
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return state


def _seal(key: str, payload: bytes) -> bytes:
    # One checksum answers two questions: whether the file is whole, and whether it is of this run.
    return hashlib.sha256(key.encode() + payload).digest()


@contextmanager
def seeded(seed: int, *parts: Any) -> Iterator[None]:
    """torch's generators (the CPU's, and every GPU's) seeded from ``seed`` and ``parts`` in here, then as before."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derive_seed(seed, *parts))
        yield


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one. Raises ``UsageError`` for a device that this machine lacks."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name != "cpu" and not (name.startswith("cuda") and torch.cuda.is_available()):
        raise UsageError(f"The device {name!r} is not there", expected="auto, cpu, or cuda where there is a GPU")
    return torch.device(name)
