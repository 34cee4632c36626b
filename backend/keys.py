"""Keys to servers and hubs stay in the environment: no setting, settings file or profile may hold one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from backend.errors import SettingsError

# The engine that asks a server reads this variable and sends it to that server alone.
API_KEY_VARIABLE = "OPENAI_API_KEY"
_LOOKS_LIKE_A_KEY = re.compile(r"(^|[_-])(api)?(key|token|secret|password)$", re.IGNORECASE)


def looks_like_a_key(name: str) -> bool:
    """Whether a setting of this name would hold a secret: ``api_key``, ``hf_token``, ``password``."""
    return _LOOKS_LIKE_A_KEY.search(name) is not None


def refuse_keys(values: Mapping[str, Any], where: str, above: str = "") -> None:
    """Raise ``SettingsError`` for an entry of ``values``, or of a table in it, that looks like a key.

    The message names the entry and ``where`` it stands, never what it says.
    """
    for name, value in values.items():
        if looks_like_a_key(name):
            raise SettingsError(
                f"{above}{name} stands in {where}",
                expected="no keys in settings: files are shared, and settings are shown",
                fix=f"take it out, and set the environment variable {API_KEY_VARIABLE} (HF_TOKEN for the model hub)",
            )
        if isinstance(value, Mapping):
            refuse_keys(value, where, f"{above}{name}.")
