"""HTTP as any client speaks it: a request as bytes, and what came back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 20
PROBLEM_JSON = "application/problem+json"
PROBLEM_TYPES = "urn:recarga:problem:"


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers with lower-case names, and the body as it came."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    @property
    def problem(self) -> str:
        """The last part of the problem's type; fails where the answer is no problem document."""
        assert self.status >= 400, (self.status, self.content)
        assert self.headers.get("content-type", "").startswith(PROBLEM_JSON), self
        document = self.body
        assert document["type"].startswith(PROBLEM_TYPES), document
        assert document["status"] == self.status, document
        assert document["detail"].strip(), document
        return str(document["type"]).removeprefix(PROBLEM_TYPES)


async def send(
    base_url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """One request over a connection of its own; `headers` are sent as they are. Raises OSError."""
    return await asyncio.to_thread(_send, base_url, method, path, body, headers or {})


async def send_json(
    base_url: str, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """The same with a JSON body."""
    content = None if body is None else json.dumps(body).encode()
    return await send(
        base_url, method, path, content, {"content-type": "application/json", **(headers or {})}
    )


def _send(base_url: str, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
    connection = HTTPConnection(urlsplit(base_url).netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        content = response.read()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
    finally:
        connection.close()
