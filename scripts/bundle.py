"""``python -m scripts.bundle``: the finished artifacts of the default settings become the ones that ship (maintainers).

What takes but seconds to make is left out: it is large, and made when it is first needed.
"""

from __future__ import annotations

import shutil

from backend.settings import load_settings
from scripts.console import log
from storage.artifacts import BUNDLE
from storage.workspace import Workspace


def run() -> None:
    """Make what is missing, then replace the bundle with it."""
    workspace = Workspace(load_settings())
    work = workspace.precompute()
    work.run(progress=lambda _what, _fraction: None, on_done=lambda artifact: log.print(f"made {artifact.folder.name}"))
    ready = [item.artifact for item in work.plan() if item.artifact and not item.node.stage.quick]
    beside = BUNDLE.with_name("bundle.new")
    shutil.rmtree(beside, ignore_errors=True)
    for artifact in ready:
        shutil.copytree(artifact.folder, beside / artifact.folder.name)
    shutil.rmtree(BUNDLE, ignore_errors=True)
    beside.rename(BUNDLE)
    log.print(f"{len(ready)} artifacts, {sum(artifact.bytes for artifact in ready) / 1e6:,.1f} MB, in {BUNDLE}")


if __name__ == "__main__":
    run()
