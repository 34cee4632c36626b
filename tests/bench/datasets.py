"""Importing large raw files: a set of MovieLens 1M's shape, and Amazon reviews as a stream.

Each import is a process of its own on one core: seconds by the clock and of the processor, and the peak of its
resident set, with Python and all libraries. The raw files are made up, in a folder that is removed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.backend.datasets.made import ML_1M, amazon_product, write_ml_1m

ROOT = Path(__file__).parents[2]
# What is allowed: seconds (where said) and MB.
LIMITS = {"ml-1m": (20.0, 1_500), "amazon-2023": (None, 2_000)}

# A process's peak starts at that of the one that forked it: a small one stands between, and tells what its child took.
_LAUNCHER = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss]))
raise SystemExit(code)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reviews", type=int, default=5_000_000)
    parser.add_argument("--only", default="ml-1m,amazon-2023")
    arguments = parser.parse_args()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rallrec-bench-") as scratch:
        for name in arguments.only.split(","):
            source = Path(scratch) / name
            if name == "ml-1m":
                write_ml_1m(source, **ML_1M)
            else:
                write_many_reviews(source, arguments.reviews)
            report[name] = measure(source, name, Path(scratch) / "home")
    print(json.dumps(report, indent=2))


def measure(source: Path, format_name: str, home: Path) -> dict[str, Any]:
    """What ``rallrec data import`` said, and what it took."""
    words = ["data", "import", str(source), "--name", format_name, "--format", format_name, "--json"]
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", _LAUNCHER, sys.executable, "-m", "scripts", *words],
        cwd=ROOT,
        env=os.environ | {"RALLREC_HOME": str(home)},
        stdout=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
    if process.returncode:
        raise SystemExit(process.returncode)
    clock = time.perf_counter() - started
    seconds, megabytes = LIMITS[format_name]
    facts, (processor, peak) = (json.loads(line) for line in said.rsplit(b"\n", 2)[:2])
    return {name: facts[name] for name in ("users", "items", "samples", "train", "valid", "test", "interactions")} | {
        "raw_mb": round(sum(path.stat().st_size for path in source.iterdir()) / 2**20),
        "clock_seconds": round(clock, 1),
        "processor_seconds": round(processor, 1),
        "peak_mb": round(peak / (2**10 if sys.platform != "darwin" else 2**20)),
        "limits": {"seconds": seconds, "mb": megabytes},
    }


def write_many_reviews(folder: Path, count: int) -> None:
    """``count`` reviews of 2023's form, gzipped: half as many users as reviews, most with one or two, as in the real
    set (17 million reviews by 6.5 million users); 60,000 products."""
    folder.mkdir(parents=True)
    products, rng = 60_000, np.random.default_rng(0)
    with gzip.open(folder / "meta_Movies_and_TV.jsonl.gz", "wb", compresslevel=1) as file:
        for n in range(products):
            file.write(json.dumps(amazon_product(2023, n, f"Film {n}")).encode() + b"\n")
    review = (
        b'{"rating": %d.0, "title": "Fine", "text": "%s", "images": [], "asin": "B%09d", "parent_asin": "B%09d", '
        b'"user_id": "A%027d", "timestamp": %d, "helpful_vote": 0, "verified_purchase": true}\n'
    )
    text = b"A film that does what it says, and does it well enough. " * 4
    with gzip.open(folder / "Movies_and_TV.jsonl.gz", "wb", compresslevel=1) as file:
        for start in range(0, count, 100_000):
            size = min(100_000, count - start)
            users = np.minimum(rng.pareto(0.6, size) * 100, count // 2).astype(np.int64)
            products_of = np.minimum(rng.pareto(0.8, size) * 50, products - 1).astype(np.int64)
            stars, times = rng.integers(1, 6, size), 10**12 + rng.integers(0, 6 * 10**11, size)
            rows = zip(*(c.tolist() for c in (stars, products_of, users, times)), strict=True)
            file.write(b"".join(review % (mark, text, item, item, user, when) for mark, item, user, when in rows))


if __name__ == "__main__":
    main()
