"""What every page has: its header, notices and errors."""

from __future__ import annotations

from app.rendering.templating import render

# (route, name) of the pages that exist.
ROUTES = (
    ("/", "Predict"),
    ("/what-if", "What-if"),
    ("/users", "Users"),
    ("/evaluate", "Evaluate"),
    ("/stories", "Stories"),
    ("/library", "Library"),
)


def header(current: str, dataset: str, licence: str) -> str:
    """The navigation and the dataset at hand."""
    return render("header.html", routes=ROUTES, current=current, dataset=dataset, licence=licence)


def notice(cast: str, tuned: str, reasoning: str, *, time_ordered: bool = True) -> str:
    """What a reader must know before believing a number (``View.cast``); empty where there is nothing."""
    return render(
        "notice.html",
        cast=cast,
        tuned=tuned,
        reasoning=reasoning,
        time_ordered=time_ordered,
    )


def error_box(message: str) -> str:
    """One error, as text."""
    return render("error.html", message=message)
