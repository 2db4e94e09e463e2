"""How often a card may be tried, as data: what its network allows, counted across all renewals.

What is counted is declines: a try that is declined was one too many once the cap is reached, and the network
fines it. A first try of many purchases at once is none of them, so a card without declines may pay for any
number. Near the cap the tries that are under way count as well, for each of them may be declined.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

from services.payment.domain.decline_codes import (
    AUTHENTICATION_EXPIRED,
    AUTHENTICATION_FAILED,
    CARD_BEING_TRIED,
    NETWORK_CAP_REACHED,
    OURS,
)
from services.payment.domain.payment import AttemptRow, CallStatus, Method, Operation


@dataclass(slots=True, frozen=True)
class Cap:
    """At most `declines` in any `window`; from `counted_from` of them on, tries under way count as well."""

    declines: int
    window: timedelta
    counted_from: int


NETWORKS: Final[dict[str, Cap]] = {
    "visa": Cap(declines=15, window=timedelta(days=30), counted_from=8),
    "mastercard": Cap(declines=35, window=timedelta(days=30), counted_from=18),
}
ANY_OTHER: Final = Cap(declines=10, window=timedelta(days=30), counted_from=5)
"""Where the network is not known, or its rule is not: below everything that is."""

MOST_DECLINES: Final = max(cap.declines for cap in (*NETWORKS.values(), ANY_OTHER))
"""More declines than these need not be kept: each cap is reached by then."""

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


def cap_of(network: str | None) -> Cap:
    return NETWORKS.get(network or "", ANY_OTHER)


def declines(method: Method, now: datetime) -> int:
    """How many of the card's declines count now: a decline leaves the window when it is as old as that."""
    since = now - cap_of(method.network).window
    return sum(declined_at > since for declined_at in method.declined_at)


def is_near_cap(method: Method, now: datetime) -> bool:
    """Whether what is under way has to be counted before the card may be tried again."""
    return declines(method, now) >= cap_of(method.network).counted_from


def cap_refusal(method: Method, renewal_id: UUID, now: datetime) -> str | None:
    """The decline code under which a card is not tried; None where it may be."""
    if declines(method, now) >= cap_of(method.network).declines:
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
    left = cap_of(held.network).declines - declines(held, now) - under_way
    return replace(held, let_through=frozenset(islice(asking, max(left, 0))))


def counts(attempt: AttemptRow) -> bool:
    """Whether an attempt is one that the network counts: sent to it, and declined."""
    return (
        attempt.status is CallStatus.DECLINED
        and attempt.operation is Operation.CAPTURE
        and attempt.code not in _NEVER_TRIED
    )
