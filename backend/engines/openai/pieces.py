"""What has been shown of a chain, over the repetitions of a request, and the text of chat servers' chains."""

from __future__ import annotations

from collections.abc import Callable

from backend.engines.base import THINK_CLOSE, THINK_OPEN
from backend.engines.openai.faults import ServerFault

Show = Callable[[str], None]
_OPEN = THINK_OPEN.strip()


class Shown:
    """Hands the new part of a growing text to ``show``, nothing twice. Without ``show`` there is nothing to keep to.

    A stream that breaks off is asked for again with the same seed, and its text is expected to begin in the same way:
    what was shown cannot be taken back. Where it does not, the chain fails.
    """

    def __init__(self, show: Show | None) -> None:
        self._show, self._text = show, ""

    def grow(self, text: str, *, last: bool = False) -> None:
        """``text`` is the chain so far. Raises ``ServerFault`` where it departs from what was shown."""
        if self._show is None:
            return
        goes_on = text.startswith(self._text)
        if not goes_on and (last or not self._text.startswith(text)):
            raise ServerFault(
                "A chain's stream broke off after a part of it was shown, and on repetition the server wrote another",
                expected="the same text for the same seed",
                fix="ask again",
            )
        if goes_on and text != self._text:
            piece, self._text = text[len(self._text) :], text
            self._show(piece)


class ThinkingText:
    """What comes after ``<think>``, whether the server leaves the thinking in the text or takes it out."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._kind = ""

    def add(self, reasoning: str, content: str) -> None:
        """What came next, of either kind."""
        for kind, text in (("reasoning", reasoning), ("content", content)):
            if not text:
                continue
            if kind == "content" and self._kind == "reasoning":
                self._parts.append(f"\n{THINK_CLOSE}\n\n")
            self._kind = kind
            self._parts.append(text)

    def text(self, *, last: bool = False) -> str:
        """The chain so far; nothing while it may still begin with ``<think>``."""
        text = "".join(self._parts)
        self._parts = [text]
        start = text.lstrip()
        if not last and len(start) <= len(_OPEN) and _OPEN.startswith(start):
            return ""
        return start.removeprefix(_OPEN).removeprefix("\n") if start.startswith(_OPEN) else text


def reasoning_of(text: str) -> str:
    """A chain up to its last ``</think>``, which is left out; all of it where it was never closed."""
    head, closed, _ = text.rpartition(THINK_CLOSE)
    return head.rstrip("\n") if closed else text
