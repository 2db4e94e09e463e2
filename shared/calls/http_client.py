"""A thin layer over pyreqwest that tells apart what matters for money: was the request sent at all?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import DetailedPyreqwestError, PoolTimeoutError, PyreqwestError

CONNECT_SECONDS = 2.0
POOL_SECONDS = 1.0
IDLE_SECONDS = 30.0
MAX_ANSWER_BYTES = 1024 * 1024


class NotSent(Exception):
    """The request was not written: there was no connection, or no free one in time."""


class Unanswered(Exception):
    """The request may have been written and there is no usable answer: what it did is unknown."""


@dataclass(slots=True, frozen=True)
class HttpAnswer:
    """Status, headers with lower-case names, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Keep-alive connections to one gateway. Follows no redirect and repeats no request by itself."""

    def __init__(self, client: Client, base_url: str) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")

    async def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send one request; `body` is JSON.

        Raises:
            NotSent: it certainly had no effect.
            Unanswered: it may have had its effect.
        """
        request = self._client.request(method, self._base_url + path)
        if headers:
            request = request.headers(headers)
        if body is not None:
            request = request.header("content-type", "application/json").body_bytes(body)
        try:
            response = await request.build().send()
            content = await response.bytes()
        except PyreqwestError as error:
            fault = NotSent if _was_not_sent(error) else Unanswered
            raise fault(f"{type(error).__name__}: {error}") from error
        if len(content) > MAX_ANSWER_BYTES:
            raise Unanswered(f"the answer has {len(content)} bytes")
        return HttpAnswer(response.status, response.headers, bytes(content))

    async def close(self) -> None:
        await self._client.close()


def _was_not_sent(error: PyreqwestError) -> bool:
    """Whether the request never left.

    Hazard: the class of the error does not say. An answer that is late or breaks off is a
    ConnectTimeoutError or a ConnectError too; only the cause names the phase in which it happened.
    """
    if isinstance(error, PoolTimeoutError):
        return True
    causes = (error.details or {}).get("causes") or () if isinstance(error, DetailedPyreqwestError) else ()
    return any(cause["message"] == "client error (Connect)" for cause in causes)


def open_client(base_url: str, *, timeout_seconds: float, connections: int) -> HttpClient:
    """A client with a deadline for the whole of each request. Close it when done."""
    client = (
        ClientBuilder()
        .timeout(timedelta(seconds=timeout_seconds))
        .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
        .pool_timeout(timedelta(seconds=POOL_SECONDS))
        .pool_idle_timeout(timedelta(seconds=IDLE_SECONDS))
        .pool_max_idle_per_host(connections)
        .max_connections(connections)
        .follow_redirects(False)
        .no_proxy()
        .build()
    )
    return HttpClient(client, base_url)
