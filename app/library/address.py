"""What the Library page's address says. The browser is asked for it with every event: no value has to follow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

# The first input of an event, whatever it held, is the address as it is now.
HERE = "(_, ...rest) => [location.search, ...rest]"


@dataclass(frozen=True)
class Address:
    """``dataset``: empty for the settings' own. ``fold``: the key of the artifact whose fold is open, if one is."""

    dataset: str = ""
    fold: str = ""

    @classmethod
    def parse(cls, address: Any) -> Address:
        """From ``?dataset=...&artifact=...``; a browser can send anything, and what else is there is passed over."""
        given = dict(parse_qsl(str(address or "").partition("?")[2]))
        return cls(given.get("dataset", ""), given.get("artifact", ""))
