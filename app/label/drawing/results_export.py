"""What can be taken along: each format with what it is for, and for admins the way back in."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from app.shared.templating import render
from backend.labelling.formats import FORMATS


def exports(project: str, counts: Mapping[str, int], *, everything: bool, imports: bool) -> str:
    """``counts``: labels by status, and ``resolved``. ``everything``: raw labels too, not resolved ones alone."""
    groups = [("resolved", "Resolved", "what reviewers wrote after reading all labels of a task", counts["resolved"])]
    if everything:
        whole = sum(count for status, count in counts.items() if status != "resolved")
        groups = [
            ("submitted", "Submitted", "what people said, as they submitted it", counts["submitted"]),
            ("all", "All", "with skipped ones and drafts, each with its status", whole),
            *groups,
        ]
    return render(
        "label/results_export.html",
        groups=[
            {
                "name": name,
                "label": label,
                "about": about,
                "count": count,
                "links": {own.name: download(project, own.name, name) for own in FORMATS.values()},
            }
            for name, label, about, count in groups
        ],
        formats=list(FORMATS.values()),
        agreement=download(project, "agreement"),
        setup=download(project, "label-studio-setup"),
        imports=imports,
    )


def download(project: str, name: str, status: str = "") -> str:
    """Where a file of the project is fetched: in this format, of labels with this status."""
    asked = {"project": project, "format": name, "status": status}
    return "/labels/export?" + urlencode({key: value for key, value in asked.items() if value})
