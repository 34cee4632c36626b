"""Kill ``precompute`` in each of its stages: a process of its own, so that each victim starts from loaded libraries.

Usage: kill_runner FOLDER SEED. ``FOLDER/home`` holds a prepared dataset. It is copied to ``calm``, where a run is left
alone, to ``home-0``, and to the next whenever a run ended before it could be killed. Prints the homes but the calm one,
and the unfinished folders that the victims left.
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
from importlib import import_module
from pathlib import Path

from backend.settings import Settings
from storage.precompute.graph import STAGES
from storage.workspace import Workspace
from tests.storage.precompute.conftest import QUICK


def work(home: Path) -> None:
    """One run of ``precompute``."""
    longer = {"collaborative": {"dimensions": 8, "max_epochs": 15}, "align": {"max_epochs": 15}}
    Workspace(Settings(home=home, **QUICK | longer)).precompute().run()


def undisturbed(home: Path) -> None:
    """Let a run come to its end, and load what it loaded: here nothing is computed, so that no thread is forked."""
    loaded = home.parent / "loaded"
    if (worker := os.fork()) == 0:
        work(home)
        loaded.write_text("\n".join(sys.modules))
        os._exit(0)
    assert os.waitpid(worker, 0)[1] == 0
    for name in loaded.read_text().splitlines():
        with suppress(ImportError):
            import_module(name)


def unfinished(home: Path, stage: str) -> set[tuple[str, int]]:
    """What there is of the stage's unfinished folder, and when it was written. It may go while this looks."""
    there = set()
    for part in (home / "artifacts").glob(f".{stage}-*.part"):
        for folder, _, names in os.walk(part):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                with suppress(FileNotFoundError):
                    there.add((path, os.stat(path).st_mtime_ns))
    return there


def killed(home: Path, stage: str, wait: float) -> str | None:
    """Start a run, kill it so many seconds after it wrote for the stage; the unfinished folder, None: it ended."""
    before = unfinished(home, stage)
    victim = os.fork()
    if victim == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        work(home)
        os._exit(0)
    while not unfinished(home, stage) - before:
        if os.waitpid(victim, os.WNOHANG)[0]:
            return None
        time.sleep(0.001)
    time.sleep(wait)
    os.kill(victim, signal.SIGKILL)
    _, status = os.waitpid(victim, 0)
    parts = sorted(path.name for path in (home / "artifacts").glob(".*.part"))
    return (parts[0] if parts else "between artifacts") if os.WIFSIGNALED(status) else None


def main() -> None:
    folder, chance = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    undisturbed(Path(shutil.copytree(folder / "home", folder / "calm")))
    places: list[str] = []
    homes: list[Path] = []
    ended = True
    for stage in (stage.kind for stage in STAGES if not stage.extra):
        # Twice: the second victim goes on with what the first one left.
        for _ in range(2):
            if ended:
                homes.append(Path(shutil.copytree(folder / "home", folder / f"home-{len(homes)}")))
            place = killed(homes[-1], stage, chance.random() * 0.05)
            ended = place is None
            places += [place] if place else []
    for home in homes:
        work(home)
    print(json.dumps({"homes": list(map(str, homes)), "places": places}))


if __name__ == "__main__":
    main()
