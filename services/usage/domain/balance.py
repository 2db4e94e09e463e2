"""What a subscription has left: buckets, how usage empties them, how top-ups stack.

Each top-up brings a bucket of its own, so a repeated one is recognised by its cycle, and top-ups that
arrive in another order than they were applied end in the same buckets. A `Balance` is folded in memory
under its row's lock: functions here change the one they are given, and nothing else. What befalls a bucket
without being usage is noted as an event: events, and what each record took, explain its every byte.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from services.usage.domain.burn import UNBURNT, Burn
from shared.contracts.fields import Stacking

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Since when there is data from before Recarga: no record is of before it."""

EventKind = Literal[
    "granted", "prolonged", "shortened", "paid_overrun", "emptied", "replaced", "lapsed", "reconciled"
]
"""`paid_overrun`: what was used while nothing was left, taken from the next bucket; `shortened`: what it was
added to had been replaced; `emptied`: closed with nothing left; `replaced`, `lapsed`: closed with what is
noted; `reconciled`: the carrier says otherwise."""


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
    began_at: datetime = EVER
    """A record that ended before is not of its time."""
    own_end: datetime | None = None
    """When it would lapse had no other prolonged it; None: none did."""
    sold_seconds: int | None = None
    """How long it lasts as sold. None: its end was stated."""
    borrowed_bytes: int = 0
    """What records of its time took from older buckets: as much of it is there for late records of before."""

    @property
    def ends_at(self) -> datetime:
        """When it lapses by itself."""
        return self.own_end or self.expires_at

    def end(self, at: datetime, sold_seconds: int | None = None) -> None:
        """Let it lapse then, whatever prolonged it; without `sold_seconds`, because somebody says so."""
        self.expires_at, self.own_end, self.sold_seconds = at, None, sold_seconds

    def prolong(self, until: datetime) -> None:
        self.own_end, self.expires_at = self.ends_at, until


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
    sold_seconds: int | None = None
    """How long it lasts as sold, where the carrier does not say when it ends: `expires_at` is known once it
    is added."""


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


def consume(
    balance: Balance, size: int, started_at: datetime, ended_at: datetime, *, owes_overrun: bool
) -> Taken:
    """Take `size` bytes that flowed between these moments from the buckets that had not lapsed as they began.

    What a bucket has not got is taken from the next one. What none has is an overrun: it is counted, and
    taken from the next top-up only where the carrier's rule is that it `owes_overrun`. Where it is written
    off, a record that had ended before a bucket began takes nothing from it, but what is there in the place
    of what later records took from older buckets: whenever a record comes, as much is left.
    """
    balance.used_bytes += size
    taken: tuple[tuple[str, int], ...] = ()
    for bucket in balance.buckets:
        if not size:
            break
        if bucket.remaining_bytes and bucket.expires_at > started_at:
            part = min(size, bucket.remaining_bytes)
            if not owes_overrun and (len(balance.buckets) > 1 or bucket.began_at > ended_at):
                part = _in_its_time(balance.buckets, bucket, part, ended_at)
            if part:
                bucket.remaining_bytes -= part
                size -= part
                taken += ((bucket.bucket_id, part),)
    balance.overrun_bytes += size
    if owes_overrun:
        balance.owed_bytes += size
    return Taken(taken, size)


def _in_its_time(buckets: list[Bucket], bucket: Bucket, size: int, ended_at: datetime) -> int:
    """How much of `size` a record that ended then may take of that bucket; what is borrowed is noted.

    Where no bucket of the record's own time is open any more, nothing is known of what was borrowed of it.
    """
    if bucket.began_at > ended_at:
        if all(each.began_at > ended_at for each in buckets):
            return 0
        younger = [each for each in buckets if ended_at < each.began_at <= bucket.began_at]
        size = min(size, *(each.borrowed_bytes for each in younger))
        for each in younger:
            each.borrowed_bytes -= size
    else:
        for each in buckets:
            if bucket.began_at < each.began_at <= ended_at:
                each.borrowed_bytes += size
    return size


