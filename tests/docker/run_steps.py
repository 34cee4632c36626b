"""Carry out a target's steps and start it, without a container engine.

    sudo python -m tests.docker.run_steps --target cpu

Debian roots (debootstrap) stand in for the base images, overlays for layers, namespaces for the container. It needs
root, Linux, debootstrap, and the package ``dockerfile``. A machine whose pip goes through a mirror says so with
``--bind /etc/pip.conf --env PIP_CERT``: build steps see those, the image does not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.docker import checks
from tests.docker.builder import Builder, Image
from tests.docker.recipe import ROOT, read
from tests.docker.roots import Bind, size

_OWN_MOUNTS = "RUN_STEPS_OWN_MOUNTS"


def main() -> int:
    """Exit code: 0 if everything held."""
    options = _options()
    if os.environ.get(_OWN_MOUNTS) != "yes":
        # Every mount lives in a namespace that ends with this process.
        command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.docker.run_steps"]
        os.execvpe(command[0], [*command, *sys.argv[1:]], os.environ | {_OWN_MOUNTS: "yes"})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what it started ends with it
    scratch = options.scratch
    if options.fresh:
        shutil.rmtree(scratch / "layers", ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)
    builder = Builder(
        read(options.context / "Dockerfile"),
        options.context,
        scratch,
        dict(word.split("=", 1) for word in options.build_arg),
        {name: os.environ[name] for name in options.env if name in os.environ},
        # Names of hosts are looked up as on this machine.
        [Bind(Path(path)) for path in ["/etc/resolv.conf", "/etc/hosts", *options.bind]],
        _tell,
    )
    image = builder.build(options.target)
    _sizes(options.target, image)
    if options.build_only:
        return 0
    failed = checks.run_all(image, scratch, options.predict, options.compilers, _tell)
    _tell(f"{options.target}: {len(failed)} failed" if failed else f"{options.target}: all checks held")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--context", type=Path, default=ROOT, help="the folder that is sent to the builder")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/rallrec-docker"), help="roots and layers; some GB")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--bind", action="append", default=[], metavar="PATH", help="build steps see it, read-only")
    parser.add_argument("--env", action="append", default=[], metavar="NAME", help="build steps see this variable")
    parser.add_argument("--predict", action="store_true", help="ask the model for a prediction too (a minute)")
    parser.add_argument("--compilers", action="store_true", help="the image is meant to have a C compiler")
    parser.add_argument("--build-only", action="store_true", help="do not start it")
    parser.add_argument("--fresh", action="store_true", help="use no layer of an earlier run")
    return parser.parse_args()


def _sizes(target: str, image: Image) -> None:
    _tell(f"{target}: layers, MB and seconds (as first made)")
    for text, taken, seconds in image.made:
        _tell(f"{taken / 1e6:10,.1f} {seconds:7.1f}  {text[:100]}")
    base = size(image.layers[0])
    total = base + sum(taken for _, taken, _ in image.made)
    _tell(f"{target}: {total / 1e6:,.0f} MB, of which {base / 1e6:,.0f} MB are the root that stands in for the base")


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
