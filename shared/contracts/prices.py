"""`prices.v1`: the catalog's answer to a request."""

from typing import ClassVar

from shared.contracts.fields import Id, Instant, Text
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
