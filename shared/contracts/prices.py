"""`prices.v1`: the catalog's answer to a request."""

from typing import ClassVar

from shared.contracts.fields import AmountMinor, Id, Instant, Text
from shared.contracts.message import OnTerms, StartsEffect

TOPIC = "prices.v1"


class RenewalPriced(StartsEffect):
    """The price holds and is within the terms: the instruction to capture attempt 1 with the first method."""

    topic: ClassVar[str] = TOPIC
    priced_at: Instant


class RenewalRejected(OnTerms):
    """The catalog does not sell this, to this subscription, for this money."""

    topic: ClassVar[str] = TOPIC
    reason: Id
    detail: Text = ""
    amount_minor: AmountMinor | None = None
    """What it costs, in the currency of the terms, where that is more than they allow."""
