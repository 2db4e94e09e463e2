"""One keep-alive HTTP/1.1 connection, one request at a time: an answer that is whole, or unknown.

Hazards that this file is about:
- From the first byte handed to the transport the request may have its effect: whatever goes wrong after
  that is `Unanswered`, also where the server closed the idle connection just before and read nothing.
- A connection is used again only after an answer that is complete and was the only thing on it. After any
  fault it is closed, so that a late answer is never taken for the next request's.
- An answer must say its length (Content-Length or chunks): one that ends where the connection ends looks
  the same as one that was cut off.
"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, cast

import httptools

MAX_ANSWER_BYTES = 1024 * 1024
"""Of one answer as it comes, headers and sizes of chunks included."""
MAX_HEADERS_BYTES = 32 * 1024


class Unanswered(Exception):
    """The request may have been written and there is no usable answer: what it did is unknown."""


class HttpAnswer(NamedTuple):
    """Status, headers with lower-case names (of equal ones the last), and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpConnection(asyncio.Protocol):
    """What asyncio and the parser call are theirs; a pool calls `send`, `close` and looks at `usable`."""

    __slots__ = (
        "_answer",
        "_body",
        "_headers",
        "_headers_bytes",
        "_loop",
        "_parser",
        "_received_bytes",
        "_timer",
        "_transport",
        "idle_since",
        "usable",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0
        self.usable = False
        """Whether another request may be sent: connected, and nothing is under way or left over."""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._headers_bytes = 0
        self._received_bytes = 0

    def send(self, request: bytes, within_seconds: float) -> asyncio.Future[HttpAnswer]:
        """Write the bytes of a request; the answer, or Unanswered when the time is over.

        Whoever stops waiting before that closes the connection.
        """
        if self._transport is None or not self.usable:
            raise RuntimeError("only an idle connection takes a request")
        self.usable = False
        self._received_bytes = self._headers_bytes = 0
        self._answer = answer = self._loop.create_future()
        self._timer = self._loop.call_later(max(0.0, within_seconds), self._break, "no answer in time")
        self._transport.write(request)
        return answer

    def close(self) -> None:
        """Close at once; a request under way is unanswered."""
        self._break("closed by us")

    # -- asyncio's side -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is an asyncio.Transport in all but ancestry.
        self._transport = cast(asyncio.Transport, transport)
        self.usable = True

    def connection_lost(self, error: Exception | None) -> None:
        self._break(f"the connection broke: {error}" if error else "the connection was closed")

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self._break("bytes that nobody asked for")
            return
        self._received_bytes += len(data)
        if self._received_bytes > MAX_ANSWER_BYTES:
            self._break(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._break("the answer leaves HTTP/1.1")
        except httptools.HttpParserError as error:
            self._break(f"the answer is not HTTP/1.1: {error}")

    # -- the parser's side --------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._answer is None:
            self._break("more than one answer")
        self._headers = {}
        self._body = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers_bytes += len(name) + len(value)
        if self._headers_bytes > MAX_HEADERS_BYTES:
            self._break(f"the answer has more than {MAX_HEADERS_BYTES} bytes of headers")
        else:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        answer, body = self._answer, self._body
        if status < 200 or answer is None:
            return  # 1xx announces an answer and is none
        if self._timer is not None:
            self._timer.cancel()
        self._answer = None
        self.usable = self._parser.should_keep_alive()
        if not answer.done():
            whole = body[0] if len(body) == 1 else b"".join(body)
            answer.set_result(HttpAnswer(status, self._headers, whole))

    # -- the end ------------------------------------------------------------------------------------

    def _break(self, why: str) -> None:
        """Never to be used again; whoever waits learns that nothing is known."""
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(Unanswered(why))
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
