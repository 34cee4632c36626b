"""A chain's tokens with the text that the server sent beside them, so that they need not be sent back to be decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload


class Spoken(Sequence[int]):
    """Token ids in the parts they came in. Its beginnings (``spoken[:n]``) know their text too."""

    def __init__(self, parts: Sequence[tuple[tuple[int, ...], str | None]] = ()) -> None:
        self._parts = list(parts)
        self._length = sum(len(tokens) for tokens, _ in parts)
        self._text = "".join(text for _, text in parts if text is not None)

    def add(self, tokens: Sequence[int], text: str) -> None:
        """What came next."""
        self._parts.append((tuple(tokens), text))
        self._length += len(tokens)
        self._text += text

    def known(self) -> tuple[str, tuple[int, ...]]:
        """The text as far as it is known, and the tokens after it (where a part was cut) that are left to decode."""
        tokens, text = self._parts[-1] if self._parts else ((), "")
        return self._text, () if text is not None else tokens

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        return (token for tokens, _ in self._parts for token in tokens)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...
    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        if isinstance(place, slice) and not place.start and place.step is None:
            return self._beginning(range(len(self))[place].stop)
        return list(self)[place]

    def _beginning(self, length: int) -> Spoken:
        parts: list[tuple[tuple[int, ...], str | None]] = []
        for tokens, text in self._parts:
            if len(tokens) > length:
                return Spoken([*parts, (tokens[:length], None)] if length else parts)
            parts.append((tokens, text))
            length -= len(tokens)
        return Spoken(parts)
