"""What the doctor found, a pure function of it."""

from __future__ import annotations

from collections.abc import Sequence

from app.shared.templating import render
from storage.doctor.findings import Finding

# state -> (sign, word); colour is never the only sign
_STATES = {"ok": ("✓", "ok"), "missing": ("✗", "missing"), "optional": ("○", "can do without")}


def doctor_panel(findings: Sequence[Finding] | None, when: str = "") -> str:
    """Every finding, with what to do about it, and ``when`` it was looked for; None: it is being looked for."""
    rows = [{"found": one, "sign": _STATES[one.state][0], "word": _STATES[one.state][1]} for one in findings or ()]
    missing = [one.name for one in findings or () if one.state == "missing"]
    return render("library/doctor.html", rows=rows, missing=missing, when=when)
