"""A bounded pool of keep-alive connections to one gateway, made for one question: was the request sent?

It follows no redirect, repeats no request and uses no proxy. docs/adr/0003 says why it is ours.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from shared import crash_points
from shared.calls.http_connection import HttpAnswer, HttpConnection, Unanswered

__all__ = ["HttpAnswer", "HttpClient", "MaySend", "NotSent", "Unanswered", "open_client"]

CONNECT_SECONDS = 2.0
POOL_SECONDS = 1.0
IDLE_SECONDS = 4.0
"""A connection that has waited longer is not used again: many servers close it after 5 s, and a request that
crosses with the closing is unanswered, hence unknown."""
SOON_SECONDS = 0.05
"""A request that waits longer for its connection is late: the instant of its permit is over (ADR 0009)."""


class NotSent(Exception):
    """The request was not written: there was no connection, no free one in time, or no time left."""


MaySend = Callable[[float], Awaitable[bool]]
"""Whether a request may be sent, known within so many seconds."""


class HttpClient:
    """Requests to one gateway, at most `connections` at once."""

    def __init__(
        self, base_url: str, *, timeout_seconds: float, connections: int, tls: ssl.SSLContext | None
    ) -> None:
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"not an http or https URL: {base_url!r}")
        self._tls = (tls or ssl.create_default_context()) if url.scheme == "https" else None
        self._host = url.hostname
        self._port = url.port or (443 if self._tls else 80)
        self._prefix = url.path.rstrip("/")
        self._after_path = f" HTTP/1.1\r\nhost: {url.netloc.rpartition('@')[2]}\r\naccept: */*\r\n"
        self._timeout_seconds = timeout_seconds
        self._free = connections
        self._turns: deque[asyncio.Future[None]] = deque()
        self._idle: list[HttpConnection] = []
        self._closed = False
        self._may_send: MaySend | None = None

    def ask_when_late(self, may_send: MaySend) -> None:
        """Have a request that had to wait for its connection ask once more: its permit may have lapsed."""
        self._may_send = may_send

    async def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send one request; `body` is JSON unless `headers` say otherwise.

        The deadline is for all of it, from here to the last byte.

        Raises:
            NotSent: it certainly had no effect.
            Unanswered: it may have had its effect.
            ValueError: the path or a header cannot be sent as it is; nothing was.
        """
        content = self._written(method, path, body, headers)
        deadline = time.monotonic() + self._timeout_seconds
        if self._free:
            self._free -= 1
        else:
            await self._wait_for_turn()
        try:
            connection = self._waiting_connection() or await self._new_connection(deadline)
            try:
                if self._may_send is not None:
                    left_seconds = deadline - time.monotonic()
                    is_late = self._timeout_seconds - left_seconds > SOON_SECONDS
                    if is_late and not await self._may_send(left_seconds):
                        raise NotSent("its permit had lapsed before there was a connection")
                if crash_points.orders is not None:
                    crash_points.orders.pass_by(crash_points.BEFORE_SEND)
                # The last look before the first byte: who stood still may have lost the lease meanwhile.
                left_seconds = deadline - time.monotonic()
                if left_seconds <= 0:
                    connection.close()
                    raise NotSent("the time was over before it could be written")
                answer = await connection.send(content, left_seconds)
                if crash_points.orders is not None:
                    crash_points.orders.pass_by(crash_points.SEND_TO_RESULT)
                return answer
            finally:
                self._put_back(connection)
        finally:
            self._pass_turn_on()

    async def close(self) -> None:
        """Close every connection. A request under way keeps its own until it ends."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _written(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> bytes:
        """The bytes of a request."""
        head = f"{method} {self._prefix}{path}{self._after_path}"
        lines = 3
        for name, value in (headers or {}).items():
            head += f"{name}: {value}\r\n"
            lines += 1
        # Hazard: a line break from outside in a path or a header would be a request of its own.
        if " " in path or head.count("\n") != lines or head.count("\r") != lines or "\0" in head:
            raise ValueError("a path without spaces and headers of one line each are needed")
        if body is None:
            return (head + ("\r\n" if method == "GET" else "content-length: 0\r\n\r\n")).encode("ascii")
        if headers is None or "content-type" not in headers:
            head += "content-type: application/json\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode("ascii") + body

    async def _wait_for_turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            async with asyncio.timeout(min(POOL_SECONDS, self._timeout_seconds)):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # It was given in the very moment in which the wait ended.
                self._pass_turn_on()
            if isinstance(error, TimeoutError):
                raise NotSent("no connection became free in time") from None
            raise

    def _pass_turn_on(self) -> None:
        """To whoever has waited longest and still waits."""
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _waiting_connection(self) -> HttpConnection | None:
        """The connection used last, so that the others grow old. One closed meanwhile is left out."""
        youngest = time.monotonic() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since >= youngest:
                return connection
            connection.close()
        return None

    async def _new_connection(self, deadline: float) -> HttpConnection:
        if self._closed:
            raise NotSent("the client is closed")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(min(deadline - time.monotonic(), CONNECT_SECONDS)):
                _, connection = await loop.create_connection(
                    lambda: HttpConnection(loop), self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError, UnicodeError) as error:
            raise NotSent(f"no connection: {type(error).__name__}: {error}") from error
        if not connection.usable:
            raise NotSent("the connection was closed as soon as it was there")
        return connection

    def _put_back(self, connection: HttpConnection) -> None:
        """Also after a cancellation, when the answer is still on its way: such a connection is closed."""
        if connection.usable and not self._closed:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.close()


def open_client(
    base_url: str, *, timeout_seconds: float, connections: int, tls: ssl.SSLContext | None = None
) -> HttpClient:
    """A client with a deadline for the whole of each request. Close it when done.

    `tls` is for an https gateway whose certificate the system's authorities have not signed.
    """
    return HttpClient(base_url, timeout_seconds=timeout_seconds, connections=connections, tls=tls)
