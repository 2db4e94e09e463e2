"""What a subscription has left: buckets, how usage empties them, how top-ups stack.

Each top-up brings a bucket of its own, so a repeated one is recognised by its cycle, and top-ups that
arrive in another order than they were applied end in the same buckets. A `Balance` is folded in memory
under its row's lock: functions here change the one they are given, and nothing else. What befalls a bucket
without being usage is noted as an event: events, and what each record took, explain its every byte.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from services.usage.domain.burn import UNBURNT, Burn
from shared.contracts.fields import Stacking

EventKind = Literal["granted", "prolonged", "paid_overrun", "emptied", "replaced", "lapsed", "reconciled"]
"""`paid_overrun`: what was used while nothing was left, taken from the next bucket; `emptied`: closed with
nothing left; `replaced`, `lapsed`: closed with what is noted; `reconciled`: the carrier says otherwise."""


class BucketEvent(NamedTuple):
    """What befell a bucket: `size` bytes came (above 0) or went, and it lasts until `expires_at`."""

    bucket_id: str
    kind: EventKind
    size: int
    expires_at: datetime


@dataclass(slots=True)
class Bucket:
    """An open bucket: bytes with an expiry. `stacking` is None for data from before Recarga."""

    bucket_id: str
    cycle: int
    stacking: Stacking | None
    priority: int
    remaining_bytes: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Granted:
    """What a new bucket brings: of `granted_bytes` sold, `initial_bytes` are left at its beginning."""

    bucket_id: str
    cycle: int
    stacking: Stacking | None
    granted_bytes: int
    initial_bytes: int
    expires_at: datetime
    began_at: datetime
    """When it was applied: how long a cycle lasts is counted from here."""


class Taken(NamedTuple):
    """Where the bytes of one record went: (bucket_id, bytes) in the order in which they were taken."""

    buckets: tuple[tuple[str, int], ...]
    overrun_bytes: int


@dataclass(slots=True)
class Balance:
    """One subscription's open buckets, in the order of consumption, and its totals."""

    subscription_id: str
    carrier: str | None = None
    bound_imei: str | None = None
    bound_at: datetime | None = None
    foreign_imei: str | None = None
    """The last device that was reported as another than the bound one."""
    cycle: int = 0
    cycle_began_at: datetime | None = None
    replaced_cycle: int = 0
    granted_bytes: int = 0
    """What the current cycle granted; 0 until a bucket is known: of that nothing is said."""
    used_bytes: int = 0
    overrun_bytes: int = 0
    owed_bytes: int = 0
    """The part of the overrun that the next bucket will pay."""
    burn: Burn = UNBURNT
    said: int = 0
    """The kinds of trigger that were said in this cycle, a bit each."""
    next_due_at: datetime | None = None
    reported_at: datetime | None = None
    """Of which moment the carrier's word was taken over: what ended by then is in it."""
    rule_wants: tuple[int | None, ...] | None = None
    """What the subscription's renewal rule says in the place of the carrier's settings (`Wants`)."""
    buckets: list[Bucket] = field(default_factory=list)
    place: tuple[int, int] | None = None
    """Where its row lies, for the store: known while it is locked."""
    events: list[BucketEvent] = field(default_factory=list)
    """Noted since it was read."""

    def live_buckets(self, now: datetime) -> Iterator[Bucket]:
        return (bucket for bucket in self.buckets if bucket.expires_at > now)

    def remaining_bytes(self, now: datetime) -> int:
        """What is left in buckets that have not lapsed, those that wait included."""
        remaining = 0
        for bucket in self.buckets:  # a generator costs thrice as much, and every record asks
            if bucket.expires_at > now:
                remaining += bucket.remaining_bytes
        return remaining

    def expires_at(self, now: datetime) -> datetime | None:
        """When the last of what is left lapses; None where nothing is."""
        return max((b.expires_at for b in self.live_buckets(now) if b.remaining_bytes), default=None)

    def bucket(self, bucket_id: str) -> Bucket | None:
        """The open bucket of that name."""
        return next((bucket for bucket in self.buckets if bucket.bucket_id == bucket_id), None)

    def note(self, bucket: Bucket, kind: EventKind, size: int) -> None:
        self.events.append(BucketEvent(bucket.bucket_id, kind, size, bucket.expires_at))


def top_up_bucket_id(cycle: int) -> str:
    """The bucket of a top-up: its name makes the top-up idempotent."""
    return f"top-up-{cycle}"


