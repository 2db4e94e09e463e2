"""A body of NDJSON as its lines: each is a usage record, or what is wrong with it. Pure."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from shared.contracts.usage_records import UsageRecorded

MAX_LINE_BYTES: Final = 4_000
MAX_LINES: Final = 10_000
"""Of one request, empty ones included."""


class Fault(NamedTuple):
    """What is wrong with a line, in one field or (None) in all of it."""

    field: str | None
    why: str


class Line(NamedTuple):
    """A line that is not empty, by its number from 1."""

    number: int
    read: UsageRecorded | Fault


class TooManyLines(Exception):
    """The body has more than MAX_LINES."""


def read_lines(body: bytes) -> list[Line]:
    """Every line that holds anything.

    Raises:
        TooManyLines: nothing was read.
    """
    if body.count(b"\n") >= MAX_LINES and len(body.split(b"\n", MAX_LINES)[-1].strip()):
        raise TooManyLines
    return [
        Line(number, _read(text))
        for number, text in enumerate(body.split(b"\n", MAX_LINES), start=1)
        if text and not text.isspace()
    ]


def _read(text: bytes) -> UsageRecorded | Fault:
    if len(text) > MAX_LINE_BYTES:
        return Fault(None, f"The line is longer than {MAX_LINE_BYTES:,} bytes.")
    try:
        # Stricter than a record on Kafka: what is sent here is meant, so a slip in a field's name is told.
        return UsageRecorded.model_validate_json(text, extra="forbid")
    except ValidationError as error:
        return _fault(error.errors(include_url=False, include_context=False, include_input=False)[0])


def _fault(fault: Mapping[str, Any]) -> Fault:
    message = str(fault["msg"]).removeprefix("Value error, ")
    name = str(fault["loc"][0]) if fault["loc"] else None
    if name is not None and name not in UsageRecorded.model_fields:
        return Fault(None, "The record has a field that no usage record has.")
    return Fault(name, f"{message}.")
