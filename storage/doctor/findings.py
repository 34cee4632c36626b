"""What a check of the machine finds, and the looks at the machine that several checks share. Imports no torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

# Seconds to wait for the GPU's driver.
_DRIVER_WAIT = 10


@dataclass(frozen=True)
class Finding:
    """``state``: ok, missing (something will not work) or optional; ``fix`` says what to do.

    ``profile``: the model profile that this is about, if it is about one.
    """

    name: str
    state: str
    detail: str
    fix: str = ""
    profile: str = ""


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU; memory in GiB."""

    name: str
    total: float
    free: float

    def __str__(self) -> str:
        return f"{self.name}, {self.total:.0f} GiB, {self.free:.0f} GiB of it free"


def installed(package: str) -> str | None:
    """Returns the version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def has_gpu() -> bool:
    """Whether models can run on an NVIDIA GPU of this machine. It is asked once: a driver takes its time."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and bool(gpus())


def gpus() -> list[Gpu]:
    """Returns the NVIDIA GPUs that the driver lists; none where there is no driver that answers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=_DRIVER_WAIT, check=True).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return []
    listed = []
    for line in told.splitlines():
        name, *memory = (part.strip() for part in line.rsplit(",", 2))
        try:
            total, free = (float(part) / 1024 for part in memory)
        except ValueError:  # "[N/A]": a GPU that shares the machine's memory
            continue
        listed.append(Gpu(name, total, free))
    return listed
