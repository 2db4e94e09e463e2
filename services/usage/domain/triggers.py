"""Who must hear that data is running out: each kind once per cycle, armed again by a top-up only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from services.usage.domain.balance import Balance
from services.usage.domain.burn import exhausted_at, is_exhausted_within
from services.usage.domain.device import offended_imei
from shared.contracts.fields import MAX_BYTES
from shared.contracts.quotas import (
    BucketExpiring,
    QuotaExhausted,
    QuotaExhaustionPredicted,
    QuotaMessage,
    QuotaThresholdReached,
)

Kind = Literal["threshold_reached", "exhausted", "predicted", "expiring"]
KINDS: Final[tuple[Kind, ...]] = ("threshold_reached", "exhausted", "predicted", "expiring")
_BITS: Final = {kind: 1 << place for place, kind in enumerate(KINDS)}


class Wants(NamedTuple):
    """When to say something. None: never for that reason. That nothing is left is always said."""

    threshold_percent: int | None
    """Of what the cycle granted; with `threshold_bytes` too, whichever is more."""
    threshold_bytes: int | None = None
    predicted_seconds: int | None = None
    """This long before it would be used up: what a renewal takes to be effective, and a margin."""
    expiring_seconds: int | None = None
    """This long before all that is left lapses."""

    def threshold(self, granted_bytes: int) -> int:
        return max((self.threshold_percent or 0) * granted_bytes // 100, self.threshold_bytes or 0)

    def overruled_by(self, rule: tuple[int | None, ...]) -> "Wants":
        """What a rule says instead, field by field; a threshold of its own is its whole threshold.

        Seconds below 0 are what it takes from a trigger until the rule charges. A prediction is wanted so
        much earlier; a lapse, which is known long before, early enough: at the carrier's warning or before.
        """
        percent, size, predicted, expiring = rule
        if percent is None and size is None:
            percent, size = self.threshold_percent, self.threshold_bytes
        if predicted is None or predicted < 0:
            predicted = _earlier(self.predicted_seconds, -(predicted or 0))
        if expiring is None or expiring < 0:
            enough = _earlier(self.predicted_seconds, -expiring) if expiring else None
            expiring = self.expiring_seconds and max(self.expiring_seconds, enough or 0)
        return Wants(percent, size, predicted, expiring)

    @property
    def has_threshold(self) -> bool:
        return self.threshold_percent is not None or self.threshold_bytes is not None


def _earlier(seconds: int | None, lead_seconds: int) -> int | None:
    """None stays: for that reason nothing is ever said."""
    return None if seconds is None else seconds + lead_seconds


@dataclass(frozen=True, slots=True)
class Trigger:
    """Something to be said of a cycle."""

    kind: Kind
    message: QuotaMessage


def was_said(balance: Balance, kind: Kind) -> bool:
    """Whether it was said in this cycle."""
    return bool(balance.said & _BITS[kind])


def take_due(balance: Balance, now: datetime, wants: Wants) -> list[Trigger]:
    """What holds now and was not said in this cycle; the balance remembers that it is said from here on."""
    if not balance.granted_bytes:
        return []
    remaining = balance.remaining_bytes(now)
    due = [kind for kind in _holding(balance, remaining, now, wants) if not was_said(balance, kind)]
    if not due:
        return []
    for kind in due:
        balance.said |= _BITS[kind]
    return [Trigger(kind, _message(kind, balance, remaining, now, wants)) for kind in due]


def take_announced(
    balance: Balance,
    kind: Kind,
    remaining_bytes: int | None,
    now: datetime,
    wants: Wants,
    announced_by: Wants,
) -> list[Trigger]:
    """What the carrier itself says of this cycle, unless it was said: whatever we believe is left.

    Where it does not say how much is left, it is at most its own threshold. Where that is more than the
    subscription's rule wants to hear of, it is no news yet: the one that is would be a repetition then.
    """
    if was_said(balance, kind):
        return []
    if remaining_bytes is None:
        remaining_bytes = min(balance.remaining_bytes(now), announced_by.threshold(balance.granted_bytes))
    if kind == "threshold_reached" and _is_early(balance, remaining_bytes, wants):
        return []
    balance.said |= _BITS[kind]
    return [Trigger(kind, _message(kind, balance, remaining_bytes, now, wants))]


def _is_early(balance: Balance, remaining_bytes: int, wants: Wants) -> bool:
    """Whether so much is above its own rule's threshold. Of data that is not known no share is."""
    percent, size = (None, None) if balance.rule_wants is None else balance.rule_wants[:2]
    has_own = size is not None if percent is None else bool(balance.granted_bytes)
    return has_own and remaining_bytes > wants.threshold(balance.granted_bytes)


