"""Which fields a log line may show. Everything else is written as [redacted].

An allow list: a field that nobody thought about stays hidden, instead of being found in a log later.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from shared.contracts.loggable import LOGGABLE
from shared.observability.masking import masked

REDACTED = "[redacted]"
MAX_ITEMS = 20
"""Elements of one list in a log line."""
MAX_DEPTH = 3

# Texts of a fixed form, which masking would tear apart when they happen to hold many decimal digits.
_VERBATIM = frozenset({"timestamp", "traceparent", "reference", "event_id"})

_allowed = {
    *("event", "level", "module", "service", "instance", "timestamp"),
    *("error", "error_type", "stack", "causes", "sqlstate", "reference", "traceparent"),
    *("address", "attempts", "backlog", "component", "components", "consumer", "count", "delay_seconds"),
    *("deadline_seconds", "duration_seconds", "event_id", "group", "host", "interval_seconds", "key", "lag"),
    *(
        "limit",
        "loop",
        "messages",
        "method",
        "migration",
        "offset",
        "operation",
        "partition",
        "partitions",
        "pid",
    ),
    *("port", "ready", "records", "route", "rows", "seconds", "signal", "size_bytes", "subject", "table"),
    *("timeout_seconds", "topic", "topics", "type"),
    *LOGGABLE,
}


def allow_fields(*names: str) -> None:
    """Lets these fields be logged. A module names its own here; never a token or a number of a person."""
    _allowed.update(names)


def redact(fields: Mapping[str, Any], depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The fields as they may be written: allowed ones bounded and masked, all others replaced."""
    shown = {}
    for name, value in fields.items():
        if name not in _allowed:
            shown[name] = REDACTED
        elif type(value) is str:
            shown[name] = value[:64] if name in _VERBATIM else masked(value)
        else:
            shown[name] = _shown(value, depth)
    return shown


def _shown(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | float | UUID | datetime | date):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else REDACTED
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if depth > 0 and isinstance(value, Mapping):
        return redact({str(name): item for name, item in list(value.items())[:MAX_ITEMS]}, depth - 1)
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [_shown(item, depth - 1) for item in list(value)[:MAX_ITEMS]]
    # The repr of an object shows all it holds: its class must do.
    return f"[{type(value).__name__}]"
