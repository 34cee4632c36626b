"""Ten people moving sliders at once: from a move that is sent to its drawn panels received; prints one JSON object.

    python -m tests.bench.crowd [--people 10] [--seconds 20]

Each person has a session of their own, on a sample of their own, and sends what the page sends when gamma moves (the
same call, at most one move on its way, ten moves a second). The naive peer, in the same run, is one person alone.
Server and people share this machine's cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from app.shared.address import SampleAddress
from storage.precompute.artifacts import BUNDLE
from storage.shipped import shipped_samples
from tests.bench.sliders import summary
from tests.browser.serving import SCRIPTED, precompute, server

_EVERY = 0.1


class Visitor:
    """One open page. ``times``: seconds per move."""

    def __init__(self, url: str, number: int, config: dict[str, Any]) -> None:
        self.times: list[float] = []
        self._client = httpx.Client(base_url=url, timeout=30)
        parts = {part["props"].get("elem_id"): part for part in config["components"]}
        self._call = {"component_id": parts["live"]["id"], "fn_name": "move", "session_hash": f"person{number}"}
        hidden = {name: parts.get(f"{name}-id", parts.get(name)) for name in SampleAddress.names()}
        self._values = {name: part["props"].get("value") for name, part in hidden.items()}
        self._values["user"], self._values["item"] = shipped_samples(BUNDLE, "test")[number]

    def move(self, gamma: float) -> None:
        move = {"page": self._call["session_hash"], "values": self._values | {"gamma": gamma}, "truth": False}
        started = time.perf_counter()
        answer = self._client.post("/gradio_api/component_server/", json=self._call | {"data": move})
        answer.raise_for_status()
        panels = answer.json()
        assert 'class="error"' not in panels.get("status", ""), panels["status"]
        assert self.times or "rerank" in panels, "a page's first move draws all"
        self.times.append(time.perf_counter() - started)

    def drag(self, seconds: float) -> None:
        """To and fro, as a hand does."""
        end, count = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            begun = time.perf_counter()
            self.move(round(abs(count % 80 - 40) / 40, 3))
            count += 1
            time.sleep(max(0.0, _EVERY - (time.perf_counter() - begun)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        precompute(home)
        with server(home, **SCRIPTED, scripted_delay=0) as url:
            config = httpx.get(f"{url}/config", timeout=60).json()
            Visitor(url, 0, config).drag(3)  # what is made at the first question is not counted
            alone = _crowd(url, config, 1, arguments.seconds / 2)
            crowd = _crowd(url, config, arguments.people, arguments.seconds)
    report = {"alone": alone, "crowd": crowd, "people": arguments.people}
    report["crowd_over_alone"] = round(crowd["median_ms"] / alone["median_ms"], 2)
    print(json.dumps(report, indent=2))


def _crowd(url: str, config: dict[str, Any], people: int, seconds: float) -> dict[str, float]:
    crowd = [Visitor(url, number, config) for number in range(people)]
    threads = [threading.Thread(target=person.drag, args=(seconds,)) for person in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return summary([1000 * duration for person in crowd for duration in person.times])


if __name__ == "__main__":
    main()