def consume(balance: Balance, size: int, at: datetime, *, owes_overrun: bool) -> Taken:
    """Take `size` bytes that began to flow `at` that moment from the buckets that had not lapsed by then.

    What a bucket has not got is taken from the next one. What none has is an overrun: it is counted, and
    taken from the next top-up only where the carrier's rule is that it `owes_overrun`.
    """
    balance.used_bytes += size
    taken: tuple[tuple[str, int], ...] = ()
    for bucket in balance.buckets:
        if not size:
            break
        if bucket.remaining_bytes and bucket.expires_at > at:
            part = min(size, bucket.remaining_bytes)
            bucket.remaining_bytes -= part
            size -= part
            taken += ((bucket.bucket_id, part),)
    balance.overrun_bytes += size
    if owes_overrun:
        balance.owed_bytes += size
    return Taken(taken, size)


def add_bucket(balance: Balance, granted: Granted, now: datetime, late_records: timedelta) -> None:
    """Add a bucket that was not there before: a top-up's, or one from before Recarga.

    `extend` prolongs what is left, `queue` waits behind it, `replace` takes its place. A top-up that arrives
    after a later one is fitted in where it belongs. Buckets that can no longer change are closed: empty
    ones of earlier cycles, and those that lapsed longer than `late_records` ago.
    """
    earlier = [other for other in balance.buckets if other.cycle < granted.cycle]
    later = [other for other in balance.buckets if other.cycle > granted.cycle]
    bucket = Bucket(
        granted.bucket_id,
        granted.cycle,
        granted.stacking,
        _priority(granted, earlier),
        granted.initial_bytes,
        max([granted.expires_at, *(other.expires_at for other in later if other.stacking == "extend")]),
    )
    balance.buckets.append(bucket)
    balance.buckets.sort(key=consumption_order)
    balance.note(bucket, "granted", bucket.remaining_bytes)
    _stack(balance, bucket, earlier, now)
    _pay_overrun(balance, bucket)
    _begin_cycle(balance, granted)
    _close_what_is_over(balance, now, late_records)


def _priority(granted: Granted, earlier: list[Bucket]) -> int:
    if granted.stacking is None:
        return 0
    if granted.stacking == "extend":
        return max((other.priority for other in earlier), default=granted.cycle)
    return granted.cycle


def consumption_order(bucket: Bucket) -> tuple[int, datetime, str]:
    """The key that sorts buckets as usage empties them."""
    return bucket.priority, bucket.expires_at, bucket.bucket_id


def _stack(balance: Balance, bucket: Bucket, earlier: list[Bucket], now: datetime) -> None:
    if bucket.stacking == "extend":
        for other in earlier:
            if now < other.expires_at < bucket.expires_at:
                other.expires_at = bucket.expires_at
                balance.note(other, "prolonged", 0)
        balance.buckets.sort(key=consumption_order)
    elif bucket.stacking == "replace":
        balance.replaced_cycle = max(balance.replaced_cycle, bucket.cycle)
        for other in earlier:
            _close(balance, other, "replaced")
    if bucket.cycle < balance.replaced_cycle:
        _close(balance, bucket, "replaced")


def _pay_overrun(balance: Balance, bucket: Bucket) -> None:
    part = min(balance.owed_bytes, bucket.remaining_bytes) if bucket in balance.buckets else 0
    if part:
        bucket.remaining_bytes -= part
        balance.owed_bytes -= part
        balance.note(bucket, "paid_overrun", -part)


def _begin_cycle(balance: Balance, granted: Granted) -> None:
    if granted.cycle > balance.cycle:
        balance.cycle = granted.cycle
        balance.cycle_began_at = granted.began_at
        balance.granted_bytes = granted.granted_bytes
        balance.said = 0
    elif granted.cycle == balance.cycle:
        balance.cycle_began_at = min(balance.cycle_began_at or granted.began_at, granted.began_at)
        balance.granted_bytes += granted.granted_bytes


def _close_what_is_over(balance: Balance, now: datetime, late_records: timedelta) -> None:
    for bucket in list(balance.buckets):
        if not bucket.remaining_bytes and bucket.cycle < balance.cycle:
            _close(balance, bucket, "emptied")
        elif bucket.expires_at <= now - late_records:
            _close(balance, bucket, "lapsed")


def _close(balance: Balance, bucket: Bucket, why: EventKind) -> None:
    """Take nothing from it any more; what was left of it is lost."""
    balance.note(bucket, why, -bucket.remaining_bytes)
    balance.buckets.remove(bucket)
