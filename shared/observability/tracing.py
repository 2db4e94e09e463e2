"""W3C Trace Context: one `traceparent` follows a request through every service and record.

https://www.w3.org/TR/trace-context/. Ids are random but not secret, so the ordinary generator will do.
"""

import re
from dataclasses import dataclass
from random import getrandbits

HEADER = "traceparent"

_PATTERN = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII | re.DOTALL
)
# What nearly every header looks like, zeros excluded: worth its own look, it is on every record's way.
_ORDINARY = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]", re.ASCII)
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_KNOWN_FLAGS = 0x03  # sampled, and random trace id (level 2)
_SAMPLED = "01"


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The three parts of a traceparent: 32, 16 and 2 lower-case hexadecimal digits."""

    trace_id: str
    span_id: str
    flags: str


def parse(traceparent: str | None) -> TraceContext | None:
    """The parts of a valid traceparent; None for anything the recommendation calls invalid."""
    if traceparent is None or (found := _PATTERN.fullmatch(traceparent)) is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    if version == "00" and rest is not None:
        return None
    # A later version may have more to say; what is known of it is the same.
    return TraceContext(trace_id, span_id, f"{int(flags, 16) & _KNOWN_FLAGS:02x}")


def new() -> str:
    """The traceparent of a new, sampled trace."""
    return f"00-{getrandbits(128) or 1:032x}-{new_span_id()}-{_SAMPLED}"


def new_span_id() -> str:
    return f"{getrandbits(64) or 1:016x}"


def child(traceparent: str | None, span_id: str | None = None) -> str:
    """The traceparent of a new span in the same trace; of a new trace where the given one is not valid.

    `span_id` (16 hexadecimal digits) names the span where it must not be left to chance.
    """
    span = span_id or f"{getrandbits(64) or 1:016x}"
    if traceparent is not None and _ORDINARY.fullmatch(traceparent):
        return f"{traceparent[:36]}{span}{traceparent[52:]}"
    context = parse(traceparent)
    if context is None:
        return f"00-{getrandbits(128) or 1:032x}-{span}-{_SAMPLED}"
    return f"00-{context.trace_id}-{span}-{context.flags}"
