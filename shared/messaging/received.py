"""From a Kafka record to a message: each record by itself, so that a bad one spoils nothing."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError


class Record(Protocol):
    """A consumed Kafka record, as aiokafka gives it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]: ...


@dataclass(slots=True)
class Received:
    """One decoded record."""

    message: Any
    topic: str
    partition: int
    offset: int
    traceparent: str | None
    """As it came: whoever continues the trace checks it."""
    record: Record


@dataclass(slots=True, frozen=True)
class Unreadable:
    """A record that cannot be read: it becomes a dead letter, its bytes intact."""

    record: Record
    why: str


@dataclass(slots=True, frozen=True)
class Skipped:
    """A record that is not for this consumer; `why` is a bounded metric label."""

    record: Record
    why: str


Known = Callable[[str, str], type[BaseModel] | None]
"""From a topic and a CloudEvents type to the class of the message; None where nobody knows it."""


class Decoder:
    """Reads the records of one consumer: `wanted` types are decoded, other known ones skipped."""

    def __init__(self, wanted: Iterable[type[BaseModel]], known: Known) -> None:
        self._wanted: Mapping[bytes, type[BaseModel]] = {
            message.__name__.encode(): message for message in wanted
        }
        self._known = known

    def decode(self, record: Record) -> Received | Unreadable | Skipped:
        """Never raises: whatever the bytes are, the answer says what to do with them."""
        ce_type: bytes | None = None
        traceparent: bytes | None = None
        for name, content in record.headers:
            if name == "ce_type":
                ce_type = content
            elif name == "traceparent":
                traceparent = content
        if record.value is None:
            # On a compacted topic this is the end of a key; elsewhere there is nothing to read.
            return Unreadable(record, "no value") if ce_type is not None else Skipped(record, "tombstone")
        if ce_type is None:
            return Unreadable(record, "no ce_type header")
        message_class = self._wanted.get(ce_type)
        if message_class is None:
            return self._unwanted(record, ce_type)
        try:
            message = message_class.__pydantic_validator__.validate_json(record.value)
        except ValidationError as error:
            return Unreadable(record, _first_fault(error))
        return Received(
            message,
            record.topic,
            record.partition,
            record.offset,
            traceparent.decode("ascii", "replace") if traceparent else None,
            record,
        )

    def _unwanted(self, record: Record, ce_type: bytes) -> Unreadable | Skipped:
        try:
            name = ce_type.decode()
        except UnicodeDecodeError:
            return Unreadable(record, "the ce_type header is not UTF-8")
        return Skipped(record, "not_wanted" if self._known(record.topic, name) else "unknown_type")


def _first_fault(error: ValidationError) -> str:
    """The first fault in one line, without the value: it may be anybody's card number."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"]) or "value"
    return f"{place}: {fault['msg']}"[:300]
