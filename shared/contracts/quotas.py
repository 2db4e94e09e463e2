"""`quotas.v1`: a subscription's data is running out. One of each kind per cycle."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.fields import Bytes, Count, Id, Imei, Instant
from shared.contracts.message import Message, deterministic_id

TOPIC = "quotas.v1"


class QuotaMessage(Message):
    """A trigger: `cycle` is the number of the top-up whose data is ending."""

    topic: ClassVar[str] = TOPIC
    subscription_id: Id
    cycle: Count
    remaining_bytes: Bytes
    granted_bytes: Bytes | None = None
    """What the cycle granted."""
    lapsed_bytes: Bytes | None = None
    """The part of that which nobody had used when its time was over: it is not among what remains."""
    cycle_began_at: Instant | None = None
    offended_imei: Imei | None = None
    """The bound device, where the data was used in another one (one eSIM, one device): what ForeignDeviceSeen
    leads to comes later than this. Where another device is bound by now, nothing is wrong."""
    occurred_at: Instant

    @property
    def key(self) -> str:
        return self.subscription_id

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.subscription_id, type(self).__name__, self.cycle)


class QuotaThresholdReached(QuotaMessage):
    """Less than the threshold is left."""

    threshold_bytes: Bytes


class QuotaExhausted(QuotaMessage):
    """Nothing is left."""


class QuotaExhaustionPredicted(QuotaMessage):
    """At the present rate nothing will be left at `exhausted_at`."""

    exhausted_at: Instant


class BucketExpiring(QuotaMessage):
    """The data lapses at `expires_at`, used or not."""

    expires_at: Instant
