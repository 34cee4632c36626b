"""A job in a process of its own: ``python -m storage.jobs.child``, started and watched by the app.

A process of its own, because training and writing texts would slow every page of the process that they share, because
it can be ended at any moment and takes nothing with it, and because its memory is given back. Its first line of input
is the order, each further one ``pause``, ``go`` or ``stop``; the end of its input is a stop too, so that it never
outlives the app. It writes one JSON object a line: reports, and as the last one how it ended. It touches no row of the
jobs.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any, TextIO

from backend.errors import RallrecError, Stopped
from storage.jobs.kind import JobReport

# Seconds for the work to end once its input has ended.
_GRACE = 20.0
# Seconds between two reports that only move a number.
_EVERY = 0.2


class Orders:
    """What the app wants by now, read in a thread. ``stop`` waits as long as a pause lasts."""

    def __init__(self, source: TextIO) -> None:
        self._source = source
        self._stop, self._go = threading.Event(), threading.Event()
        self._go.set()
        threading.Thread(target=self._read, name="orders", daemon=True).start()

    def stop(self) -> bool:
        while not self._stop.is_set() and not self._go.wait(0.1):
            pass
        return self._stop.is_set()

    def _read(self) -> None:
        for line in self._source:
            {"pause": self._go.clear, "go": self._go.set, "stop": self._stop.set}.get(line.strip(), lambda: None)()
        self._stop.set()
        time.sleep(_GRACE)
        os._exit(1)


class Teller:
    """Writes reports, no more often than they can be seen to change."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last = 0.0

    def report(self, report: JobReport) -> None:
        now = time.monotonic()
        if now - self._last >= _EVERY or report.fraction == 1.0:
            self._last = now
            self.write(asdict(report))

    def write(self, value: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):
            self._out.write(json.dumps(value) + "\n")
            self._out.flush()


def main() -> None:
    """Do the job that the first line of input orders. Whatever happens is told in the last line of output."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no report
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the app's, which ends this input
    os.nice(10)
    logging.basicConfig(level=logging.WARNING)
    order = json.loads(sys.stdin.readline())
    orders, teller = Orders(sys.stdin), Teller(out)
    try:
        _work(order, orders, teller)
        ended = {"ended": "done"}
    except Stopped:
        ended = {"ended": "stopped"}
    except RallrecError as error:
        ended = {"ended": "failed", "error": str(error)}
    except Exception as error:
        logging.exception("a job failed")
        ended = {"ended": "failed", "error": f"{type(error).__name__}: {error}. The server's log says more."}
    teller.write(ended)
    out.flush()
    os._exit(0)  # threads of libraries may never end


def _work(order: dict[str, Any], orders: Orders, teller: Teller) -> None:
    from backend.settings import Settings
    from storage.jobs.kinds import stored
    from storage.workspace import Workspace

    teller.write(asdict(JobReport("loading")))
    with Workspace(Settings(**order["settings"])) as workspace:
        stored(order["kind"], order["params"]).perform(workspace, teller.report, orders.stop)


if __name__ == "__main__":
    main()
