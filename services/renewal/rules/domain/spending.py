"""What a rule may still charge: consent, caps, number and pace, with what is under way counted in full."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from services.renewal.rules.domain.rule import DAY_SECONDS, Limits

WindowCap = Literal["cap_day", "cap_period"]
Bound = Literal["consent", "cap_charge"] | WindowCap
"""Which of the limits is the lowest, and so the maximum of the terms."""


REPLIES: Final = "text-messages:"
"""Before the gateway's name: the caller of the renewals that replies by text message begin."""


class Charge(NamedTuple):
    """A renewal upon the rule's consent that took money, or may yet: then its amount is its maximum.

    A rule's own, or one that a reply by text message began. What people ask for in other ways they consent
    to as they ask: that does not count.
    """

    at: datetime
    amount_minor: int
    currency: str


class Room(NamedTuple):
    """The most that may be charged now, and what says so."""

    amount_minor: int
    bound_by: Bound


class NoRoom(NamedTuple):
    """Nothing may be charged now; `until` is when something may be. None: never on this mandate."""

    reason: Literal["max_number", "cool_down"] | WindowCap
    until: datetime | None


def room(
    limits: Limits,
    consent_minor: int,
    consent_given_at: datetime,
    charges: Sequence[Charge],
    now: datetime,
) -> Room | NoRoom:
    """`charges`: those of the longest window of the limits at least, open ones at their maximum."""
    if limits.max_renewals is not None:
        begun = sum(charge.at >= consent_given_at for charge in charges)
        if begun >= limits.max_renewals:
            return NoRoom("max_number", None)
    cool = _cool_at(limits, charges)
    if cool is not None and now < cool:
        return NoRoom("cool_down", cool)
    found = Room(consent_minor, "consent")
    if limits.cap_amount_minor < found.amount_minor:
        found = Room(limits.cap_amount_minor, "cap_charge")
    windows: tuple[tuple[WindowCap, int | None, int], ...] = (
        ("cap_day", limits.cap_day_minor, 1),
        ("cap_period", limits.cap_period_minor, limits.period_days),
    )
    for bound, cap_minor, days in windows:
        if cap_minor is None:
            continue
        window = timedelta(seconds=days * DAY_SECONDS)
        counted = [charge for charge in charges if charge.currency == limits.currency]
        left = cap_minor - _sum(charge for charge in counted if charge.at > now - window)
        if left <= 0:
            return NoRoom(bound, _freed_at(counted, cap_minor, window, now))
        if left < found.amount_minor:
            found = Room(left, bound)
    return found


def _cool_at(limits: Limits, charges: Sequence[Charge]) -> datetime | None:
    if not limits.cool_down_seconds or not charges:
        return None
    return max(charge.at for charge in charges) + timedelta(seconds=limits.cool_down_seconds)


def _freed_at(charges: Sequence[Charge], cap_minor: int, window: timedelta, now: datetime) -> datetime:
    """When the oldest charges have left the window, so far that something may be charged."""
    counted = sorted(charge for charge in charges if charge.at > now - window)
    left = cap_minor - _sum(counted)
    for charge in counted:
        left += charge.amount_minor
        if left > 0:
            return charge.at + window
    raise AssertionError("a cap of at least 1 is never used up by nothing")


def _sum(charges: Iterable[Charge]) -> int:
    return sum(charge.amount_minor for charge in charges)
