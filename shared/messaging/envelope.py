"""A message made ready to be stored and sent: CloudEvents 1.0, Kafka binary mode."""

from datetime import UTC, datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

import orjson

from shared.messaging.errors import DomainError

MAX_RECORD_BYTES = 256 * 1024
"""Checked before the commit: a record that Kafka would refuse would be stuck in the outbox for ever."""

Headers = list[tuple[str, bytes]]


@runtime_checkable
class Sendable(Protocol):
    """What a message must tell to be sent."""

    @property
    def topic(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def event_id(self) -> UUID: ...


class Envelope:
    """A message as bytes, with what its headers will say."""

    __slots__ = ("event_id", "key", "payload", "subject", "topic", "traceparent", "type")

    def __init__(
        self,
        event_id: UUID,
        topic: str,
        key: str,
        type: str,  # noqa: A002 - CloudEvents' own word
        subject: str,
        traceparent: str | None,
        payload: bytes,
    ) -> None:
        self.event_id = event_id
        self.topic = topic
        self.key = key
        self.type = type
        self.subject = subject
        self.traceparent = traceparent
        self.payload = payload

    def headers(self, source: bytes, time: bytes) -> Headers:
        """The record's headers. `ce_type` comes first: it is what a reader looks for."""
        headers = [
            ("ce_type", self.type.encode()),
            ("ce_id", str(self.event_id).encode()),
            ("ce_source", source),
            ("ce_specversion", b"1.0"),
            ("ce_time", time),
            ("ce_subject", self.subject.encode()),
            ("content-type", b"application/json"),
        ]
        if self.traceparent is not None:
            headers.append(("traceparent", self.traceparent.encode()))
        return headers


def enclose(message: Sendable, traceparent: str | None) -> Envelope:
    """Serialise the message.

    Raises:
        DomainError: it is larger than a record may be.
    """
    payload = message.__pydantic_serializer__.to_json(message)  # type: ignore[attr-defined]
    if len(payload) > MAX_RECORD_BYTES:
        raise DomainError(f"{type(message).__name__} has {len(payload)} bytes, a record {MAX_RECORD_BYTES}")
    return Envelope(
        message.event_id,
        message.topic,
        message.key,
        type(message).__name__,
        message.subject,
        traceparent,
        payload,
    )


def cloud_events_time(now: datetime) -> bytes:
    """RFC 3339 in UTC, as `ce_time` wants it."""
    return orjson.dumps(now.astimezone(UTC), option=orjson.OPT_UTC_Z)[1:-1]
