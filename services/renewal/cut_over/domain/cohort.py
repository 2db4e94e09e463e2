"""Whether a subscription is live: charged by us; or in shadow: judged and recorded, never charged here."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

ALL: Final = 100
"""Per cent. Everything is live where nobody ever set anything."""


class Share(NamedTuple):
    """How many of a hundred subscriptions of a brand, a carrier, or a brand at a carrier are live."""

    brand: str | None
    carrier: str | None
    percent: int

    def holds_for(self, brand: str | None, carrier: str | None) -> bool:
        return self.brand in (None, brand) and self.carrier in (None, carrier)

    @property
    def narrowness(self) -> tuple[bool, bool, bool]:
        """The narrowest counts: a brand at a carrier, then a carrier, then a brand."""
        return self.brand is not None and self.carrier is not None, self.carrier is not None, True


class Cohort(NamedTuple):
    """What is known of one trigger's subscription. `percent` None: no cut-over was ever set."""

    percent: int | None = None
    """Of whoever no share names."""
    shares: Sequence[Share] = ()
    listed: bool | None = None
    """Named by itself: live, or in shadow; None: by no list."""
    was_shadow: bool = False
    """The same trigger was judged in shadow before."""


EVERYTHING_LIVE: Final = Cohort()


def bucket(subscription_id: str) -> int:
    """One of a hundred, for ever: whoever is live stays so when the percentage rises."""
    return int.from_bytes(sha256(subscription_id.encode()).digest()[:8]) % ALL


def share_of(cohort: Cohort, brand: str | None, carrier: str | None) -> int:
    """The percentage that holds for a subscription of that brand and carrier."""
    holding = [share for share in cohort.shares if share.holds_for(brand, carrier)]
    narrowest = max(holding, key=lambda share: share.narrowness, default=None)
    if narrowest is not None:
        return narrowest.percent
    return ALL if cohort.percent is None else cohort.percent


def is_live(cohort: Cohort, subscription_id: str, brand: str | None, carrier: str | None) -> bool:
    """Whether the trigger may lead to a charge.

    What was judged in shadow is never charged later, however often it is read: the other system had it.
    """
    if cohort.was_shadow:
        return False
    if cohort.listed is not None:
        return cohort.listed
    return bucket(subscription_id) < share_of(cohort, brand, carrier)
