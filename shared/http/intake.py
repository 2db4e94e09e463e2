"""The first look at a request, before any route: its size, its media type, and whether it is JSON at all.

Pure ASGI. The body is read here once, within a bound and a deadline, and handed on as one piece.
"""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http import problems
from shared.http.problems import Problem

BODY_DEADLINE_SECONDS = 30.0
DRAIN_SECONDS = 2.0

NDJSON = "application/x-ndjson"
"""Lines of JSON, each judged by itself: the route reads them."""

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_NUL_ESCAPE = b"\\u0000"


class Disconnected(Exception):
    """The client went away before its body was complete."""


class Intake:
    """Refuses what no route could read; lets everything else through with its body complete."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        line_paths: Collection[str] = (),
        body_deadline_seconds: float = BODY_DEADLINE_SECONDS,
    ) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.line_paths = frozenset(line_paths)
        self.body_deadline_seconds = body_deadline_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
                raise problems.nul_character()
            if scope["method"] not in _WITHOUT_BODY:
                receive = _replay(await self._body(scope, receive), receive)
        except Problem as problem:
            await problem.response(scope)(scope, receive, send)
            return
        except Disconnected:
            return
        await self.app(scope, receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if _declared_length(headers) > self.max_body_bytes:
            if b"expect" not in headers:  # Who waits to be told to go on is answered without being told.
                await _drain(receive)
            raise problems.body_too_large(self.max_body_bytes)
        body = await self._whole(receive)
        if len(body) > self.max_body_bytes:
            raise problems.body_too_large(self.max_body_bytes)
        if scope["path"] in self.line_paths:
            _require_media_type(headers, NDJSON, _media_type(headers) == NDJSON.encode())
        elif body:
            _require_json(headers, body)
        return body

    async def _whole(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        length = 0
        try:
            # The first piece, too: a client may send the head alone and keep a place among those in flight.
            async with asyncio.timeout(self.body_deadline_seconds):
                while True:
                    message = await self._chunk(receive)
                    chunk = message.get("body", b"")
                    chunks.append(chunk)
                    length += len(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
                    if length > self.max_body_bytes:
                        await _drain(receive)
                        raise problems.body_too_large(self.max_body_bytes)
        except TimeoutError:
            raise problems.body_too_slow(self.body_deadline_seconds) from None

    async def _chunk(self, receive: Receive) -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        return message


async def _drain(receive: Receive) -> None:
    """Lets the rest of a refused body arrive, for a moment: a client that is still sending when the
    connection closes never sees the answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
                pass


def _declared_length(headers: dict[bytes, bytes]) -> int:
    declared = headers.get(b"content-length", b"0")
    return int(declared) if declared.isdigit() and len(declared) < 20 else 0


def _media_type(headers: dict[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()


def _require_media_type(headers: dict[bytes, bytes], wanted: str, is_wanted: bool) -> None:
    if not is_wanted:
        raise problems.unsupported_media_type("The body has another Content-Type, or none", wanted)
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise problems.unsupported_media_type("The body is compressed", wanted)


def _require_json(headers: dict[bytes, bytes], body: bytes) -> None:
    media_type = _media_type(headers)
    is_json = media_type == b"application/json" or (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    )
    _require_media_type(headers, "application/json", is_json)
    try:
        # Stricter than the framework's parser: no NaN, no lone surrogate, nothing but UTF-8, bounded depth.
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise problems.malformed_json(f"{error.msg}, at character {error.pos}") from None
    if _NUL_ESCAPE in body and _holds_nul(value):
        raise problems.nul_character()


def _holds_nul(value: Any) -> bool:
    """Whether any text within holds U+0000; asked only where the bytes look like it. Never recursive."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if "\x00" in one:
                return True
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one)
            waiting.extend(one.values())
    return False


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the whole body once, then what the connection really says."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
