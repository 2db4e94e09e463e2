"""`payments.v1`: whether money moved. One PaymentCaptured or PaymentCancelled per renewal, ever."""

from typing import ClassVar

from shared.contracts.fields import AmountMinor, Count, Currency, DeclineClass, Id, Instant
from shared.contracts.message import OnTerms, StartsEffect

TOPIC = "payments.v1"


class PaymentCaptured(StartsEffect):
    """The money is taken: the instruction to apply the top-up, attempt 1."""

    topic: ClassVar[str] = TOPIC
    payment_method_id: Id
    captured_at: Instant


class PaymentDeclined(OnTerms):
    """The issuer said no to this attempt. What follows depends on the class."""

    topic: ClassVar[str] = TOPIC
    payment_method_id: Id
    decline_class: DeclineClass
    decline_code: Id


class PaymentAttemptFailed(OnTerms):
    """This attempt is known not to have taken money. `reached_provider` false spends no budget."""

    topic: ClassVar[str] = TOPIC
    payment_method_id: Id
    reason: Id
    reached_provider: bool
    retry_after_seconds: Count | None = None


class PaymentActionRequired(OnTerms):
    """The payer must authenticate (SCA) before this method can be charged."""

    topic: ClassVar[str] = TOPIC
    payment_method_id: Id
    action_before: Instant


class PaymentCancelled(OnTerms):
    """No money is held and none will be taken; `unresolved` where that could not be learned in time."""

    topic: ClassVar[str] = TOPIC
    reason: Id
    unresolved: bool = False


class PaymentRefunded(OnTerms):
    """The whole capture went back to where it came from."""

    topic: ClassVar[str] = TOPIC
    amount_minor: AmountMinor
    currency: Currency
    refunded_at: Instant


class RefundAttemptFailed(OnTerms):
    """This refund attempt is known to have failed; another may be made."""

    topic: ClassVar[str] = TOPIC
    reason: Id
    reached_provider: bool
    retry_after_seconds: Count | None = None


class RefundRejected(OnTerms):
    """The refund can never be made this way: a person must look."""

    topic: ClassVar[str] = TOPIC
    reason: Id


class SurplusRefunded(OnTerms):
    """Money that no renewal may keep was found and sent back. `ordinal` tells several apart."""

    topic: ClassVar[str] = TOPIC
    ordinal: Count
    amount_minor: AmountMinor
    currency: Currency
    refunded_at: Instant


class PaymentDisputed(OnTerms):
    """The payer disputes the charge at the bank (chargeback)."""

    topic: ClassVar[str] = TOPIC
    amount_minor: AmountMinor
    currency: Currency
    reason: Id
    disputed_at: Instant
