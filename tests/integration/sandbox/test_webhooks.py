"""Webhooks as a receiver sees them: signed, brought again after a failure, forged on a bad day."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from deploy.sandbox.webhooks import signature

from .conftest import DEADLINE_SECONDS, Sandbox, charge

SECRET = "whsec_test"


class Received(NamedTuple):
    document: dict[str, Any]
    genuine: bool


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses it was given, then with 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: queue.Queue[Received] = queue.Queue()
        self.statuses: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/webhooks?from=sandbox"

    def next(self) -> Received:
        return self.received.get(timeout=DEADLINE_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        given = self.headers["Sandbox-Signature"]
        at_seconds = int(given.split(",")[0].removeprefix("t="))
        genuine = given == signature(SECRET.encode(), at_seconds, body)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.received.put(Received(orjson.loads(body), genuine))

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what it saw."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join(DEADLINE_SECONDS)
    server.server_close()


@pytest.fixture
def listening(own_sandbox: Sandbox, receiver: Receiver) -> Sandbox:
    answer = own_sandbox.psp.call("PUT", "/webhook", {"url": receiver.url, "secret": SECRET})
    assert (answer.status, answer.document["url"]) == (200, receiver.url)
    return own_sandbox


def test_a_capture_is_announced_and_signed(listening: Sandbox, receiver: Receiver) -> None:
    intent = listening.psp.call("POST", "/v1/payment_intents", charge("r-1")).document
    document, genuine = receiver.next()
    assert genuine
    assert (document["type"], document["data"]["object"]) == ("payment_intent.succeeded", intent)


def test_a_receiver_that_fails_is_asked_again(listening: Sandbox, receiver: Receiver) -> None:
    receiver.statuses = [500, 503]
    listening.psp.call("POST", "/v1/payment_intents", charge("r-1"))
    tries = [receiver.next() for _ in range(3)]
    assert len({document["id"] for document, _ in tries}) == 1


def test_a_duplicate_arrives_twice(listening: Sandbox, receiver: Receiver) -> None:
    listening.psp.call("POST", "/v1/payment_intents", charge("r-1", "tok_webhook_duplicate"))
    assert receiver.next() == receiver.next()


def test_a_forged_webhook_is_told_by_its_signature(listening: Sandbox, receiver: Receiver) -> None:
    rule = {"operation": "webhook", "behaviour": "webhook_forged"}
    assert listening.psp.call("PUT", "/faults", [rule]).status == 200
    assert (
        listening.psp.call("POST", "/v1/payment_intents", charge("r-1", "tok_decline_generic")).status == 402
    )
    seen = {received.document["type"]: received.genuine for received in (receiver.next(), receiver.next())}
    assert seen == {"payment_intent.succeeded": False, "payment_intent.payment_failed": True}


def test_a_late_webhook_comes_after_a_later_one(listening: Sandbox, receiver: Receiver) -> None:
    rule = {"operation": "webhook", "behaviour": "webhook_late", "seconds": 0.3, "count": 1}
    listening.psp.call("PUT", "/faults", [rule])
    for renewal_id in ("r-late", "r-soon"):
        listening.psp.call("POST", "/v1/payment_intents", charge(renewal_id))
    order = [receiver.next().document["data"]["object"]["metadata"]["renewal_id"] for _ in range(2)]
    assert order == ["r-soon", "r-late"]


def test_the_destination_may_be_given_at_the_start(tmp_path: Path, receiver: Receiver) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    sandbox = Sandbox(tmp_path / "first")
    sandbox.stop()
    sandbox.start("--webhook-url", receiver.url, "--webhook-secret-file", str(secret))
    sandbox.psp.call("POST", "/v1/payment_intents", charge("r-1"))
    assert receiver.next().genuine
    assert sandbox.stop() == 0


def test_untold_webhooks_leave_out_what_the_answer_told(tmp_path: Path, receiver: Receiver) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    sandbox = Sandbox(tmp_path / "first")
    sandbox.stop()
    options = ("--webhook-url", receiver.url, "--webhook-secret-file", str(secret))
    sandbox.start(*options, "--webhooks", "untold")
    sandbox.psp.call("POST", "/v1/payment_intents", charge("r-told"))
    sandbox.psp.call("POST", "/v1/payment_intents", charge("r-garbage", "tok_garbage"))
    assert receiver.next().document["data"]["object"]["metadata"]["renewal_id"] == "r-garbage"
    assert sandbox.stop() == 0


@pytest.mark.parametrize(
    "body", [{}, {"url": "ftp://x", "secret": "s"}, {"url": "http://x", "secret": ""}, []]
)
def test_a_wrong_destination_is_refused(own_sandbox: Sandbox, body: Any) -> None:
    assert own_sandbox.psp.call("PUT", "/webhook", body).status == 400
