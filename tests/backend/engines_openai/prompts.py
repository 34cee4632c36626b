"""Prompts of the tests."""

from __future__ import annotations

from backend.types import Message, Messages


def ask(text: str) -> Messages:
    return (Message("system", "You recommend films."), Message("user", text))


def with_history(lines: int, question: str = "Will the user like Heat?") -> Messages:
    """A prompt with a history of so many lines, oldest first, each of which may be dropped."""
    text, droppable = "The user rated:\n", []
    for number in range(lines):
        line = f"{number}. A film of the year {1900 + number}: 4 of 5\n"
        droppable.append((len(text), len(text) + len(line)))
        text += line
    return (Message("user", text + question, tuple(droppable)),)


PROMPTS = [ask(f"Will the user like {title}?") for title in ("Ronin", "Saw", "Brazil", "Alien")]
