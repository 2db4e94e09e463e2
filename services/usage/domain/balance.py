"""What a subscription has left: buckets, how usage empties them, how top-ups stack.

Each top-up brings a bucket of its own, so a repeated one is recognised by its cycle, and top-ups that
arrive in another order than they were applied end in the same buckets. A `Balance` is folded in memory
under its row's lock: functions here change the one they are given, and nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.contracts.fields import Stacking


@dataclass(slots=True)
class Bucket:
    """Bytes with an expiry. `stacking` is None for data from before Recarga."""

    bucket_id: str
    cycle: int
    stacking: Stacking | None
    granted_bytes: int
    initial_bytes: int
    remaining_bytes: int
    initial_expires_at: datetime
    expires_at: datetime
    priority: int = 0
    created_at: datetime | None = None
    closed_at: datetime | None = None
    is_new: bool = False
    is_changed: bool = False

    def close(self, now: datetime) -> None:
        """Take nothing from it any more."""
        self.closed_at = now
        self.is_changed = True

    def prolong(self, until: datetime) -> None:
        """Let it last until then; never shorter than before."""
        if until > self.expires_at:
            self.expires_at = until
            self.is_changed = True


@dataclass(slots=True)
class Balance:
    """One subscription's buckets (those that are open, in the order of consumption) and totals."""

    subscription_id: str
    cycle: int = 0
    replaced_cycle: int = 0
    threshold_bytes: int | None = None
    used_bytes: int = 0
    overrun_bytes: int = 0
    buckets: list[Bucket] = field(default_factory=list)

    def open_buckets(self) -> Iterator[Bucket]:
        return (bucket for bucket in self.buckets if bucket.closed_at is None)

    def bucket(self, bucket_id: str) -> Bucket | None:
        return next((bucket for bucket in self.buckets if bucket.bucket_id == bucket_id), None)

    def remaining_bytes(self, now: datetime) -> int:
        """What is left in buckets that have not lapsed, those that wait included."""
        return sum(bucket.remaining_bytes for bucket in self.open_buckets() if bucket.expires_at > now)


def top_up_bucket_id(cycle: int) -> str:
    """The bucket of a top-up: its name makes the top-up idempotent."""
    return f"top-up-{cycle}"


def consume(balance: Balance, size: int, at: datetime) -> None:
    """Take `size` bytes that began to flow `at` that moment from the buckets that had not lapsed by then.

    What no bucket has left is an overrun: it is counted, and never taken from a later top-up.
    """
    balance.used_bytes += size
    for bucket in balance.buckets:
        if not size:
            return
        if bucket.closed_at is None and bucket.remaining_bytes and bucket.expires_at > at:
            taken = min(size, bucket.remaining_bytes)
            bucket.remaining_bytes -= taken
            bucket.is_changed = True
            size -= taken
    balance.overrun_bytes += size


def add_bucket(
    balance: Balance,
    bucket: Bucket,
    now: datetime,
    *,
    threshold_percent: int,
    late_records: timedelta,
) -> bool:
    """Add a top-up's bucket (or one from before Recarga); False where it is there already.

    `extend` prolongs what is left, `queue` waits behind it, `replace` takes its place. A top-up that arrives
    after a later one is fitted in where it belongs. Buckets that can no longer change are closed: empty
    ones of earlier cycles, and those that lapsed longer than `late_records` ago.
    """
    if balance.bucket(bucket.bucket_id) is not None:
        return False
    bucket.is_new, bucket.created_at = True, now
    earlier = [other for other in balance.open_buckets() if other.cycle < bucket.cycle]
    if bucket.stacking == "extend":
        for other in earlier:
            if other.expires_at > now:
                other.prolong(bucket.expires_at)
        bucket.priority = max((other.priority for other in earlier), default=bucket.cycle)
    elif bucket.stacking is not None:
        bucket.priority = bucket.cycle
    if bucket.stacking == "replace":
        balance.replaced_cycle = max(balance.replaced_cycle, bucket.cycle)
        for other in earlier:
            other.close(now)
    for other in balance.open_buckets():
        if other.cycle > bucket.cycle and other.stacking == "extend":
            bucket.prolong(other.expires_at)
    if bucket.cycle < balance.replaced_cycle:
        bucket.close(now)
    balance.cycle = max(balance.cycle, bucket.cycle)
    balance.buckets.append(bucket)
    balance.buckets.sort(key=_consumption_order)
    balance.threshold_bytes = _threshold_bytes(balance, threshold_percent)
    _close_what_is_over(balance, now, late_records)
    return True


def _consumption_order(bucket: Bucket) -> tuple[int, datetime, str]:
    return bucket.priority, bucket.expires_at, bucket.bucket_id


def _threshold_bytes(balance: Balance, percent: int) -> int | None:
    """A share of what the current cycle granted; as it was where that cycle's bucket is not known."""
    granted = sum(bucket.granted_bytes for bucket in balance.buckets if bucket.cycle == balance.cycle)
    return granted * percent // 100 if granted else balance.threshold_bytes


def _close_what_is_over(balance: Balance, now: datetime, late_records: timedelta) -> None:
    for bucket in balance.open_buckets():
        empty = not bucket.remaining_bytes and bucket.cycle < balance.cycle
        if empty or bucket.expires_at <= now - late_records:
            bucket.close(now)