def rearm(balance: Balance, now: datetime, wants: Wants) -> None:
    """Other limits hold from now on: what was said, and is not so by these, may be said again."""
    holding = set(_holding(balance, balance.remaining_bytes(now), now, wants))
    for kind in KINDS:
        if kind not in holding and kind != "exhausted":
            balance.said &= ~_BITS[kind]


def next_due_at(balance: Balance, now: datetime, wants: Wants) -> datetime | None:
    """When to look again although nobody uses anything: something lapses, or is about to.

    Each bucket's warning counts: usage does not move this, and may empty the one that lasts longest first.
    """
    instants = {bucket.expires_at for bucket in balance.live_buckets(now)}
    if wants.expiring_seconds is not None:
        ahead = timedelta(seconds=wants.expiring_seconds)
        instants |= {warning for at in instants if (warning := at - ahead) > now}
    return min(instants, default=None)


def _holding(balance: Balance, remaining: int, now: datetime, wants: Wants) -> Iterator[Kind]:
    if wants.has_threshold and remaining <= wants.threshold(balance.granted_bytes):
        yield "threshold_reached"
    if not remaining:
        yield "exhausted"
        return
    if wants.predicted_seconds is not None and is_exhausted_within(
        balance.burn, remaining, wants.predicted_seconds, now
    ):
        yield "predicted"
    if wants.expiring_seconds is not None and _lapses_by(
        balance, now + timedelta(seconds=wants.expiring_seconds)
    ):
        yield "expiring"


def _lapses_by(balance: Balance, at: datetime) -> bool:
    """Whether none of what is left lasts longer. The first bucket does, nearly always."""
    return all(bucket.expires_at <= at or not bucket.remaining_bytes for bucket in balance.buckets)


def _lapsed_bytes(balance: Balance, now: datetime) -> int:
    """What is left of this cycle's buckets that have lapsed: they stay open for records that come late."""
    return sum(
        bucket.remaining_bytes
        for bucket in balance.buckets
        if bucket.cycle == balance.cycle and bucket.expires_at <= now
    )


def _message(kind: Kind, balance: Balance, remaining: int, now: datetime, wants: Wants) -> QuotaMessage:
    said: dict[str, Any] = {
        "subscription_id": balance.subscription_id,
        "cycle": balance.cycle,
        "remaining_bytes": min(remaining, MAX_BYTES),
        "granted_bytes": min(balance.granted_bytes, MAX_BYTES) or None,
        "lapsed_bytes": min(_lapsed_bytes(balance, now), MAX_BYTES),
        "cycle_began_at": balance.cycle_began_at,
        "offended_imei": offended_imei(balance),
        "occurred_at": now,
    }
    if kind == "threshold_reached":
        # A carrier that announces it may know another threshold.
        threshold = max(wants.threshold(balance.granted_bytes), remaining)
        return QuotaThresholdReached(**said, threshold_bytes=min(threshold, MAX_BYTES))
    if kind == "predicted":
        return QuotaExhaustionPredicted(
            **said, exhausted_at=exhausted_at(balance.burn, remaining, now) or now
        )
    if kind == "expiring":
        return BucketExpiring(**said, expires_at=balance.expires_at(now) or now)
    return QuotaExhausted(**said)
