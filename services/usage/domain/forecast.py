"""What is to be expected of a balance if it goes on like this: when it ends, and what is said next."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from services.usage.domain.balance import Balance
from services.usage.domain.burn import burnt_bytes, exhausted_at
from services.usage.domain.triggers import KINDS, Kind, Wants, was_said


class Expected(NamedTuple):
    """A trigger that is to come; `at` now where only the next look is missing."""

    kind: Kind
    at: datetime


class Forecast(NamedTuple):
    """Bytes and instants. None: never at this rate, or nothing is left."""

    remaining_bytes: int
    burnt_bytes: int
    """In the last WINDOW_SECONDS."""
    exhausted_at: datetime | None
    expires_at: datetime | None
    next_trigger: Expected | None


def forecast(balance: Balance, now: datetime, wants: Wants) -> Forecast:
    """As of `now`, at the present rate, without another top-up."""
    remaining = balance.remaining_bytes(now)
    to_come = [each for each in _to_come(balance, now, wants) if not was_said(balance, each.kind)]
    return Forecast(
        remaining,
        burnt_bytes(balance.burn, now),
        exhausted_at(balance.burn, remaining, now) if remaining else None,
        balance.expires_at(now),
        min(to_come, key=lambda each: (each.at, KINDS.index(each.kind)), default=None),
    )


def _to_come(balance: Balance, now: datetime, wants: Wants) -> Iterator[Expected]:
    if not balance.granted_bytes:
        return
    if wants.has_threshold:
        for at in _falls_to(balance, wants.threshold(balance.granted_bytes), now):
            yield Expected("threshold_reached", at)
    for at in _falls_to(balance, 0, now):
        yield Expected("exhausted", at)
    remaining = balance.remaining_bytes(now)
    ends_at = exhausted_at(balance.burn, remaining, now)
    if remaining and ends_at is not None and wants.predicted_seconds is not None:
        yield Expected("predicted", max(now, ends_at - timedelta(seconds=wants.predicted_seconds)))
    lapses_at = balance.expires_at(now)
    if lapses_at is not None and wants.expiring_seconds is not None:
        yield Expected("expiring", max(now, lapses_at - timedelta(seconds=wants.expiring_seconds)))


def _falls_to(balance: Balance, size: int, now: datetime) -> Iterator[datetime]:
    """When no more than that is left: because it is used, or because it lapses."""
    excess = balance.remaining_bytes(now) - size
    if excess <= 0:
        yield now
        return
    used_at = exhausted_at(balance.burn, excess, now)
    if used_at is not None:
        yield used_at
    for bucket in balance.live_buckets(now):
        if balance.remaining_bytes(bucket.expires_at) <= size:
            yield bucket.expires_at
