"""HTTP/1.1 on a bare asyncio protocol: as little as is correct, because it is in the bench's hot path.

Answers leave in the order of their requests, also when one is held back. They are written at the end of
the loop's tick, after the journal was: what a client was told is remembered.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

import httptools

from .exchange import NO_ANSWER, SECOND, Reply, error_reply

BODY_LIMIT: Final = 1 << 20
HEAD_LIMIT: Final = 32 << 10
TARGET_LIMIT: Final = 2048
WAITING_LIMIT: Final = 256
LINGER_SECONDS: Final = 2.0
SILENCE_LIMIT_SECONDS: Final = 600.0
"""A client that never gives up is cut off after this long."""

_HEADS: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: ".encode()
    for status in HTTPStatus
}
_JSON_HEADS: Final = {
    status: head + b"application/json\r\nContent-Length: " for status, head in _HEADS.items()
}

Answer = Callable[[str, str, "str | None", bytes], Reply]
"""(method, target, idempotency key, body) to reply."""


def encoded(reply: Reply, *, last: bool = False) -> bytes:
    """The bytes of a reply; `last` says that the connection closes after it."""
    body = reply.body
    if reply.content_type == b"application/json":
        head = b"%b%d\r\n" % (_JSON_HEADS[reply.status], len(body))
    else:
        head = b"%b%b\r\nContent-Length: %d\r\n" % (_HEADS[reply.status], reply.content_type, len(body))
    if reply.replayed:
        head += b"Idempotent-Replayed: true\r\n"
    if reply.retry_after_seconds is not None:
        head += b"Retry-After: %d\r\n" % reply.retry_after_seconds
    if reply.next_after is not None:
        head += b"Next-After: %d\r\n" % reply.next_after
    if last:
        head += b"Connection: close\r\n"
    return b"%b\r\n%b" % (head, body)


class Listener:
    """What the connections of one server share: who answers, and the end of the tick."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, answer: Answer, before_writing: Callable[[], None]
    ) -> None:
        self.loop = loop
        self.answer = answer
        self._before_writing = before_writing
        self._ready: list[Connection] = []
        self.connections: set[Connection] = set()

    def has_answers(self, connection: Connection) -> None:
        if not self._ready:
            self.loop.call_soon(self.end_tick)
        self._ready.append(connection)

    def end_tick(self) -> None:
        """Journal first, then the answers. If the journal cannot be written, none is given."""
        ready, self._ready = self._ready, []
        self._before_writing()
        for connection in ready:
            connection.write_answers()

    def close(self) -> None:
        for connection in tuple(self.connections):
            connection.close()


class _Held:
    """The place in line of an answer that is not sent yet."""

    __slots__ = ("content", "ready", "silent")

    def __init__(self, content: bytes, *, ready: bool, silent: bool) -> None:
        self.content = content
        self.ready = ready
        self.silent = silent


