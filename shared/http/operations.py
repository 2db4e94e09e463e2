"""What every service answers to those who run it: documentation, metrics, health. Not part of its API."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

import orjson
from fastapi import APIRouter, FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import HTMLResponse, Response

from shared.http.documentation import documentation_page
from shared.http.problems import Problem

Readiness = Callable[[], Awaitable[Sequence[tuple[str, bool, str]]]]
"""(component, ok, detail) for everything that the service needs in order to work."""

# The page holds no script and loads nothing: nothing else may be done with it.
_PAGE_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def operations(app: FastAPI, readiness: Readiness) -> APIRouter:
    """/docs, /openapi.json, /metrics, /health/live and /health/ready of the application."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(documentation_page(app.openapi()), headers=_PAGE_HEADERS)

    @router.get("/openapi.json")
    async def openapi() -> Response:
        return _json(app.openapi())

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    @router.get("/health/live")
    async def live() -> Response:
        return _json({"status": "live"})

    @router.get("/health/ready")
    async def ready(request: Request) -> Response:
        components = [
            {"component": component, "ok": ok, "detail": detail}
            for component, ok, detail in await readiness()
        ]
        waiting_for = [str(component["component"]) for component in components if not component["ok"]]
        if not waiting_for:
            return _json({"status": "ready", "components": components})
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            type="not-ready",
            title="The service is not ready",
            detail=f"It waits for {', '.join(waiting_for)}. Send requests elsewhere until this answers 200.",
            headers={"retry-after": "1"},
            components=components,
        ).response(request.scope)

    return router


def _json(value: object) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
