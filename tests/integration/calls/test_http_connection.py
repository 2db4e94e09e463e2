"""Connections are kept, bounded and given up: whatever a gateway does, no answer goes to another request."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shared.calls import http_client
from shared.calls.http_client import HttpClient, NotSent, Unanswered, open_client
from shared.calls.http_connection import MAX_ANSWER_BYTES, MAX_HEADERS_BYTES

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""Key and certificate of a gateway on this machine, signed by nobody. Made for these tests only."""


@dataclass
class Asked:
    """A request that a gateway has read, and how to answer it. Both numbers count from 1."""

    connection: int
    request: int
    head: bytes
    writer: asyncio.StreamWriter

    async def answer(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)


@dataclass
class Gateway:
    """What it was asked, over how many connections, and a client of it."""

    url: str = ""
    connections: int = 0
    open: int = 0
    most_open: int = 0
    requests: list[bytes] = field(default_factory=list)
    client: HttpClient = field(init=False)

    async def ask(self, name: str = "/") -> bytes:
        return (await self.client.request("POST", name, b"{}")).body


Serve = Callable[[Asked], Awaitable[None]]


@asynccontextmanager
async def gateway(
    serve: Serve, *, connections: int = 4, timeout_seconds: float = 5.0, trusted: bool | None = None
) -> AsyncIterator[Gateway]:
    """A gateway that does as `serve` says with every request; over TLS where `trusted` is not None."""
    seen = Gateway()
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        seen.open += 1
        seen.most_open = max(seen.most_open, seen.open)
        number = seen.connections
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2 if head.startswith(b"POST") else 0)
                seen.requests.append(head)
                await serve(Asked(number, len(seen.requests), head, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            seen.open -= 1
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(talk(reader, writer)))

    own, theirs = (None, None) if trusted is None else (_server_tls(), _client_tls(trusted))
    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=own)
    port = server.sockets[0].getsockname()[1]
    scheme = "http" if trusted is None else "https"
    seen.url = f"{scheme}://127.0.0.1:{port}"
    seen.client = open_client(seen.url, timeout_seconds=timeout_seconds, connections=connections, tls=theirs)
    try:
        yield seen
    finally:
        await seen.client.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.close()


def _server_tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


def _client_tls(trusted: bool) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATE) if trusted else None)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.001)


async def fine(asked: Asked) -> None:
    await asked.answer(OK)


async def never(_: Asked) -> None:
    await asyncio.Event().wait()


async def test_one_connection_serves_request_after_request() -> None:
    async with gateway(fine) as seen:
        assert [await seen.ask() for _ in range(3)] == [b"{}"] * 3
        assert (len(seen.requests), seen.connections) == (3, 1)


async def test_a_request_says_what_it_carries() -> None:
    async with gateway(fine) as seen:
        await seen.client.request("POST", "/v1/things?a=b", b"{}", {"idempotency-key": "k"})
        await seen.client.request("GET", "/v1/things")
        host = seen.url.removeprefix("http://").encode()
    assert seen.requests == [
        b"POST /v1/things?a=b HTTP/1.1\r\nhost: %b\r\naccept: */*\r\nidempotency-key: k\r\n"
        b"content-type: application/json\r\ncontent-length: 2\r\n\r\n" % host,
        b"GET /v1/things HTTP/1.1\r\nhost: %b\r\naccept: */*\r\n\r\n" % host,
    ]


async def test_an_answer_in_chunks_and_pieces_is_put_together() -> None:
    async def chunked(asked: Asked) -> None:
        whole = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'
        await asked.answer(*(whole[at : at + 7] for at in range(0, len(whole), 7)))

    async with gateway(chunked) as seen:
        assert [await seen.ask(), await seen.ask()] == [b'{"a":1}'] * 2
        assert seen.connections == 1


async def test_an_announcement_is_not_the_answer() -> None:
    async def early_hints(asked: Asked) -> None:
        await asked.answer(b"HTTP/1.1 103 Early Hints\r\nretry-after: 9\r\n\r\n", OK)

    async with gateway(early_hints) as seen:
        answer = await seen.client.request("POST", "/", b"{}")
        assert (answer.status, answer.headers, answer.body) == (200, {"content-length": "2"}, b"{}")


async def test_an_idle_connection_that_was_closed_is_replaced_before_anything_is_written() -> None:
    async def then_close(asked: Asked) -> None:
        await asked.answer(OK)
        asked.writer.close()

    async with gateway(then_close) as seen:
        await seen.ask()
        await until(lambda: not seen.client._idle[0].usable)
        assert await seen.ask() == b"{}"
        assert (len(seen.requests), seen.connections) == (2, 2)


async def test_a_used_connection_closed_without_an_answer_is_unknown_and_nothing_is_repeated() -> None:
    async def once(asked: Asked) -> None:
        if asked.request == 1:
            await asked.answer(OK)
        else:
            asked.writer.close()

    async with gateway(once) as seen:
        await seen.ask()
        with pytest.raises(Unanswered):
            await seen.ask()
        assert (len(seen.requests), seen.connections) == (2, 1)


async def test_a_connection_that_has_waited_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(fine) as seen:
        await seen.ask()
        monkeypatch.setattr(http_client, "IDLE_SECONDS", 0.0)
        await seen.ask()
        assert seen.connections == 2