class Connection(asyncio.Protocol):
    """One client: parses what comes, however it is cut up, and answers in order."""

    __slots__ = (
        "_body",
        "_body_size",
        "_closing",
        "_expects",
        "_head_size",
        "_in_head",
        "_key",
        "_keys_seen",
        "_listener",
        "_out",
        "_parser",
        "_paused",
        "_refused",
        "_target",
        "_timers",
        "_transport",
        "_waiting",
    )

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._waiting: deque[_Held] = deque()
        self._timers: list[asyncio.TimerHandle] = []
        self._closing = False
        self._refused = False
        self._paused = False
        self.on_message_begin()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is an asyncio.Transport in all but ancestry.
        self._transport = cast(asyncio.Transport, transport)
        self._listener.connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._closing = True
        self._transport = None
        self._listener.connections.discard(self)
        for timer in self._timers:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._closing = True  # answered as if nothing else had been asked; what follows is not HTTP
        except httptools.HttpParserError:
            self._refuse(400, "http_malformed", "This is not an HTTP/1.1 request.")
        else:
            if self._in_head and not self._closing:
                # Fields that are not complete yet are only seen here.
                self._head_size += len(data)
                if self._head_size > 2 * HEAD_LIMIT:
                    self._refuse(431, "headers_too_large", f"At most {HEAD_LIMIT} bytes of headers.")

    def eof_received(self) -> bool:
        """A client that only shut down its sending side still gets the answers that will come."""
        self._closing = True
        return bool(self._out) or (bool(self._waiting) and not self._waiting[0].silent)

    def pause_writing(self) -> None:
        self._pause()

    def resume_writing(self) -> None:
        self._resume()

    # the parser's side

    def on_message_begin(self) -> None:
        self._target = b""
        self._key: bytes | None = None
        self._keys_seen = 0
        self._body: list[bytes] = []
        self._body_size = 0
        self._head_size = 0
        self._in_head = True
        self._expects = False

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        size = len(name)
        self._head_size += size + len(value)
        if not self._in_head:
            # A trailer after a chunked body: counted, never believed.
            if self._head_size > HEAD_LIMIT:
                self._refuse(431, "headers_too_large", f"At most {HEAD_LIMIT} bytes of headers.")
            return
        if size == 15 and name.lower() == b"idempotency-key":
            self._key = value
            self._keys_seen += 1
        elif size == 6 and name.lower() == b"expect":
            self._expects = True
        elif size == 14 and name.lower() == b"content-length" and len(value) > 6 and int(value) > BODY_LIMIT:
            self._body_size = int(value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._head_size > HEAD_LIMIT:
            self._refuse(431, "headers_too_large", f"At most {HEAD_LIMIT} bytes of headers.")
        elif len(self._target) > TARGET_LIMIT:
            self._refuse(414, "target_too_long", f"At most {TARGET_LIMIT} bytes of path and query.")
        elif self._body_size > BODY_LIMIT:
            self._refuse(413, "body_too_large", f"At most {BODY_LIMIT} bytes of body.")
        elif self._keys_seen > 1:
            self._refuse(400, "idempotency_key_invalid", "Only one Idempotency-Key header.")
        elif self._expects and not self._closing:
            self._enqueue(b"HTTP/1.1 100 Continue\r\n\r\n", 0)
        self._body_size = 0

    def on_body(self, body: bytes) -> None:
        if self._closing:
            return
        self._body_size += len(body)
        if self._body_size > BODY_LIMIT:
            self._refuse(413, "body_too_large", f"At most {BODY_LIMIT} bytes of body.")
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._closing:
            return
        parts = self._body
        key = self._key
        method = self._parser.get_method()
        try:
            reply = self._listener.answer(
                method.decode("latin-1"),
                self._target.decode("latin-1"),
                None if key is None else key.decode("latin-1"),
                parts[0] if len(parts) == 1 else b"".join(parts),
            )
        except Exception:
            # A defect of the sandbox: the parser would pass it off as the client's malformed request.
            traceback.print_exc()
            reply = error_reply(500, "sandbox_defect", "The sandbox is broken: its log says where.")
        if method == b"HEAD":
            reply = Reply(405, b"")  # an answer to HEAD has no body, and nothing here is served by it
        self._send(reply, last=not self._parser.should_keep_alive())

    # answers

    def _refuse(self, status: int, code: str, message: str) -> None:
        """The stream cannot be followed any more: say why, then close."""
        if not self._closing:
            self._refused = True
            self._send(error_reply(status, code, message), last=True)

    def _send(self, reply: Reply, *, last: bool) -> None:
        self._closing = self._closing or last
        self._enqueue(encoded(reply, last=last), reply.hold_us)

    def _enqueue(self, content: bytes, hold_us: int) -> None:
        if hold_us == 0 and not self._waiting:
            if not self._out:
                self._listener.has_answers(self)
            self._out.append(content)
            return
        held = _Held(content, ready=hold_us == 0, silent=hold_us == NO_ANSWER)
        self._waiting.append(held)
        if hold_us == NO_ANSWER:
            self._timers.append(self._listener.loop.call_later(SILENCE_LIMIT_SECONDS, self.close))
        elif hold_us:
            self._timers.append(self._listener.loop.call_later(hold_us / SECOND, self._release, held))
        if len(self._waiting) >= WAITING_LIMIT:
            self._pause()

    def _release(self, held: _Held) -> None:
        held.ready = True
        while self._waiting and self._waiting[0].ready:
            if not self._out:
                self._listener.has_answers(self)
            self._out.append(self._waiting.popleft().content)
        if not self._waiting:
            self._timers.clear()
            self._resume()

    def write_answers(self) -> None:
        out, self._out = self._out, []
        if self._transport is None:
            return
        self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._closing and not self._waiting:
            if self._refused and not self._transport.is_closing():
                # Closing with unread bytes resets the connection, and the answer is lost with it.
                self._transport.write_eof()
                self._timers.append(self._listener.loop.call_later(LINGER_SECONDS, self.close))
            else:
                self._transport.close()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._transport is not None and len(self._waiting) < WAITING_LIMIT:
            self._paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort() if self._waiting else self._transport.close()
