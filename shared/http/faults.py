"""Where pydantic found fault with a request, said as whoever sent it can find it."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.observability.masking import masked

_LONGEST_SEGMENT = 64
_LOCATIONS = frozenset({"body", "query", "path", "header", "cookie"})

Place = tuple[str, tuple[str | int, ...]]
"""The part of the request, and the way to the fault within it."""


def told_once(faults: Sequence[Mapping[str, Any]], body: object) -> dict[Place, list[str]]:
    """What is wrong at each place of a request with that body; each alternative of a union says its own."""
    told: dict[Place, list[str]] = {}
    too_short = set()
    for fault in faults:
        place = _place(fault, body)
        messages = told.setdefault(place, [])
        message = masked(str(fault["msg"])).removeprefix("Value error, ")
        if message not in messages:
            messages.append(message)
        if fault["type"] == "too_short":
            too_short.add(place)
    # A list is counted without its bad items, so one that is long enough may be called too short for them.
    around = {(location, path[:end]) for location, path in told for end in range(len(path))}
    return {place: messages for place, messages in told.items() if place not in too_short & around}


def shown(place: Place, messages: Sequence[str]) -> dict[str, str]:
    """One of a problem's `errors`: a JSON Pointer (RFC 6901) within the body, or a name elsewhere."""
    location, path = place
    segments = [masked(str(segment), _LONGEST_SEGMENT) for segment in path]
    message = "; or: ".join(messages)
    if location == "body":
        pointer = "".join("/" + segment.replace("~", "~0").replace("/", "~1") for segment in segments)
        return {"location": location, "pointer": pointer, "message": message}
    return {"location": location, "name": ".".join(segments), "message": message}


def _place(fault: Mapping[str, Any], body: object) -> Place:
    path = tuple(fault["loc"])
    if not path or path[0] not in _LOCATIONS:
        return "body", _within(body, path, fault["type"])
    if path[0] == "body":
        return "body", _within(body, path[1:], fault["type"])
    name, *inside = path[1:] or ("",)
    return path[0], (name, *(part for part in inside if isinstance(part, int)))


def _within(value: Any, path: Sequence[str | int], kind: str) -> tuple[str | int, ...]:
    """The way without what only pydantic knows: which alternative of a union it tried, or by which check.

    A part that is no member of what was sent there is none of the way; but a missing one is where it ends.
    """
    kept: list[str | int] = []
    for number, part in enumerate(path, start=1):
        if _holds(value, part):
            value = value[part]
        elif kind != "missing" or number < len(path):
            continue
        kept.append(part)
    return tuple(kept)


def _holds(value: object, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and 0 <= part < len(value)
    return isinstance(value, dict) and part in value
