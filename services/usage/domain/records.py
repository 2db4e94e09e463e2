"""Which usage records can be true. The others are kept for a person to see, and take nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.contracts.usage_records import UsageRecorded

Refusal = Literal["too_large", "ends_before_start", "in_future"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Beyond these a record is a fault of whoever sent it, never a subscriber's usage."""

    max_bytes: int
    max_ahead: timedelta


def refusal(record: UsageRecorded, bounds: Bounds, now: datetime) -> Refusal | None:
    """Why the record is not counted; None where it is."""
    if record.bytes_up + record.bytes_down > bounds.max_bytes:
        return "too_large"
    if record.ended_at < record.started_at:
        return "ends_before_start"
    if record.ended_at > now + bounds.max_ahead:
        return "in_future"
    return None
