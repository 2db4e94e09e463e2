"""The trace of a request, for the route that passes it on to the messages it sends."""

from typing import Annotated

from fastapi import Depends, Request

from shared.http.boundary import TRACEPARENT


async def _traceparent(request: Request) -> str:
    traceparent: str = request.scope[TRACEPARENT]
    return traceparent


TraceParent = Annotated[str, Depends(_traceparent)]
"""The traceparent of this request: a span of the caller's trace, or of a new one."""