async def test_a_connection_that_the_gateway_wants_closed_is_not_used_again() -> None:
    async def last(asked: Asked) -> None:
        await asked.answer(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")

    async with gateway(last) as seen:
        assert [await seen.ask(), await seen.ask()] == [b"{}"] * 2
        assert seen.connections == 2


async def test_a_second_answer_is_never_given_to_the_next_request() -> None:
    async def twice(asked: Asked) -> None:
        own = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % asked.request
        await asked.answer(own + OK)

    async with gateway(twice) as seen:
        assert [await seen.ask(), await seen.ask()] == [b"1", b"2"]
        assert seen.connections == 2


async def test_a_late_answer_is_never_given_to_the_next_request() -> None:
    late: list[Asked] = []

    async def first_late(asked: Asked) -> None:
        if asked.request == 1:
            late.append(asked)
        else:
            late[0].writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate")
            await asked.answer(OK)

    async with gateway(first_late, timeout_seconds=0.2) as seen:
        with pytest.raises(Unanswered):
            await seen.ask()
        assert await seen.ask() == b"{}"


async def test_a_request_given_up_leaves_no_connection_behind() -> None:
    async def first_never(asked: Asked) -> None:
        await (never(asked) if asked.request == 1 else fine(asked))

    async with gateway(first_never, connections=1) as seen:
        given_up = asyncio.create_task(seen.ask())
        await until(lambda: bool(seen.requests))
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert await seen.ask() == b"{}"
        assert seen.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"\x00\xffgarbage\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n{}", id="no length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", id="two lengths"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", id="a negative length"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", id="no size of a chunk"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", id="a last chunk missing"
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", id="another protocol"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b"
            % (MAX_ANSWER_BYTES + 1, b" " * (MAX_ANSWER_BYTES + 1)),
            id="too large",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\na: " + b"b" * MAX_ANSWER_BYTES, id="a header without an end"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * MAX_HEADERS_BYTES + b"content-length: 0\r\n\r\n",
            id="too many headers",
        ),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50_000, id="announcements without end"),
    ],
)
async def test_an_answer_that_cannot_be_trusted_is_unknown(answer: bytes) -> None:
    async def say(asked: Asked) -> None:
        await asked.answer(answer)
        asked.writer.close()

    async with gateway(say) as seen:
        with pytest.raises(Unanswered):
            await seen.ask()


async def test_the_deadline_is_for_the_whole_answer_not_for_its_next_byte() -> None:
    async def drip(asked: Asked) -> None:
        await asked.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not asked.writer.is_closing():
            await asked.answer(b" ")
            await asyncio.sleep(0.01)

    async with gateway(drip, timeout_seconds=0.2) as seen:
        with pytest.raises(Unanswered, match="in time"):
            await seen.ask()


async def test_no_more_connections_than_allowed_and_every_request_gets_its_own_answer() -> None:
    async def echo(asked: Asked) -> None:
        name = asked.head.split()[1]
        await asked.answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(name), name))

    async with gateway(echo, connections=3) as seen:
        names = [f"/{number}" for number in range(100)]
        answers = await asyncio.gather(*(seen.ask(name) for name in names))
        assert answers == [name.encode() for name in names]
        assert (seen.most_open, seen.connections) == (3, 3)


async def test_without_a_free_connection_in_time_nothing_was_sent() -> None:
    async with gateway(never, connections=1) as seen:
        busy = asyncio.create_task(seen.ask())
        await until(lambda: bool(seen.requests))
        with pytest.raises(NotSent, match="free"):
            await seen.ask()
        busy.cancel()
        assert len(seen.requests) == 1


async def test_a_closed_client_sends_nothing() -> None:
    async with gateway(fine) as seen:
        await seen.ask()
        await seen.client.close()
        with pytest.raises(NotSent):
            await seen.ask()
        assert len(seen.requests) == 1


@pytest.mark.parametrize(
    ("path", "header"), [("/a b", "k"), ("/a\r\nx: y", "k"), ("/\n", "k"), ("/", "k\r\nx: y"), ("/é", "k")]
)
async def test_a_line_break_in_a_path_or_a_header_is_refused(path: str, header: str) -> None:
    async with gateway(fine) as seen:
        with pytest.raises(ValueError):
            await seen.client.request("POST", path, b"{}", {"idempotency-key": header})
        assert seen.connections == 0


async def test_an_https_gateway_is_asked_over_tls() -> None:
    async with gateway(fine, trusted=True) as seen:
        assert [await seen.ask(), await seen.ask()] == [b"{}"] * 2
        assert seen.connections == 1


@pytest.mark.parametrize(("soon", "asks"), [(0.0, 1), (5.0, 0)], ids=["late", "in time"])
async def test_a_request_that_waited_for_its_connection_asks_for_another_permit(
    monkeypatch: pytest.MonkeyPatch, soon: float, asks: int
) -> None:
    monkeypatch.setattr(http_client, "SOON_SECONDS", soon)
    asked: list[float] = []

    async def refuse(within_seconds: float) -> bool:
        asked.append(within_seconds)
        return False

    async def allow(within_seconds: float) -> bool:
        asked.append(within_seconds)
        return True

    async with gateway(fine, trusted=True) as seen:
        seen.client.ask_when_late(refuse)
        if asks:
            with pytest.raises(NotSent, match="permit"):
                await seen.ask()
            assert seen.requests == []
            assert 0 < asked.pop() < 5.0
        seen.client.ask_when_late(allow)
        assert await seen.ask() == b"{}"
        assert (len(asked), seen.connections) == (asks, 1), "the connection that was there is used"


async def test_a_gateway_that_cannot_prove_its_name_is_sent_nothing() -> None:
    async with gateway(fine, trusted=False) as seen:
        with pytest.raises(NotSent):
            await seen.ask()
        assert seen.requests == []
