"""`topups.v1`: whether data was granted. Exactly one of TopUpApplied, TopUpRejected, TopUpCancelled, ever."""

from typing import ClassVar

from shared.contracts.fields import AmountMinor, Count, Currency, Id, Instant
from shared.contracts.message import Grant, OnTerms

TOPIC = "topups.v1"


class TopUpApplied(OnTerms):
    """The data is on the eSIM. `cycle` numbers the subscription's top-ups from 1."""

    topic: ClassVar[str] = TOPIC
    grant: Grant
    amount_minor: AmountMinor
    currency: Currency
    cycle: Count
    applied_at: Instant
    expires_at: Instant
    expiry_stated: bool = True
    """Whether the carrier said when it ends. Where it did not, `expires_at` is the earliest that it can be,
    the validity from `applied_at`: usage knows what was left, and so when it ends."""


class TopUpRejected(OnTerms):
    """The carrier will never apply it, and no attempt still can."""

    topic: ClassVar[str] = TOPIC
    reason: Id


class TopUpAttemptFailed(OnTerms):
    """This attempt is known not to have been applied. `reached_provider` false spends no budget."""

    topic: ClassVar[str] = TOPIC
    reason: Id
    reached_provider: bool
    retry_after_seconds: Count | None = None


class TopUpCancelled(OnTerms):
    """It was called off before it was applied, and can no longer be."""

    topic: ClassVar[str] = TOPIC
    reason: Id


class TopUpUndetermined(OnTerms):
    """Whether it was applied could not be learned in time: a person must look."""

    topic: ClassVar[str] = TOPIC
    reason: Id
