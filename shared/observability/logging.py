"""One JSON object per line on standard output; what libraries warn about included.

Messages are past-tense phrases, everything that varies is a field, and only fields that are allowed
(see redaction.py) are shown. Nothing is logged per message at info: that is what metrics are for.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, BinaryIO

import orjson
import structlog
from pydantic import ValidationError
from structlog.typing import FilteringBoundLogger

from shared.observability.redaction import redact

MAX_FRAMES = 20
MAX_CAUSES = 3
MAX_FOREIGN_FRAMES = 5
_LEVELS = {"exception": "error", "warn": "warning", "fatal": "critical"}
_HERE = Path(__file__).resolve().parents[2]
_LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "aiokafka", "faststream", "asyncpg", "asyncio")


def get_logger(name: str) -> FilteringBoundLogger:
    """The logger of a module; may be asked for at import, before anything is configured."""
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


def configure_logging(
    service: str, instance: str, level: str = "info", output: BinaryIO | None = None
) -> None:
    """Sets up structlog and the standard library's logging for this process.

    `service` and `instance` are on every line (a line's own `service` wins, where one process runs several);
    `level` is a name of the standard library; `output` is standard output unless given.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[_Line(service, instance)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(output or sys.stdout.buffer),
        cache_logger_on_first_use=output is None,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Libraries(level=logging.WARNING)]
    root.setLevel(logging.WARNING)
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.NOTSET)
    logging.captureWarnings(True)


class _Line:
    """The last processor: exception, redaction and rendering in one pass, because it is on every line."""

    def __init__(self, service: str, instance: str) -> None:
        self._process = {"service": service, "instance": instance}

    def __call__(self, _logger: object, method: str, event: MutableMapping[str, Any]) -> bytes:
        failure = event.pop("exc_info", None)
        fields: dict[str, Any] = {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": _LEVELS.get(method, method),
            "event": event.pop("event", ""),
            **self._process,
            **event,
        }
        if failure:
            fields.update(described(failure))
        return orjson.dumps(redact(fields), default=str)


def described(failure: Any) -> dict[str, Any]:
    """An exception as fields: its type, its message, where it was raised, what caused it. No locals."""
    if not isinstance(failure, BaseException):
        failure = failure[1] if isinstance(failure, tuple) else sys.exc_info()[1]
    if failure is None:
        return {}
    fields: dict[str, Any] = {
        "error_type": type(failure).__name__,
        "error": _message(failure),
        "stack": _frames(failure.__traceback__),
    }
    causes: list[str] = []
    cause = failure.__cause__ or (None if failure.__suppress_context__ else failure.__context__)
    while cause is not None and len(causes) < MAX_CAUSES:
        causes.append(f"{type(cause).__name__}: {_message(cause)}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    if causes:
        fields["causes"] = causes
    if sqlstate := getattr(failure, "sqlstate", None):
        fields["sqlstate"] = sqlstate
    return fields


def _message(failure: BaseException) -> str:
    if isinstance(failure, ValidationError):  # Its own text repeats the values that were refused.
        faults = failure.errors(include_input=False, include_url=False, include_context=False)
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:10])
    return str(failure)


def _frames(traceback: TracebackType | None) -> list[str]:
    """`file:line function`, outermost first: our own frames, and the last few whoever they belong to."""
    walked = list(walk_tb(traceback))
    frames = []
    for index, (frame, line) in enumerate(walked):
        path = Path(frame.f_code.co_filename)
        ours = path.is_relative_to(_HERE) and "site-packages" not in path.parts
        if ours or index >= len(walked) - MAX_FOREIGN_FRAMES:
            where = path.relative_to(_HERE) if ours else "/".join(path.parts[-2:])
            frames.append(f"{where}:{line} {frame.f_code.co_name}")
    return frames[-MAX_FRAMES:]


class _Libraries(logging.Handler):
    """Writes what a library logs with the standard library's logging as a line like all others."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: Mapping[str, Any] = {"exc_info": record.exc_info} if record.exc_info else {}
            get_logger(record.name).log(record.levelno, record.getMessage(), **fields)
        except Exception:
            self.handleError(record)
