"""A container is healthy when it answers 200, and only then."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy.compose.healthcheck import main
from deploy.local.ports import Ports


class Answers(BaseHTTPRequestHandler):
    """200 for /ready, 503 for everything else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/ready" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


def test_it_is_healthy_when_it_answers_200(port: int) -> None:
    assert main([f"{port}/health/ready"]) == 0


def test_it_is_not_when_one_of_several_does_not(port: int) -> None:
    assert main([f"{port}/health/ready", f"{port}/other"]) == 1


def test_it_is_not_when_nobody_listens() -> None:
    assert main([f"{Ports.free().of('renewal')}/health/ready"]) == 1