def end_as_sold(
    stacking: Stacking | None, began_at: datetime, sold_seconds: int, left_until: Iterable[datetime]
) -> datetime:
    """When a top-up ends of which the carrier says nothing: what was sold comes after all that is left."""
    begins_at = began_at if stacking == "replace" else max([began_at, *left_until])
    return begins_at + timedelta(seconds=sold_seconds)


def add_bucket(balance: Balance, granted: Granted, now: datetime, late_records: timedelta) -> Granted:
    """Add a bucket that was not there before: a top-up's, or one from before Recarga; say when it ends.

    `extend` prolongs what is left, `queue` waits behind it, `replace` takes its place. A top-up that arrives
    after later ones is fitted in where it belongs, and they are stacked anew. Buckets that can no longer
    change are closed: empty ones of earlier cycles, and those that lapsed longer than `late_records` ago.
    """
    bucket = Bucket(
        granted.bucket_id,
        granted.cycle,
        granted.stacking,
        priority=0,
        remaining_bytes=granted.initial_bytes,
        expires_at=granted.expires_at,
        began_at=EVER if granted.stacking is None else granted.began_at,
        sold_seconds=granted.sold_seconds,
    )
    if bucket.stacking == "replace":
        _replace_earlier(balance, bucket)
    before = {other.bucket_id: other.expires_at for other in balance.buckets}
    later = sorted((other for other in balance.buckets if other.cycle > bucket.cycle), key=_cycle)
    _stack(balance, bucket, is_late=bool(later))
    balance.buckets.append(bucket)
    balance.note(bucket, "granted", bucket.remaining_bytes)
    ends_at = before[bucket.bucket_id] = bucket.expires_at
    if bucket.cycle < balance.replaced_cycle:
        _close(balance, bucket, "replaced")
    elif bucket.remaining_bytes:
        for other in later:
            _stack(balance, other, is_late=True)
        _note_moved(balance, before)
    balance.buckets.sort(key=consumption_order)
    _pay_overrun(balance, bucket)
    _begin_cycle(balance, granted)
    _close_what_is_over(balance, now, late_records)
    return replace(granted, expires_at=ends_at)


def _cycle(bucket: Bucket) -> int:
    return bucket.cycle


def consumption_order(bucket: Bucket) -> tuple[int, datetime, str]:
    """The key that sorts buckets as usage empties them."""
    return bucket.priority, bucket.expires_at, bucket.bucket_id


def _replace_earlier(balance: Balance, bucket: Bucket) -> None:
    balance.replaced_cycle = max(balance.replaced_cycle, bucket.cycle)
    for other in list(balance.buckets):
        if other.cycle < bucket.cycle:
            _close(balance, other, "replaced")


def _stack(balance: Balance, bucket: Bucket, *, is_late: bool) -> None:
    """Give it its place among what was there before it, and its end, and prolong that where it extends it.

    `is_late`: later ones are there already, and may have prolonged what was there before: each counts as it
    ends by itself. What is open then had something left as they began, or it had been closed.
    """
    earlier = [other for other in balance.buckets if other.cycle < bucket.cycle]
    bucket.priority = _priority(bucket, earlier)
    ends_at = bucket.ends_at
    if bucket.sold_seconds is not None:
        left = [o.ends_at if is_late else o.expires_at for o in earlier if is_late or o.remaining_bytes]
        ends_at = end_as_sold(bucket.stacking, bucket.began_at, bucket.sold_seconds, left)
    bucket.end(ends_at, bucket.sold_seconds)
    if bucket.stacking == "extend":
        for other in earlier:
            if bucket.began_at < other.expires_at < ends_at:
                other.prolong(ends_at)


def _priority(bucket: Bucket, earlier: list[Bucket]) -> int:
    if bucket.stacking is None:
        return 0
    if bucket.stacking == "extend":
        return max((other.priority for other in earlier), default=bucket.cycle)
    return bucket.cycle


def _note_moved(balance: Balance, before: dict[str, datetime]) -> None:
    for bucket in balance.buckets:
        if bucket.expires_at != before[bucket.bucket_id]:
            is_later = bucket.expires_at > before[bucket.bucket_id]
            balance.note(bucket, "prolonged" if is_later else "shortened", 0)


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
