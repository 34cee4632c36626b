"""From ``rallrec serve`` to a drawn first page in Chromium, as a second start; prints one JSON object.

python -m tests.bench.first_page [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from tests.browser.serving import browser, server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    times, loaded = [], []
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        home = Path(folder)
        for run in range(arguments.runs + 1):  # the first start prepares the dataset and is not counted
            started = time.perf_counter()
            with server(home) as url:
                page = chromium.new_page()
                page.goto(url)
                page.wait_for_selector("#target .lead")
                if run:
                    times.append(time.perf_counter() - started)
                    loaded.append(_torch_loaded(home))
                page.close()
    print(
        json.dumps(
            {
                "seconds": [round(t, 2) for t in times],
                "median": round(statistics.median(times), 2),
                "torch_loaded": any(loaded),
            },
            indent=2,
        )
    )


def _torch_loaded(home: Path) -> bool:
    """Whether the server that writes to ``home`` has mapped torch's library (Linux)."""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            command = (maps.parent / "environ").read_bytes()
            if f"RALLREC_HOME={home}".encode() in command:
                return "libtorch" in maps.read_text()
        except OSError:
            continue
    return False


if __name__ == "__main__":
    main()
