"""What the carrier says is left, beside what we say: theirs wins.

A report is of a moment that has passed: ours of that moment is what is left now and what was taken since.
A `Balance` is changed under its row's lock, as in balance.py. Bytes are never made: no bucket ends with more
than it was granted, and what cannot be placed is told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, get_args

from services.usage.domain.balance import Balance, Bucket, Granted, consumption_order
from services.usage.domain.burn import burn_between

AHEAD: Final = timedelta(minutes=5)
"""Clocks differ by less. One report from next year would keep all others from being looked at."""

Verdict = Literal[
    "taken_over", "within_tolerance", "stale", "too_old", "in_future", "unsettled", "unknown_iccid", "dropped"
]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
"""`stale`: no newer than the last one; `unsettled`: so close to a top-up that it may or may not be in it;
`unknown_iccid`: kept until its subscription appears; `dropped`: too many are kept already."""


class Reported(NamedTuple):
    """What was left at `reported_at`. `expires_at` None: the carrier does not say."""

    remaining_bytes: int
    expires_at: datetime | None
    reported_at: datetime


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which reports can be compared at all."""

    oldest: timedelta
    settle: timedelta
    """So long before and after a top-up it is uncertain whether the report has it."""


class Around(NamedTuple):
    """What is known of the time since the report."""

    granted: Mapping[str, Granted]
    """Each open bucket as it was granted; `began_at`: when."""
    taken: Mapping[str, int]
    """Bytes by bucket, of records that ended after the report."""
    untaken_bytes: int = 0
    """Bytes of records that the carrier counts itself, from the last report to this one."""
    since: datetime | None = None
    """Since when less left means that so much was used: the last report, or the cycle's begin. None: where we
    count, records alone say how fast data is used."""


class Compared(NamedTuple):
    """Bytes; above 0 the carrier has more than we."""

    theirs_bytes: int
    ours_bytes: int
    drift_bytes: int
    """Theirs less ours, had we taken what the carrier counts itself."""
    corrected_bytes: int
    unplaced_bytes: int
    is_taken_over: bool


def refusal(
    reported_at: datetime,
    last_at: datetime | None,
    granted: Iterable[Granted],
    bounds: Bounds,
    now: datetime,
) -> Verdict | None:
    """Why this report is not looked at; None where it is."""
    if reported_at > now + AHEAD:
        return "in_future"
    if reported_at < now - bounds.oldest:
        return "too_old"
    if last_at is not None and reported_at <= last_at:
        return "stale"
    instants = [each.began_at for each in granted]
    if any(abs(instant - reported_at) < bounds.settle for instant in instants):
        return "unsettled"
    if instants and reported_at < min(instants):
        # All that it tells of has been replaced since.
        return "stale"
    return None


def reconcile(balance: Balance, reported: Reported, around: Around, tolerance_bytes: int) -> Compared:
    """Bring the balance to what the carrier says, unless there is a tolerance and it differs by no more.

    The expiry moves in any case. Bytes are taken from the first bucket in the order of consumption, and given
    back to the last one that was taken from. Where the carrier counts, what is gone and no record told of is
    how fast data is used, too: each byte once, for the next report is compared with what this one left.
    """
    at = reported.reported_at
    there = [b for b in balance.buckets if around.granted[b.bucket_id].began_at <= at]
    events = dict.fromkeys(_move_expiry(balance, there, reported.expires_at), 0)
    live = [bucket for bucket in there if bucket.expires_at > at]
    since_closed = around.taken.keys() - {bucket.bucket_id for bucket in balance.buckets}
    then = {b.bucket_id: b.remaining_bytes + around.taken.get(b.bucket_id, 0) for b in live}
    ours = sum(then.values()) + sum(around.taken[bucket_id] for bucket_id in since_closed)
    wanted = reported.remaining_bytes - ours
    rest = 0
    is_taken_over = not tolerance_bytes or abs(wanted) > tolerance_bytes
    if is_taken_over:
        rooms = [
            (b, around.granted[b.bucket_id].granted_bytes - then[b.bucket_id])
            for b in balance.buckets
            if b.bucket_id in then
        ]
        rest = _give_back(rooms, wanted, events) if wanted > 0 else _take(balance, at, -wanted, events)
        balance.reported_at = at
        unseen = -(wanted + around.untaken_bytes)
        if around.since is not None and unseen > 0:
            balance.burn = burn_between(balance.burn, unseen, around.since, at)
    for bucket in balance.buckets:
        if bucket.bucket_id in events:
            balance.note(bucket, "reconciled", events[bucket.bucket_id])
    return Compared(
        reported.remaining_bytes,
        ours,
        wanted + around.untaken_bytes,
        sum(events.values()),
        rest,
        is_taken_over,
    )


def _move_expiry(balance: Balance, there: list[Bucket], expires_at: datetime | None) -> list[str]:
    """Let what is there lapse when the carrier says; which buckets that changed.

    What would lapse later lapses then; where all would lapse earlier, the last is prolonged.
    """
    latest = max((bucket.expires_at for bucket in there), default=None)
    if expires_at is None or latest is None:
        return []
    moved = [b for b in there if b.expires_at > expires_at or b.expires_at == latest != expires_at]
    for bucket in moved:
        bucket.end(expires_at)
    balance.buckets.sort(key=consumption_order)
    return [bucket.bucket_id for bucket in moved]


def _take(balance: Balance, at: datetime, size: int, events: dict[str, int]) -> int:
    """Take from the first; below 0, what none had any more."""
    for bucket in balance.buckets:
        part = min(size, bucket.remaining_bytes) if bucket.expires_at > at else 0
        if part:
            bucket.remaining_bytes -= part
            events[bucket.bucket_id] = events.get(bucket.bucket_id, 0) - part
            size -= part
    return -size


def _give_back(rooms: list[tuple[Bucket, int]], size: int, events: dict[str, int]) -> int:
    """Give to the last that has room; what is more than was granted."""
    for bucket, room in reversed(rooms):
        part = min(size, max(room, 0))
        if part:
            bucket.remaining_bytes += part
            events[bucket.bucket_id] = events.get(bucket.bucket_id, 0) + part
            size -= part
    return size
