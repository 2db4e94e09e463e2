"""`usage-records.v1`: what a carrier's network measured, keyed by ICCID."""

from typing import ClassVar, Literal
from uuid import UUID

from shared.contracts.fields import Bytes, Country, Iccid, Id, Imei, Instant
from shared.contracts.message import Message, deterministic_id

TOPIC = "usage-records.v1"


class UsageRecorded(Message):
    """One usage record (CDR). (`source`, `record_id`) names it: the same pair again is a duplicate."""

    topic: ClassVar[str] = TOPIC
    source: Id
    record_id: Id
    iccid: Iccid
    session_id: Id | None = None
    imei: Imei | None = None
    bytes_up: Bytes
    bytes_down: Bytes
    country: Country | None = None
    started_at: Instant
    ended_at: Instant

    @property
    def key(self) -> str:
        return self.iccid

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.source, self.record_id, "UsageRecorded")


class BalanceReported(Message):
    """What the carrier says is left."""

    topic: ClassVar[str] = TOPIC
    source: Id
    report_id: Id
    iccid: Iccid
    remaining_bytes: Bytes
    expires_at: Instant | None = None
    reported_at: Instant

    @property
    def key(self) -> str:
        return self.iccid

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.source, self.report_id, "BalanceReported")


class ThresholdCrossed(Message):
    """The carrier says that data is running out, where its own system counts (an OCS notification).

    (`source`, `notification_id`) names it. `threshold`: the share agreed with the carrier was reached;
    `exhausted`: nothing is left.
    """

    topic: ClassVar[str] = TOPIC
    source: Id
    notification_id: Id
    iccid: Iccid
    kind: Literal["threshold", "exhausted"]
    remaining_bytes: Bytes | None = None
    """Where the carrier says it."""
    crossed_at: Instant

    @property
    def key(self) -> str:
        return self.iccid

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.source, self.notification_id, "ThresholdCrossed")
