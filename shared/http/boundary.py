"""The outermost layer of an application: trace, metric, and the last word on whatever failed below.

Pure ASGI. Nothing leaves it but an answer: no traceback, no plain-text error.
"""

import secrets
from time import perf_counter
from typing import Any

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http import problems
from shared.http.problems import Problem
from shared.observability import tracing
from shared.observability.logging import get_logger
from shared.observability.metrics import LATENCY_BUCKETS_SECONDS, children

TRACEPARENT = "recarga.traceparent"
"""The scope's key for the traceparent of the request."""

MOST_IN_FLIGHT = 1000
"""Requests that one process answers at once; the next one is told to come again."""

REQUEST_DURATION = Histogram(
    "recarga_http_request_duration_seconds",
    "From the first byte of a request to the last of its answer.",
    ("service", "route", "method", "status_class"),
    buckets=LATENCY_BUCKETS_SECONDS,
)
_duration = children(REQUEST_DURATION)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNAVAILABLE: tuple[type[Exception], ...] = (TimeoutError, ConnectionError)

log = get_logger(__name__)


class Boundary:
    """Wraps a whole application; `service` names it in the metric."""

    def __init__(self, app: ASGIApp, *, service: str, most_in_flight: int = MOST_IN_FLIGHT) -> None:
        self.app = app
        self.service = service
        self.most_in_flight = most_in_flight
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        scope[TRACEPARENT] = tracing.child(_header(scope, b"traceparent"))
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.in_flight += 1
        try:
            if self.in_flight > self.most_in_flight:
                await problems.overloaded().response(scope)(scope, receive, observed)
            else:
                await self.app(scope, receive, observed)
        except Exception as error:
            problem = self._failed(scope, error)
            if status:  # The answer is half sent: only breaking the connection tells the client so.
                raise
            await problem.response(scope)(scope, receive, observed)
        finally:
            self.in_flight -= 1
            method = scope["method"] if scope["method"] in _METHODS else "other"
            status_class = f"{status // 100}xx" if status else "none"
            _duration(self.service, _route(scope), method, status_class).observe(perf_counter() - began)

    def _failed(self, scope: Scope, error: Exception) -> Problem:
        """Logs the failure under a reference that the client is given, and nothing else of it."""
        reference = secrets.token_hex(8)
        fields: dict[str, Any] = {
            "service": self.service,
            "reference": reference,
            "route": _route(scope),
            "method": scope["method"],
            "traceparent": scope[TRACEPARENT],
        }
        if isinstance(error, _UNAVAILABLE):
            log.warning("request could not be answered", exc_info=error, **fields)
            return problems.unavailable(reference)
        log.error("request failed", exc_info=error, **fields)
        return problems.internal_error(reference)


def _route(scope: Scope) -> str:
    """The route's template, never the path: paths hold ids."""
    return getattr(scope.get("route"), "path", None) or "unmatched"


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None
