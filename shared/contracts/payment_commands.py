"""`payment-commands.v1`: what the saga tells payment to do when something deviates."""

from typing import ClassVar, Literal

from shared.contracts.fields import Id, Instant
from shared.contracts.message import OnTerms, StartsEffect

TOPIC = "payment-commands.v1"


class CapturePayment(StartsEffect):
    """Capture with this method. Attempt 1 says the same as RenewalPriced."""

    topic: ClassVar[str] = TOPIC
    payment_method_id: Id


class CancelPayment(OnTerms):
    """Take no money; answered by PaymentCancelled, or by PaymentCaptured if it came too late."""

    topic: ClassVar[str] = TOPIC
    act_before: Instant
    reason: Id


class RefundPayment(OnTerms):
    """Give the whole capture back."""

    topic: ClassVar[str] = TOPIC
    act_before: Instant
    reason: Id


class ResolvePayment(OnTerms):
    """An operator's finding about a payment whose outcome is unknown."""

    topic: ClassVar[str] = TOPIC
    act_before: Instant
    decision: Literal["captured", "not_captured", "refunded"]
    decided_by: Id
