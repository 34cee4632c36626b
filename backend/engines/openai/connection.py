"""What engines of one server share: the client, the lock, and what was learnt when the server was first asked."""

from __future__ import annotations

import threading
from typing import Any

from backend.engines.config import ServerConfig
from backend.engines.openai.bridge import Bridge
from backend.engines.openai.chat_dialect import ChatDialect
from backend.engines.openai.client import ServerClient
from backend.engines.openai.dialect import Dialect
from backend.engines.openai.faults import ServerFault, unknown_model
from backend.engines.openai.tokens_dialect import open_tokens

# What servers without a list of models answer to the question for it.
_NO_LIST = (404, 405, 501)


class Connection:
    """One server. ``lock``: one call at a time."""

    def __init__(self, url: str, config: ServerConfig) -> None:
        self.client = ServerClient(url, config)
        self.lock = threading.RLock()
        self._bridge = Bridge(self.client)
        self._served: set[str] = set()
        self._dialect: Dialect | None = None

    @property
    def dialect(self) -> Dialect:
        """How to speak with the server; there once :meth:`open` has run."""
        if self._dialect is None:
            raise RuntimeError("The connection was not opened")
        return self._dialect

    def is_open(self, model: str) -> bool:
        """Whether there is nothing left to ask the server before ``model`` is used."""
        return self._dialect is not None and model in self._served

    async def open(self, model: str, context: int | None) -> None:
        """Reach the server, check that it serves ``model``, and choose how to speak. Raises ``EngineError``."""
        listed = await self._models()
        if listed is not None and model not in listed:
            raise unknown_model(model, listed, self.client.place)
        if self._dialect is None:
            self._dialect = await open_tokens(self._bridge, model, context) or ChatDialect(self.client, context)
        self._served.add(model)

    async def _models(self) -> list[str] | None:
        """The names that the server lists; None where it lists none."""
        try:
            told: Any = (await self.client.ask("/models")).get("data")
        except ServerFault as fault:
            if fault.status in _NO_LIST:
                return None
            raise
        if not isinstance(told, list):
            raise self.client.place.bad_answer("something else than a list of its models")
        return [own["id"] for own in told if isinstance(own, dict) and isinstance(own.get("id"), str)]
