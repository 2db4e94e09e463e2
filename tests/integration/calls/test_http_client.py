"""A request that was not sent and one that is unanswered are told apart: money depends on it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from shared import crash_points
from shared.calls.http_client import HttpClient, NotSent, Unanswered, open_client

DEADLINE_SECONDS = 0.3
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def gateway(serve: Serve, *, connections: int = 4) -> AsyncIterator[HttpClient]:
    """A client of a gateway that reads each request wholly and then does as `serve` says."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await serve(reader, writer)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(accept(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = open_client(
        f"http://127.0.0.1:{port}", timeout_seconds=DEADLINE_SECONDS, connections=connections
    )
    try:
        yield client
    finally:
        await client.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.close()


async def test_an_answer_comes_with_its_status_headers_and_body() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()

    async with gateway(answer) as client:
        response = await client.request("POST", "/v1/things", b"{}", {"idempotency-key": "k"})
    assert (response.status, response.headers["retry-after"], response.body) == (429, "7", b"{}")


async def test_a_late_answer_is_unknown() -> None:
    async def never(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with gateway(never) as client:
        with pytest.raises(Unanswered):
            await client.request("POST", "/", b"{}")


async def test_a_connection_closed_after_the_request_is_unknown() -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with gateway(close) as client:
        with pytest.raises(Unanswered):
            await client.request("POST", "/", b"{}")


async def test_an_answer_that_breaks_off_is_unknown() -> None:
    async def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async with gateway(half) as client:
        with pytest.raises(Unanswered):
            await client.request("POST", "/", b"{}")


async def test_a_refused_connection_was_not_sent() -> None:
    server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    client = open_client(f"http://127.0.0.1:{port}", timeout_seconds=0.3, connections=1)
    with pytest.raises(NotSent):
        await client.request("POST", "/", b"{}")
    await client.close()


class StandsStill:
    """A process that is stopped just before it sends, and goes on when the time for that is over."""

    def pass_by(self, point: str) -> None:
        goes_on_at = time.monotonic() + DEADLINE_SECONDS
        while point == crash_points.BEFORE_SEND and time.monotonic() < goes_on_at:
            pass


async def test_who_stood_still_until_the_time_was_over_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append("a request")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    came: list[str] = []
    async with gateway(answer) as client:
        with monkeypatch.context() as stopped:
            stopped.setattr(crash_points, "orders", StandsStill())
            with pytest.raises(NotSent):
                await client.request("POST", "/", b"{}")
        assert (await client.request("POST", "/", b"{}")).status == 200
    assert came == ["a request"]


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async def redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 307 Elsewhere\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with gateway(redirect) as client:
        assert (await client.request("POST", "/", b"{}")).status == 307
