"""One person's requests to the API, as their browser sends them."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from tests.storage.labels.conftest import PASSWORD


class Browser:
    """One person's requests, with their cookie."""

    def __init__(self, server: TestClient, name: str | None = None) -> None:
        self._server, self.cookies = server, dict[str, str]()
        if name:
            answer = self.post("login", {"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            self.cookies = {"rallrec_session": answer.cookies["rallrec_session"]}
            server.cookies.clear()

    def get(self, path: str, **query: Any) -> Any:
        self._server.cookies.clear()
        return self._server.get(f"/labels/{path}", params=query, headers=self._headers())

    def post(self, path: str, body: Any = None) -> Any:
        self._server.cookies.clear()
        return self._server.post(f"/labels/{path}", json=body or {}, headers=self._headers())

    def send(self, path: str, content: bytes = b"") -> Any:
        """Canonical lines."""
        self._server.cookies.clear()
        headers = self._headers() | {"content-type": "application/x-ndjson"}
        return self._server.post(f"/labels/{path}", content=content, headers=headers)

    def _headers(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}


def whole(task: dict[str, Any]) -> dict[str, Any]:
    scales = [scale["name"] for scale in task["project"]["rubric"]["scales"]]
    return {
        "steps": {step["id"]: {"value": "neutral"} for step in task["chains"][0]["steps"]},
        "scales": dict.fromkeys(scales, 3), "verdict": "no", "confidence": 2,
    }  # fmt: skip
