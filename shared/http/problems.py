"""Errors as RFC 9457 problem documents: a stable type, what happened, why, and what to do now."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Scope

from shared.http.faults import shown, told_once
from shared.observability.masking import masked

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:recarga:problem:"
MAX_ERRORS = 50
"""Faults listed in one document: a longer list helps nobody and makes the answer larger than the request."""


class Problem(Exception):
    """Raise it anywhere below a route: it becomes the answer.

    `type` is the last part of the stable urn, `detail` says what happened, why and what to do now,
    `extra` are further members of the document (JSON values).
    """

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 - the member's name in RFC 9457
        title: str = "",
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> None:
        super().__init__(f"{status} {type}: {detail}")
        self.status = status
        self.type = type
        self.title = title or type.replace("-", " ").capitalize()
        self.detail = detail
        self.headers = headers
        self.extra = extra

    def document(self, instance: str | None = None) -> dict[str, Any]:
        """The members of the problem document, ready for JSON."""
        members: dict[str, Any] = {
            "type": TYPE_PREFIX + self.type,
            "title": self.title,
            "status": int(self.status),
            "detail": self.detail,
        }
        if instance is not None:
            members["instance"] = instance
        return members | self.extra

    def response(self, scope: Scope) -> Response:
        """The answer to the request of that ASGI scope."""
        return Response(
            orjson.dumps(self.document(instance_of(scope))),
            status_code=self.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def instance_of(scope: Scope) -> str:
    """The request's path, as it was sent, without its query (which may hold what must not be repeated)."""
    raw = scope.get("raw_path") or scope["path"].encode()
    return masked(raw.split(b"?", 1)[0].decode("ascii", "replace"))


def invalid_request(faults: Sequence[Mapping[str, Any]], body: object) -> Problem:
    """422: what pydantic found, without the values it found it in. `body` is what was sent, read as JSON."""
    told = told_once(faults, body)
    count = len(told)
    subject = "One field of the request is" if count == 1 else f"{count} fields of the request are"
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        type="invalid-request",
        title="The request is not valid",
        detail=f"{subject} wrong, so nothing was done. Correct what `errors` lists and send it again.",
        errors=[shown(place, messages) for place, messages in islice(told.items(), MAX_ERRORS)],
    )


def not_found() -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="not-found",
        title="There is nothing at this address",
        detail="No route has this path, so nothing was done. Compare it with the list at /docs.",
    )


def method_not_allowed(headers: Mapping[str, str] | None) -> Problem:
    allowed = (headers or {}).get("Allow", "")
    hint = f"it answers to {allowed}" if allowed else "compare it with the list at /docs"
    return Problem(
        HTTPStatus.METHOD_NOT_ALLOWED,
        type="method-not-allowed",
        title="The address does not answer to this method",
        detail=f"The path exists, but not with this method, so nothing was done: {hint}.",
        headers=headers,
    )


def malformed_json(why: str) -> Problem:
    return Problem(
        HTTPStatus.BAD_REQUEST,
        type="malformed-json",
        title="The body is not JSON",
        detail=f"The body could not be read as JSON ({why}), so nothing was done. "
        "Send one JSON value in UTF-8, as RFC 8259 has it.",
    )


def nul_character() -> Problem:
    return Problem(
        HTTPStatus.BAD_REQUEST,
        type="nul-character",
        title="The request holds a NUL character",
        detail="A text in the request contains U+0000, which cannot be stored. Nothing was done: remove it.",
    )


def body_too_large(max_bytes: int) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        type="body-too-large",
        title="The body is too large",
        detail=f"The body is larger than {max_bytes} bytes, so it was not read and nothing was done. "
        "Send less at once, in several requests.",
        # The rest of the body is still on its way: only a new connection is free of it.
        headers={"connection": "close"},
        max_bytes=max_bytes,
    )


def body_too_slow(seconds: float) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_TIMEOUT,
        type="body-too-slow",
        title="The body did not arrive in time",
        detail=f"The body was not complete after {seconds:g} s, so nothing was done. Send the request again.",
        headers={"connection": "close"},
    )


def unsupported_media_type(what: str, wanted: str) -> Problem:
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        type="unsupported-media-type",
        title="The body is not sent as what the address takes",
        detail=f"{what}, so nothing was done. Send it as `Content-Type: {wanted}`, uncompressed.",
    )


def overloaded() -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        type="overloaded",
        title="Too many requests at once",
        detail="This process is answering as many requests as it takes, so this one was not begun. "
        "Send it again after the time in Retry-After.",
        headers={"retry-after": "1"},
    )


def unavailable(reference: str) -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        type="unavailable",
        title="A part of the service does not answer",
        detail="Something this request needs did not answer in time; whether it was done is not known. "
        "Send it again after the time in Retry-After, with the same Idempotency-Key where it had one. "
        "If it stays so, name the reference to the operators.",
        headers={"retry-after": "2"},
        reference=reference,
    )


def internal_error(reference: str) -> Problem:
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        type="internal-error",
        title="The service failed",
        detail="A fault of the service itself ended this request; whether it was done is not known. "
        "Send it again with the same Idempotency-Key where it had one. "
        "If it fails again, name the reference to the operators: it finds the fault in the log.",
        reference=reference,
    )


def from_status(status: int, headers: Mapping[str, str] | None, detail: str) -> Problem:
    """The problem for a status that the framework itself raised."""
    if status == HTTPStatus.NOT_FOUND:
        return not_found()
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return method_not_allowed(headers)
    if status == HTTPStatus.BAD_REQUEST and detail == "There was an error parsing the body":
        return malformed_json("it is nested too deeply or holds a number that is too long")
    phrase = HTTPStatus(status).phrase
    return Problem(
        status,
        type=phrase.lower().replace(" ", "-").replace("'", ""),
        title=phrase,
        detail=f"{masked(detail)}. Nothing was done. Compare the request with /docs.",
        headers=headers,
    )
