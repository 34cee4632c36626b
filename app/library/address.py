"""What the Library page's address says. The browser is asked for it with every event: no value has to follow it."""

from __future__ import annotations

from typing import ClassVar

from app.shared.address import Address, Text

# The first input of an event, whatever it held, is the address as it is now.
HERE = "(_, ...rest) => [location.search, ...rest]"


class LibraryQuery(Address):
    """``dataset``: empty for the settings' own. ``artifact``: the key of the artifact whose fold is open, if one is."""

    path: ClassVar[str] = "/library"

    dataset: Text = ""
    artifact: Text = ""
