"""How often a card may be tried, as data: what its network allows, counted across all renewals.

What is counted is declines: a try that is declined was one too many once a cap is reached, and the network
fines it. A first try of many purchases at once is none of them, so a card without declines may pay for any
number. Near the cap the tries that are under way count as well, for each of them may be declined.

After some declines a card is never tried again (`decline_codes.NEVER_AGAIN`), until its method has another
token or the PSP tells that the details behind the token are others.

How far a cap can be exceeded: a subscription has one renewal under way, but a payer may have thousands of
subscriptions on one card, and all of them may have begun before its first decline. Each is judged when its
row is claimed, and again just before anything is sent, by what this process has heard since
(`card_declines.py`). One process exceeds a cap only by what it has out at that moment, which is at most
`payment_limits.connections` tries, 256 by default; and by none where no more than `declines - counted_from`
of one card are out. Several processes may each come to that, until they read what the others wrote. To have
none at all, tries of a good card would have to wait for each other: docs/adr/0023.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from services.payment.domain.decline_codes import (
    AUTHENTICATION_EXPIRED,
    AUTHENTICATION_FAILED,
    CARD_BEING_TRIED,
    CARD_REFUSED_FOR_GOOD,
    NETWORK_CAP_REACHED,
    NEVER_AGAIN,
    OURS,
)
from services.payment.domain.payment import AttemptRow, CallStatus, Method, Operation


@dataclass(slots=True, frozen=True)
class Cap:
    """At most `declines` in any `window`; from `counted_from` of them on, tries under way count as well."""

    declines: int
    window: timedelta
    counted_from: int


Caps = tuple[Cap, ...]
"""Each of them holds."""

NETWORKS: Final[dict[str, Caps]] = {
    "visa": (Cap(declines=15, window=timedelta(days=30), counted_from=8),),
    "mastercard": (
        Cap(declines=10, window=timedelta(hours=24), counted_from=5),
        Cap(declines=35, window=timedelta(days=30), counted_from=18),
    ),
}
"""Visa, excessive reattempts: 15 in 30 days (Stripe, "Payment blocked due to excessive retries"; its rules of
April 2026 say 20, not all acquirers do yet). Mastercard, excessive authorization attempts: 10 in 24 hours and
35 in 30 days (TabaPay, "Excessive retry rules"). Some of it counts for one amount only; here any amount.
"""
ANY_OTHER: Final[Caps] = (Cap(declines=10, window=timedelta(days=30), counted_from=5),)
"""Where the network is not known, or its rule is not: no more than with any that is."""

MOST_DECLINES: Final = max(cap.declines for caps in (*NETWORKS.values(), ANY_OTHER) for cap in caps)
"""More declines than these need not be kept: each cap is reached by then."""

FOR_EVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""Stands first among the declines of a card that is never to be tried again. A version that does not know it
counts one decline that never ages, and hands it on with the others."""

# No authorization was sent: the payer did not get past the bank's page.
_NEVER_TRIED: Final = frozenset(
    {
        *OURS,
        "action_required",
        AUTHENTICATION_FAILED,
        AUTHENTICATION_EXPIRED,
        "payment_intent_authentication_failure",
    }
)


def caps_of(network: str | None) -> Caps:
    return NETWORKS.get(network or "", ANY_OTHER)


def declines(method: Method, cap: Cap, now: datetime) -> int:
    """How many of the card's declines count now: a decline leaves the window when it is as old as that."""
    since = now - cap.window
    return sum(declined_at > since for declined_at in method.declined_at)


def is_near_cap(method: Method, now: datetime) -> bool:
    """Whether what is under way has to be counted before the card may be tried again."""
    return FOR_EVER not in method.declined_at and any(
        declines(method, cap, now) >= cap.counted_from for cap in caps_of(method.network)
    )


def declines_left(method: Method, now: datetime) -> int:
    """How often the card may be declined yet; 0 or less: it may not be tried."""
    return min(cap.declines - declines(method, cap, now) for cap in caps_of(method.network))


def cap_refusal(method: Method, renewal_id: UUID, now: datetime) -> str | None:
    """The decline code under which a card is not tried; None where it may be."""
    if FOR_EVER in method.declined_at:
        return CARD_REFUSED_FOR_GOOD
    if declines_left(method, now) <= 0:
        return NETWORK_CAP_REACHED
    if method.let_through is not None and renewal_id not in method.let_through:
        return CARD_BEING_TRIED
    return None


def let_through(
    method: Method,
    declined_at: tuple[datetime, ...],
    under_way: int,
    asking: Iterable[UUID],
    now: datetime,
) -> Method:
    """The method as it stands under its card's lock: as many that ask may try it as the cap leaves."""
    held = replace(method, declined_at=declined_at)
    left = declines_left(held, now) - under_way
    return replace(held, let_through=frozenset(islice(asking, max(left, 0))))


def counts(attempt: AttemptRow) -> bool:
    """Whether an attempt is one that the network counts: sent to it, and declined."""
    return (
        attempt.status is CallStatus.DECLINED
        and attempt.operation is Operation.CAPTURE
        and is_counted(attempt.code)
    )


def is_counted(code: str | None) -> bool:
    """Whether the network saw a try that was declined by this code."""
    return code not in _NEVER_TRIED


def is_final(code: str | None) -> bool:
    """Whether no later renewal may try the card either."""
    return code in NEVER_AGAIN
