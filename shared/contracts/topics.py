"""Every topic: who keys it by what is in DESIGN section 3; here is how it is laid out in Kafka."""

from dataclasses import dataclass
from datetime import timedelta

DEAD_LETTERS_SUFFIX = ".dead-letters"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's name and how long it keeps records; compacted ones keep the last record of each key."""

    name: str
    compacted: bool = False
    retention: timedelta = timedelta(days=7)


_STREAMS = (
    "renewals.v1",
    "prices.v1",
    "payments.v1",
    "topups.v1",
    "payment-commands.v1",
    "topup-commands.v1",
    "quotas.v1",
    "devices.v1",
    "renewal-requests.v1",
    "usage-records.v1",
)
_COMPACTED = ("subscriptions.v1", "customers.v1", "payment-methods.v1", "offerings.v1", "renewal-rules.v1")

TOPICS: tuple[Topic, ...] = (
    *(Topic(name) for name in _STREAMS),
    *(Topic(name, compacted=True) for name in _COMPACTED),
    *(Topic(name + DEAD_LETTERS_SUFFIX, retention=timedelta(days=30)) for name in (*_STREAMS, *_COMPACTED)),
)

NEVER_DISCARDED = frozenset({"payments.v1", "topups.v1"})
"""Their records say what was taken, given back and granted: one that is not handled is money forgotten."""
