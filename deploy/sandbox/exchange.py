"""What is exchanged with a sandbox server: requests in; replies, effects and events out.

Instants are integers, microseconds since the epoch (UTC); on the wire they are ISO 8601 text.
Nothing here reads a clock or touches a socket.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

SECOND: Final = 1_000_000
NO_ANSWER: Final = -1
"""`Reply.hold_us` of a reply that is never sent: the client has to give up."""

Document = dict[str, Any]

_seconds_text: dict[int, str] = {}


def instant_text(at: int) -> str:
    """ISO 8601 UTC with microseconds. The text of a second is kept: many requests share one."""
    second, fraction = divmod(at, SECOND)
    text = _seconds_text.get(second)
    if text is None:
        if len(_seconds_text) > 1_000:
            _seconds_text.clear()
        text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _seconds_text[second] = text
    return f"{text}.{fraction:06d}Z"


class Request:
    """One HTTP request. `document` is set instead of `body` when a journal is replayed."""

    __slots__ = ("body", "document", "key", "method", "target")

    def __init__(
        self, method: str, target: str, key: str | None, body: bytes, document: Document | None = None
    ) -> None:
        self.method = method
        self.target = target
        self.key = key
        self.body = body
        self.document = document


class Reply:
    """One HTTP answer. `hold_us`: microseconds to wait before it is sent, or NO_ANSWER."""

    __slots__ = ("body", "content_type", "hold_us", "next_after", "replayed", "retry_after_seconds", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        *,
        hold_us: int = 0,
        replayed: bool = False,
        retry_after_seconds: int | None = None,
        next_after: int | None = None,
        content_type: bytes = b"application/json",
    ) -> None:
        self.status = status
        self.body = body
        self.hold_us = hold_us
        self.replayed = replayed
        self.retry_after_seconds = retry_after_seconds
        self.next_after = next_after
        self.content_type = content_type


class Effect(NamedTuple):
    """Something really done: money moved, data granted, or either made impossible. Auditors compare these."""

    at: int
    operation: str
    key: str | None
    reference: str | None
    subject: str | None  # card token or ICCID
    amount: int
    unit: str | None  # currency or product code
    status: str
    effect: str
    id: str


class Event(NamedTuple):
    """A webhook to send. `mischief`: "", duplicate, late, forged or lost; `delay_us` goes with late."""

    type: str
    object: Document
    at: int
    mischief: str
    delay_us: int


class Refusal(Exception):
    """A request refused before anything was executed: never remembered under its key."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param

    def reply(self) -> Reply:
        return error_reply(self.status, self.code, self.message, param=self.param)


def json_reply(status: int, document: Document) -> Reply:
    return Reply(status, orjson.dumps(document))


def error_reply(
    status: int, code: str, message: str, *, kind: str = "invalid_request_error", **more: object
) -> Reply:
    """The error document of both servers: {"error": {"type", "code", "message", ...}}."""
    error: Document = {"type": kind, "code": code, "message": message}
    error.update((name, value) for name, value in more.items() if value is not None)
    return Reply(status, orjson.dumps({"error": error}))
