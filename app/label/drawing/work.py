"""The work view: one task as whoever labels it sees it. ``task`` everywhere is the service's JSON of a task."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from app.label.drawing.frame import address
from app.shared.templating import render
from backend.labelling import Account, Rubric
from backend.labelling.judgement import CANNOT, PREFERENCES, TIE

# What a person may say when they pass a task on.
SKIP_REASONS = (
    "The text cannot be read",
    "I know this too little",
    "It is not in a language that I read",
    "The task is broken",
)
CONFIDENCE = ("a guess", "unsure", "rather sure", "sure", "certain")
SIGNS = {"good": "✓", "neutral": "–", "bad": "✗", "unsure": "?"}
_NOTHING = {
    "done": "Nothing is left for you here: all that you may label is labelled.",
    "reserved": "All that is left is with others at the moment.",
    "closed": "This project is closed: no tasks are handed out.",
    "unqualified": "The first tasks of this project told whether its rules are clear, and they did not seem to be. A "
    "reviewer has to let you in.",
}
_SIDES = PREFERENCES[:2]


def work(task: Mapping[str, Any], rubric: Rubric, account: Account, *, edits: bool = False) -> str:
    """A task with everything that can be said of it. ``edits``: it is a submitted label that is opened again."""
    titles = {row["title"]: str(row["item"]) for row in task["history"]}
    project = task["project"]
    chains = [
        {
            "id": chain["id"],
            "side": _SIDES[place] if len(task["chains"]) > 1 else "",
            "steps": [
                {"id": step["id"], "number": number, "pieces": pieces(step["text"], titles)}
                for number, step in enumerate(chain["steps"], 1)
            ],
        }
        for place, chain in enumerate(task["chains"])
    ]
    pair = project["mode"] == "pair"
    return render(
        "label/work.html",
        task=task,
        project=project,
        chains=chains,
        pair=pair,
        rubric=rubric,
        choices=[_choice(choice) for choice in rubric.steps],
        tags=[_choice(tag) for tag in rubric.tags],
        confidence=CONFIDENCE,
        preferences=_preferences(chains) if pair else [],
        reasons=SKIP_REASONS,
        draft=json.dumps(task.get("draft") or {"version": task.get("version", 0)}),
        edits=edits,
        reviewer=account.role in ("admin", "reviewer"),
        here=address("work", project["key"], task=task["task"]),
        profile=profile(task["history"]),
        hidden=task.get("hidden"),
        text="\n".join(step["text"] for step in task["chains"][0]["steps"]),
    )


def fetching() -> str:
    """That a task is being fetched: ``label.js`` does it."""
    return render("label/nothing.html", says="")


def nothing(reason: str, until: str, skipped: str, project: str) -> str:
    """That there is no task for now. ``reason`` as the queue gives it; ``until``: when to look again, or empty;
    ``project``: its key.
    """
    return render(
        "label/nothing.html",
        says=_NOTHING.get(reason, "There is no task for you here now."),
        until=until[11:16] if reason == "reserved" else "",
        skipped=skipped if skipped.isdecimal() and skipped != "0" else "",
        mine=address("mine", project),
    )


def pieces(text: str, titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """``text`` cut at the titles of the history that it names: (words, item), with no item for what is between."""
    cited: list[tuple[int, int, str]] = []
    for title in sorted((title for title in titles if title and title in text), key=len, reverse=True):
        at = text.find(title)
        while at >= 0:
            end = at + len(title)
            if not any(at < stop and start < end for start, stop, _ in cited):
                cited.append((at, end, titles[title]))
            at = text.find(title, end)
    cut, begin = [], 0
    for start, end, item in sorted(cited):
        cut += [(text[begin:start], ""), (text[start:end], item)]
        begin = end
    return [piece for piece in (*cut, (text[begin:], "")) if piece[0]]


def profile(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the user rates, as far as the history tells: count, mean, how often each rating, the main genres."""
    ratings = [row["rating"] for row in history if row["rating"] is not None]
    counts = Counter(ratings)
    genres = Counter(genre for row in history for genre in row["genres"])
    most = max(counts.values(), default=1)
    return {
        "count": len(history),
        "mean": sum(ratings) / len(ratings) if ratings else None,
        "ratings": [
            {"value": value, "count": counts[value], "height": round(100 * counts[value] / most)}
            for value in sorted(counts)
        ],
        "genres": genres.most_common(6),
        "retrieved": sum(bool(row["retrieved"]) for row in history),
    }


def underlined(label: str, key: str) -> Markup:
    """The label with the letter underlined that is its key."""
    at = label.lower().find(key)
    if at < 0:
        return Markup("{} <kbd>{}</kbd>").format(label, key)
    return Markup("{}<u>{}</u>{}").format(label[:at], label[at], label[at + 1 :])


def _choice(choice: Any) -> dict[str, Any]:
    return {
        "name": choice.name,
        "key": choice.key,
        "label": underlined(choice.label, choice.key),
        "plain": choice.label,
        "means": choice.means,
        "sign": SIGNS.get(choice.name, ""),
    }


def _preferences(chains: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    better = [(chain["id"], f"The {chain['side']} is better") for chain in chains]
    ways = [*better, (TIE, "They are alike"), (CANNOT, "I can't tell")]
    return [{"value": value, "label": label, "key": str(number)} for number, (value, label) in enumerate(ways, 1)]
