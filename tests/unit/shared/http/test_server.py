"""The server within a process: it starts, it refuses where it should, it lets requests finish."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from shared.http.application import create_app
from shared.http.boundary import Boundary
from shared.http.intake import Intake
from shared.http.server import HttpServer, HttpServerError


async def nothing_to_check() -> list[tuple[str, bool, str]]:
    return []


def an_app(**more: Any) -> FastAPI:
    return create_app(
        title="Empty", description="", routers=more.pop("routers", []), readiness=nothing_to_check, **more
    )


async def test_a_busy_port_is_one_clear_error() -> None:
    first = HttpServer(an_app(), "127.0.0.1", 0)
    await first.start()
    try:
        with pytest.raises(
            HttpServerError, match=f"Port {first.port} on 127.0.0.1 is taken by another program"
        ):
            await HttpServer(an_app(), "127.0.0.1", first.port).start()
    finally:
        await first.stop(1)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "shop.example"])  # noqa: S104 - refused
def test_an_address_that_others_can_reach_is_refused_unless_allowed(host: str) -> None:
    with pytest.raises(HttpServerError, match="there is no sign-in yet"):
        HttpServer(an_app(), host, 0)
    HttpServer(an_app(), host, 0, allow_non_loopback=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_an_address_of_this_machine_alone_is_fine(host: str) -> None:
    HttpServer(an_app(), host, 0)


async def test_a_lifespan_that_fails_is_an_error_and_not_the_end_of_the_process() -> None:
    @contextlib.asynccontextmanager
    async def failing(_: FastAPI) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    with pytest.raises(HttpServerError, match="did not start"):
        await HttpServer(an_app(lifespan=failing), "127.0.0.1", 0).start()


async def test_signals_stay_with_the_process() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = HttpServer(an_app(), "127.0.0.1", 0)
    await server.start()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    await server.stop(1)


async def test_stopping_lets_a_request_finish_and_takes_no_more() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()
    router = APIRouter()

    @router.get("/wait")
    async def wait() -> dict[str, str]:
        begun.set()
        await finish.wait()
        return {"done": "yes"}

    server = HttpServer(an_app(routers=[router]), "127.0.0.1", 0)
    await server.start()
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        await begun.wait()
        stopping = asyncio.create_task(server.stop(5))
        while True:
            try:
                await asyncio.open_connection("127.0.0.1", server.port)
            except ConnectionError:
                break
        finish.set()
        assert b'{"done":"yes"}' in await reader.read()
        await stopping
        writer.close()
    await server.stop(1)


def a_scope(method: str = "POST") -> dict[str, Any]:
    headers = [(b"content-type", b"application/json")]
    return {"type": "http", "method": method, "path": "/x", "query_string": b"", "headers": headers}


@pytest.mark.parametrize("pieces", [0, 1], ids=["only its head came", "only its beginning came"])
async def test_a_body_that_never_ends_is_given_up(pieces: int) -> None:
    sent: list[Any] = []
    coming = [{"type": "http.request", "body": b"{", "more_body": True}] * pieces

    async def endless() -> dict[str, Any]:
        if not coming:
            await asyncio.Event().wait()
        return coming.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    async def never(*_: Any) -> None:
        raise AssertionError("the route was reached")

    async with asyncio.timeout(5):
        await Intake(never, max_body_bytes=100, body_deadline_seconds=0.01)(a_scope(), endless, send)
    assert sent[0]["status"] == 408


async def test_one_request_too_many_is_told_to_come_again() -> None:
    answered: list[int] = []
    release = asyncio.Event()

    async def busy(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    boundary = Boundary(busy, service="busy", most_in_flight=1)
    first = asyncio.create_task(boundary(a_scope("GET"), receive, send))
    await asyncio.sleep(0)
    await boundary(a_scope("GET"), receive, send)
    release.set()
    await first
    await boundary(a_scope("GET"), receive, send)
    assert answered == [503, 204, 204]
