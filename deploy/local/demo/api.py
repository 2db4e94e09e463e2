"""The services' HTTP APIs as the demo calls them: JSON in, JSON out, anything unexpected is an error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import orjson

from deploy.local.errors import LocalStackError
from shared.calls.http_client import HttpClient, NotSent, Unanswered, open_client

TIMEOUT_SECONDS: Final = 20.0
CONNECTIONS: Final = 16
BULK_ITEMS: Final = 1_000
POLL_SECONDS: Final = 0.2
CALLER: Final = "demo"
Json = Mapping[str, object]


class Reply(NamedTuple):
    """A status and the body, parsed."""

    status: int
    body: Any


class Api:
    """Every service by its name. Use it in `async with`."""

    def __init__(self, url_of: Callable[[str], str], services: Sequence[str]) -> None:
        self._url_of = url_of
        self._services = services
        self._clients: dict[str, HttpClient] = {}

    async def __aenter__(self) -> Self:
        for service in self._services:
            self._clients[service] = open_client(
                self._url_of(service), timeout_seconds=TIMEOUT_SECONDS, connections=CONNECTIONS
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.close()

    async def call(
        self, service: str, method: str, path: str, body: Json | None = None, *, key: str | None = None
    ) -> Reply:
        """One request. Raises LocalStackError where the service does not answer."""
        headers = {"recarga-caller": CALLER}
        if key is not None:
            headers["idempotency-key"] = key
        content = None if body is None else orjson.dumps(body)
        try:
            answer = await self._clients[service].request(method, path, content, headers)
        except (NotSent, Unanswered) as error:
            raise LocalStackError(f"{service} did not answer {method} {path}: {error}") from error
        return Reply(answer.status, orjson.loads(answer.body) if answer.body else None)

    async def must(
        self, service: str, method: str, path: str, body: Json | None = None, *, key: str | None = None
    ) -> Any:
        """The body of a request that has to succeed. Raises LocalStackError with the problem it met."""
        reply = await self.call(service, method, path, body, key=key)
        if reply.status >= 300:
            raise LocalStackError(f"{service} refused {method} {path}: {problem_text(reply.body)}")
        return reply.body

    async def bulk(
        self, service: str, path: str, items: Sequence[Json], *, deadline_seconds: float = 0.0
    ) -> None:
        """All items, a thousand at a time. What is refused is sent again until the deadline.

        A service may not have heard yet of what the items name: it says so, and soon accepts them. Raises
        LocalStackError with the first refusal that stays.
        """
        until = time.monotonic() + deadline_seconds
        left: Sequence[Json] = items
        while left:
            refused: list[tuple[Json, Any]] = []
            for start in range(0, len(left), BULK_ITEMS):
                part = left[start : start + BULK_ITEMS]
                answer = await self.must(service, "POST", path, {"items": part})
                refused += [(part[each["index"]], each["problem"]) for each in answer["refused"]]
            if refused and time.monotonic() > until:
                raise LocalStackError(
                    f"{service} refused {len(refused)} of {len(items)} items at {path}, "
                    f"the first because: {problem_text(refused[0][1])}"
                )
            left = [item for item, _ in refused]
            if left:
                await asyncio.sleep(POLL_SECONDS)


def problem_text(body: Any) -> str:
    """A problem document in one line."""
    if not isinstance(body, dict):
        return "no reason given"
    parts = [str(body[name]) for name in ("title", "detail") if body.get(name)]
    parts += [str(error) for error in body.get("errors", ())][:3]
    return " ".join(parts) or str(body)


async def until(
    check: Callable[[], Awaitable[bool]], deadline_seconds: float, otherwise: Callable[[], str]
) -> None:
    """Asks again and again. Raises LocalStackError with `otherwise()` after the deadline."""
    end = time.monotonic() + deadline_seconds
    while not await check():
        if time.monotonic() > end:
            raise LocalStackError(f"After {deadline_seconds:g} s: {otherwise()}")
        await asyncio.sleep(POLL_SECONDS)
