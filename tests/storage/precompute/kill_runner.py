"""Kill ``precompute`` at random moments: a process of its own, so that each victim starts from loaded libraries.

Usage: kill_runner FOLDER KILLS SEED. ``FOLDER/home`` holds a prepared dataset; it is copied to ``home-0``, and to the
next whenever a run ended before it could be killed. Prints the homes and in which stages the victims were killed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

# Loaded before the forks; nothing is computed here, so no thread of theirs exists when a victim is forked.
import faiss  # noqa: F401
import torch
import torch_geometric.nn.models  # noqa: F401

from backend.settings import Settings
from storage.workspace import Workspace
from tests.storage.precompute.conftest import QUICK


def work(home: Path) -> None:
    """One run of ``precompute``."""
    torch.set_num_threads(1)
    longer = {"collaborative": {"dimensions": 8, "max_epochs": 15}, "align": {"max_epochs": 15}}
    Workspace(Settings(home=home, **QUICK | longer)).precompute().run()


def files(home: Path) -> set[tuple[str, int]]:
    """Every file and when it was written. Not rglob: folders get their names, and go, while this looks."""
    paths = set()
    for folder, _, names in os.walk(home / "artifacts"):
        for path in (os.path.join(folder, name) for name in names):
            with suppress(FileNotFoundError):
                paths.add((path, os.stat(path).st_mtime_ns))
    return paths


def killed(home: Path, chance: random.Random) -> str | None:
    """Start a run, kill it a random moment after some of its files appeared; the unfinished folder, None: it ended."""
    before, files_to_wait_for = files(home), chance.randint(1, 3)
    victim = os.fork()
    if victim == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        work(home)
        os._exit(0)
    while len(files(home) - before) < files_to_wait_for:
        if os.waitpid(victim, os.WNOHANG)[0]:
            return None
        time.sleep(0.001)
    time.sleep(chance.random() * 0.05)
    os.kill(victim, signal.SIGKILL)
    _, status = os.waitpid(victim, 0)
    parts = sorted(path.name for path in (home / "artifacts").glob(".*.part"))
    return (parts[0] if parts else "between artifacts") if os.WIFSIGNALED(status) else None


def main() -> None:
    folder, kills, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    places: list[str] = []
    homes: list[Path] = []
    ended = True
    while (ended and not homes) or len(places) < kills:
        if ended:
            homes.append(Path(shutil.copytree(folder / "home", folder / f"home-{len(homes)}")))
        place = killed(homes[-1], chance) if kills else None
        ended = place is None
        if place:
            places.append(place)
    for home in homes:
        work(home)
    print(json.dumps({"homes": list(map(str, homes)), "places": places}))


if __name__ == "__main__":
    main()
