"""The sandbox as a process of its own, spoken to over real sockets."""

from __future__ import annotations

import http.client
import itertools
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

DEADLINE_SECONDS = 10.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        document = orjson.loads(self.body)
        assert isinstance(document, dict)
        return document


@dataclass(frozen=True, slots=True)
class Server:
    """One of the two servers, at its port."""

    port: int

    def call(
        self, method: str, path: str, document: Any = None, key: str | None = None, timeout: float = 10.0
    ) -> Answered:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            body = None if document is None else orjson.dumps(document)
            connection.request(method, path, body, {} if key is None else {"Idempotency-Key": key})
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answered(response.status, headers, response.read())
        finally:
            connection.close()

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_SECONDS)


class Sandbox:
    """A running sandbox. `stop` and `kill` end it; `start` brings it back on the same directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.start()

    def start(self, *more: str) -> None:
        command = [sys.executable, "-m", "deploy.sandbox", "--directory", str(self.directory)]
        self.process = subprocess.Popen(
            [*command, "--psp-port", "0", "--carrier-port", "0", *more], stdout=subprocess.PIPE
        )
        self.psp, self.carrier = (Server(self._port(name)) for name in ("psp", "carrier"))

    def _port(self, name: str) -> int:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line.startswith(f"{name} listens on http://127.0.0.1:"), line
        return int(line.rsplit(":", 1)[1])

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path)
    yield sandbox
    if sandbox.process.poll() is None:
        assert sandbox.stop() == 0


@pytest.fixture
def psp(shared_sandbox: Sandbox) -> Server:
    return shared_sandbox.psp


@pytest.fixture
def carrier(shared_sandbox: Sandbox) -> Server:
    return shared_sandbox.carrier


@pytest.fixture
def renewal_id() -> str:
    return f"renewal-{next(_numbers)}"


def wait_until(happened: Callable[[], object]) -> None:
    """Look again and again (each look is a call), until the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"


def charge(renewal_id: str, token: str = "tok_ok", **more: Any) -> dict[str, Any]:  # noqa: S107 - a test card
    return {
        "amount_minor": 500,
        "currency": "EUR",
        "payment_method": token,
        "metadata": {"renewal_id": renewal_id},
        "confirm": True,
    } | more


def topup(reference: str, iccid: str = "8934071100000000017") -> dict[str, Any]:
    return {
        "iccid": iccid,
        "reference": reference,
        "data_bytes": 1_000,
        "validity_seconds": 3_600,
        "stacking": "extend",
        "product_code": "cu-1",
    }
