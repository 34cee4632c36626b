"""Folders that stand in for images: layers over a Debian root, mounted as an overlay, with what a process needs.

Needs root on Linux, and a mount namespace of its own (:mod:`tests.docker.run_steps` makes one), so that no mount
outlives the run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
# What stands in for each base image: packages over Debian bookworm's smallest root, and links as the image has them.
# CUDA's image is Ubuntu with NVIDIA's libraries; neither can be had from Debian, so its stand-in has neither.
STAND_INS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "python:3.11-slim-bookworm": (
        ("ca-certificates", "python3", "python3-venv"),
        {"usr/local/bin/python": "/usr/bin/python3.11", "usr/local/bin/python3": "/usr/bin/python3.11"},
    ),
    "nvidia/cuda:13.0.3-base-ubuntu24.04": (("ca-certificates",), {}),
}
# Images of Debian and Ubuntu keep apt from leaving its caches in a layer.
_NO_CACHES = (
    'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";\nBinary::apt::APT::Keep-Downloaded-Packages "false";\n'
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass(frozen=True)
class Bind:
    """A file or folder of this machine that build steps see, read-only, at the same place."""

    path: Path


def stand_in(image: str, scratch: Path) -> Path:
    """The root that stands in for a base image, made once. Raises ``KeyError`` for an image without a stand-in."""
    packages, links = STAND_INS[image]
    root = scratch / "bases" / image.replace("/", "_").replace(":", "_")
    if not root.exists():
        part = root.with_name(root.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        run(["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", "bookworm", str(part), MIRROR])
        for name, target in links.items():
            (part / name).symlink_to(target)
        (part / "etc/apt/apt.conf.d/docker-clean").write_text(_NO_CACHES)
        run(["chroot", str(part), "apt-get", "clean"])
        part.replace(root)
    return root


def run(command: Sequence[str]) -> None:
    """Run on this machine, its output shown only where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} exited {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")


@contextmanager
def mounted(layers: Sequence[Path], upper: Path, binds: Sequence[Bind] = ()) -> Iterator[Path]:
    """An overlay of ``layers`` (lowest first) whose changes go to ``upper``, with /dev and the binds."""
    work, merged, points = (upper.with_name(f"{upper.name}.{name}") for name in ("work", "merged", "points"))
    for folder in (work, merged, points):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    upper.mkdir(parents=True, exist_ok=True)
    _mount_points(points, binds)
    # Relative paths: the kernel takes no more than one page of options.
    common = Path(os.path.commonpath([upper, work, points, *layers]))
    lower = ":".join(str(layer.relative_to(common)) for layer in [*reversed(layers), points])
    options = f"lowerdir={lower},upperdir={upper.relative_to(common)},workdir={work.relative_to(common)}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(merged)], check=True, cwd=common)
    try:
        _devices(merged / "dev")
        for bind in binds:
            place = merged / bind.path.relative_to("/")
            run(["mount", "--bind", "-o", "ro", str(bind.path.resolve()), str(place)])
        yield merged
    finally:
        run(["umount", "--recursive", "--lazy", str(merged)])
        for folder in (work, points):
            shutil.rmtree(folder, ignore_errors=True)
        merged.rmdir()


def _mount_points(points: Path, binds: Sequence[Bind]) -> None:
    for bind in binds:
        place = points / bind.path.relative_to("/")
        if bind.path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()


def _devices(dev: Path) -> None:
    run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(dev)])
    for name in _DEVICES:
        (dev / name).touch()
        run(["mount", "--bind", f"/dev/{name}", str(dev / name)])
    for name, target in {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        (dev / name).symlink_to(f"/proc/self/{target}")
    (dev / "shm").mkdir(mode=0o1777)
    (dev / "shm").chmod(0o1777)


def size(folder: Path) -> int:
    """Bytes of all files below, each once."""
    seen: dict[int, int] = {}
    for where, _, names in os.walk(folder):
        for name in names:
            facts = os.lstat(os.path.join(where, name))
            seen[facts.st_ino] = facts.st_size
    return sum(seen.values())
