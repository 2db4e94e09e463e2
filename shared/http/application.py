"""One HTTP application per service: its routes, and the routes and answers that every service has."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response

from shared.http import idempotency, problems
from shared.http.boundary import Boundary
from shared.http.intake import Intake
from shared.http.operations import Readiness, operations
from shared.http.problems import MEDIA_TYPE, Problem

MAX_BODY_BYTES = 1_048_576

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457: a stable `type`, and in `detail` what happened, why, and what to do now.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "urn:recarga:problem:<name>, never changes its meaning"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "the path that was asked for"},
        "reference": {"type": "string", "description": "finds the failure in the service's log"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["location", "message"],
                "properties": {
                    "location": {"enum": ["body", "query", "path", "header", "cookie"]},
                    "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901) within the body"},
                    "name": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
_KEY_LOCATION = ("header", idempotency.HEADER)
_PROBLEM_CONTENT = {MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA}}
_PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request was refused; nothing was done.", "content": _PROBLEM_CONTENT},
    "5XX": {"description": "The service failed.", "content": _PROBLEM_CONTENT},
}


def create_app(
    *,
    title: str,
    description: str,
    version: str = "1",
    routers: Sequence[APIRouter],
    readiness: Readiness,
    service: str = "",
    max_body_bytes: int = MAX_BODY_BYTES,
    line_paths: Collection[str] = (),
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The application of one service. Start it with shared.http.server.HttpServer.

    `readiness` answers (component, ok, detail) for everything the service needs; `service` is its name in
    metrics and logs (the title in small letters unless given); `max_body_bytes` bounds every body; what is
    sent to `line_paths` is NDJSON, not JSON.
    """
    app = FastAPI(
        title=title,
        description=description,
        version=version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=_PROBLEM_RESPONSES,
        lifespan=lifespan,
        middleware=[
            Middleware(Boundary, service=service or title.lower().replace(" ", "-")),
            Middleware(Intake, max_body_bytes=max_body_bytes, line_paths=line_paths),
        ],
        exception_handlers={
            Problem: _answer_problem,
            HTTPException: _answer_framework_error,
            RequestValidationError: _answer_invalid_request,
        },
    )
    for router in routers:
        app.include_router(router)
    app.include_router(operations(app, readiness))
    return app


async def _answer_problem(request: Request, error: Problem) -> Response:
    return error.response(request.scope)


async def _answer_framework_error(request: Request, error: HTTPException) -> Response:
    headers: Mapping[str, str] | None = error.headers
    return problems.from_status(error.status_code, headers, str(error.detail)).response(request.scope)


async def _answer_invalid_request(request: Request, error: RequestValidationError) -> Response:
    faults = error.errors()
    if any(fault["type"] == "missing" and fault["loc"] == _KEY_LOCATION for fault in faults):
        return idempotency.key_missing().response(request.scope)
    return problems.invalid_request(faults, error.body).response(request.scope)
