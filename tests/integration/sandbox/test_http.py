"""The HTTP itself: cut up, put together, too large, or wrong."""

from __future__ import annotations

import socket

import orjson
import pytest

from .conftest import Server, charge

INTENT = orjson.dumps(charge("r-http"))


def request(body: bytes = INTENT, *headers: str, path: str = "/v1/payment_intents") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: sandbox", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def all_received(connection: socket.socket) -> bytes:
    """Until the server closes, or resets what it had not read."""
    received = b""
    while True:
        part = connection.recv(65536)
        if not part:
            return received
        received += part


def test_requests_sent_at_once_are_answered_in_order(psp: Server) -> None:
    paths = [f"/v1/payment_intents/pi_{number}" for number in range(50)]
    gets = "".join(f"GET {path} HTTP/1.1\r\nHost: s\r\n\r\n" for path in paths)
    with psp.socket() as connection:
        connection.sendall(gets.encode() + b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
        received = all_received(connection)
    assert received.count(b"HTTP/1.1 404") == 50
    named = [part.split(b".")[0].decode() for part in received.split(b"No such payment_intent: ")[1:]]
    assert named == [path.rsplit("/", 1)[1] for path in paths]
    assert received.rsplit(b"HTTP/1.1 ", 1)[1].startswith(b"200")


def test_an_answer_that_is_held_holds_those_behind_it(psp: Server) -> None:
    rule = {"operation": "get_intent", "behaviour": "slow", "seconds": 0.2, "count": 1}
    psp.call("PUT", "/faults", [rule])
    with psp.socket() as connection:
        connection.sendall(b"GET /v1/payment_intents/pi_no HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)  # half-closed: the answers are still wanted
        received = all_received(connection)
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"404", b"200"]


def test_a_request_cut_into_bytes_is_put_together(psp: Server) -> None:
    with psp.socket() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(len(whole := request(INTENT, "Connection: close"))):
            connection.sendall(whole[number : number + 1])
        assert all_received(connection).startswith(b"HTTP/1.1 200")


def test_a_chunked_body_is_put_together_and_its_trailers_are_not_believed(psp: Server) -> None:
    half = len(INTENT) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (INTENT[:half], INTENT[half:]))
    head = b"POST /v1/payment_intents HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with psp.socket() as connection:
        connection.sendall(head + chunks + b"0\r\nIdempotency-Key: sneaked-in\r\n\r\n")
        assert all_received(connection).startswith(b"HTTP/1.1 200")
    last = psp.call("GET", "/journal?limit=10000").document["rows"][-2]
    assert (last["operation"], last["key"]) == ("create_intent", None)


def test_a_client_that_asks_first_is_told_to_go_on(psp: Server) -> None:
    whole = request(INTENT, "Expect: 100-continue", "Connection: close")
    head, body = whole.split(b"\r\n\r\n", 1)
    with psp.socket() as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert all_received(connection).startswith(b"HTTP/1.1 200")


LARGE = b"x" * (1 << 20)
ENDLESS_CHUNKS = (
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + LARGE + b"\r\n") * 2
)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\x01\x02 garbage\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /v1/payment_intents HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 404),
        (request(INTENT, "Idempotency-Key: a", "Idempotency-Key: b"), 400),
        (b"GET /" + b"x" * 3_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 400_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 431),
        (request(b" " * ((1 << 20) + 1)), 413),
        (ENDLESS_CHUNKS, 413),
    ],
)
def test_what_cannot_be_followed_is_refused_and_the_connection_closed(
    psp: Server, sent: bytes, status: int
) -> None:
    with psp.socket() as connection:
        connection.sendall(sent)
        received = all_received(connection)
    assert received.startswith(b"HTTP/1.1 %d" % status)
    assert orjson.loads(received.split(b"\r\n\r\n", 1)[1])["error"]["code"]
    assert psp.call("GET", "/health").status == 200


def test_a_body_just_within_the_bound_is_read(psp: Server) -> None:
    body = INTENT + b" " * ((1 << 20) - len(INTENT))
    with psp.socket() as connection:
        connection.sendall(request(body, "Connection: close"))
        assert all_received(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"amount_minor": NaN}'])
def test_a_body_that_is_no_json_object_is_a_400_and_the_connection_goes_on(psp: Server, body: bytes) -> None:
    with psp.socket() as connection:
        connection.sendall(request(body))
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")
        connection.sendall(request(INTENT, "Connection: close"))
        assert all_received(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/v1/refunds"), ("PATCH", "/faults"), ("HEAD", "/health")]
)
def test_a_method_that_is_not_served_is_a_405(psp: Server, method: str, path: str) -> None:
    assert psp.call(method, path).status == 405
