"""Which usage records can be true, and which are told apart from those that came before."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, NamedTuple

from shared.contracts.usage_records import UsageRecorded

Reason = Literal["too_large", "ends_before_start", "in_future", "too_old", "changed_repeat"]
REASONS: Final[tuple[Reason, ...]] = (
    "too_large",
    "ends_before_start",
    "in_future",
    "too_old",
    "changed_repeat",
)
"""Why a record is set aside for a person to see: it takes nothing from any bucket.

`too_old`: it ended before the days in which repeats are recognised, so it might be one; `changed_repeat`: it
came before with other contents, and the first one counts."""


class RecordKey(NamedTuple):
    """What a usage record is known by: the same again is a repeat."""

    source: str
    record_id: str
    ended_on: date
    """In UTC."""


class Contents(NamedTuple):
    """What a true repeat has in common with the record that it repeats: all that a record says."""

    iccid: str
    bytes_up: int
    bytes_down: int
    started_at: datetime
    ended_at: datetime
    # What not every way by which a record comes tells.
    session_id: str | None
    imei: str | None
    country: str | None

    def is_repeated_by(self, again: "Contents") -> bool:
        """Whether it says nothing else. What only one of them tells at all is not told otherwise."""
        if self[:_ALWAYS_TOLD] != again[:_ALWAYS_TOLD]:
            return False
        told = zip(self[_ALWAYS_TOLD:], again[_ALWAYS_TOLD:], strict=True)
        return all(one == other or one is None or other is None for one, other in told)


_ALWAYS_TOLD: Final = Contents._fields.index("session_id")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Beyond these a record is a fault of whoever sent it, never a subscriber's usage."""

    max_bytes: int
    max_ahead: timedelta
    days: int
    """For so many days, today included, are records kept and repeats recognised."""


def record_key(record: UsageRecorded) -> RecordKey:
    return RecordKey(record.source, record.record_id, record.ended_at.astimezone(UTC).date())


def contents(record: UsageRecorded) -> Contents:
    return Contents(
        record.iccid,
        record.bytes_up,
        record.bytes_down,
        record.started_at,
        record.ended_at,
        record.session_id,
        record.imei,
        record.country,
    )


def refusal(record: UsageRecorded, bounds: Bounds, now: datetime) -> Reason | None:
    """Why the record cannot count, whatever came before; None where it can. Zero bytes are a true record."""
    if record.bytes_up + record.bytes_down > bounds.max_bytes:
        return "too_large"
    if record.ended_at < record.started_at:
        return "ends_before_start"
    if record.ended_at > now + bounds.max_ahead:
        return "in_future"
    # Whole days say it of nearly every record, at a fraction of the price.
    if (now - record.ended_at).days >= bounds.days - 1 and record.ended_at < first_instant(bounds, now):
        return "too_old"
    return None


def first_instant(bounds: Bounds, now: datetime) -> datetime:
    """The beginning of the first day whose records are still kept."""
    day = now.astimezone(UTC).date() - timedelta(days=bounds.days - 1)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
