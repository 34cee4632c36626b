"""``rallrec doctor``: what this machine has and what is missing. Looks only; changes nothing, imports no torch."""

from __future__ import annotations

from dataclasses import asdict

from backend.settings import load_settings
from scripts.console import out, print_json
from storage.doctor.checks import check

_MARKS = {"ok": "ok     ", "missing": "missing", "optional": "-      "}


def run(*, profile: str | None, as_json: bool) -> None:
    """Print all findings; exit code 1 where something is missing."""
    findings = check(load_settings(profile=profile))
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            fix = f"  ->  {finding.fix}" if finding.fix else ""
            out.print(f"{_MARKS[finding.state]} {finding.name}: {finding.detail}{fix}", markup=False)
    if any(finding.state == "missing" for finding in findings):
        raise SystemExit(1)
