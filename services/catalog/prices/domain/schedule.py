"""The prices of one offering over time: what may be scheduled, changed and withdrawn.

A price is in force from `effective_from` until the next one in the same currency begins. A withdrawn
price counts, for requests made from `withdrawn_from` on, as if it had never been scheduled: the one
before it holds again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

MAX_SCHEDULED = 100
"""Prices of one offering and currency that may wait for their beginning."""


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in minor units of its currency, from an instant on."""

    offering_id: str
    price_id: str
    currency: str
    amount_minor: int
    effective_from: datetime
    withdrawn_from: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it has begun and is not withdrawn for a request made then."""
        return self.effective_from <= at and (self.withdrawn_from is None or at < self.withdrawn_from)


class PriceRefused(Exception):
    """A change that the schedule does not take: `reason` is stable, `detail` says what to do instead."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def price_in_force(prices: Sequence[Price], at: datetime) -> Price | None:
    """The price of a request made at that moment, among prices of one currency, in any order."""
    return max(
        (price for price in prices if price.holds(at)), key=lambda price: price.effective_from, default=None
    )


def schedule(prices: Sequence[Price], wanted: Price, now: datetime, notice: timedelta) -> Price | None:
    """The price to write, among all `prices` of the offering; None where it is there already.

    The very first price in a currency may begin at once, or in the past; every other one at least
    `notice` ahead, so that whoever was shown a price can still buy at it.

    Raises:
        PriceRefused: too soon, already binding, withdrawn, or at the same moment as another.
    """
    existing = next((price for price in prices if price.price_id == wanted.price_id), None)
    if existing is not None:
        if replace(existing, withdrawn_from=None) == wanted:
            return None
        _may_change(existing, now, notice)
    others = [
        price for price in prices if price.currency == wanted.currency and price.price_id != wanted.price_id
    ]
    if others and wanted.effective_from < now + notice:
        raise PriceRefused(
            "price-too-soon",
            f"A price begins at least {notice.total_seconds():.0f} s after it is scheduled; this one was "
            f"to begin at {wanted.effective_from.isoformat()}. Choose {(now + notice).isoformat()} or later.",
        )
    standing = [price for price in others if price.withdrawn_from is None]
    for price in standing:
        if price.effective_from == wanted.effective_from:
            raise PriceRefused(
                "price-overlaps",
                f"Price {price.price_id} begins at the same moment. Choose another, or withdraw that one.",
            )
    if sum(price.effective_from > now for price in standing) >= MAX_SCHEDULED:
        raise PriceRefused(
            "too-many-prices",
            f"{MAX_SCHEDULED} prices are waiting to begin. Schedule this one after some of them have.",
        )
    return wanted


def _may_change(existing: Price, now: datetime, notice: timedelta) -> None:
    if existing.withdrawn_from is not None:
        raise PriceRefused(
            "price-withdrawn", f"Price {existing.price_id} is withdrawn. Schedule a new one under another id."
        )
    if existing.effective_from < now + notice:
        raise PriceRefused(
            "price-in-force",
            f"Price {existing.price_id} is in force, or will be before everyone can know of a change. "
            "Withdraw it, or schedule a new price under another id.",
        )


def withdraw(prices: Sequence[Price], price_id: str, now: datetime, lead: timedelta) -> tuple[Price, bool]:
    """The price with its withdrawal, and whether that is new. Requests made `lead` from now miss it.

    Raises:
        PriceRefused: the offering has no such price.
    """
    existing = next((price for price in prices if price.price_id == price_id), None)
    if existing is None:
        raise PriceRefused("price-not-found", f"The offering has no price {price_id}. Compare the id.")
    if existing.withdrawn_from is not None:
        return existing, False
    return replace(existing, withdrawn_from=now + lead), True
