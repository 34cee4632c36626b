"""The Library page's doctor: what ``rallrec doctor`` finds under its settings. Knows no Gradio and no HTML."""

from __future__ import annotations

import threading
import time

from storage.doctor.checks import check
from storage.doctor.findings import Finding
from storage.workspace import Workspace


class DoctorService:
    """One per app and dataset. Methods may be called from any thread, and never raise ``RallrecError``."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._found: tuple[float, list[Finding]] | None = None

    def findings(self) -> list[Finding]:
        """What the checks find now. It may wait for model servers; who asks meanwhile shares the next look."""
        asked = time.monotonic()
        with self._lock:
            if self._found is None or self._found[0] < asked:
                self._found = time.monotonic(), check(self._workspace.settings)
            return self._found[1]
