"""`renewals.v1`: what the renewal service says about its renewals."""

from typing import ClassVar, Literal
from uuid import UUID

from shared.contracts.fields import AmountMinor, Count, Currency, Id, Instant, Text, Url
from shared.contracts.message import Message, OnTerms, deterministic_id

TOPIC = "renewals.v1"


class RenewalRequested(OnTerms):
    """A renewal was admitted; catalog prices it. Sent again, with the same id, when nobody answers."""

    topic: ClassVar[str] = TOPIC
    requested_at: Instant
    act_before: Instant
    cycle: Count = 0
    """The number of top-ups that the subscription had when the renewal was admitted."""


class RenewalCompleted(OnTerms):
    """The top-up is applied and the money is kept."""

    topic: ClassVar[str] = TOPIC
    amount_minor: AmountMinor
    currency: Currency
    completed_at: Instant
    cycle: Count


class RenewalFailed(OnTerms):
    """It could not be done, and no money is held: PaymentCancelled was seen."""

    topic: ClassVar[str] = TOPIC
    reason: Id
    failed_at: Instant


class RenewalCancelled(OnTerms):
    """Somebody called it off or its time ran out, and no money is held."""

    topic: ClassVar[str] = TOPIC
    reason: Id
    cancelled_at: Instant


class RenewalRefunded(OnTerms):
    """The money went back in full."""

    topic: ClassVar[str] = TOPIC
    reason: Id
    amount_minor: AmountMinor
    currency: Currency
    refunded_at: Instant


class RenewalDelayed(OnTerms):
    """It takes longer than promised. Said once."""

    topic: ClassVar[str] = TOPIC
    state: Id
    promised_by: Instant


class CustomerActionRequired(OnTerms):
    """The payer must confirm the payment or name another method, before the deadline."""

    topic: ClassVar[str] = TOPIC
    action: Literal["confirm_payment", "choose_payment_method"]
    payment_method_id: Id
    action_before: Instant
    action_url: Url | None = None
    """Where the payer does it: signed, for this question alone, good until `action_before`. Never logged."""


class RenewalParked(OnTerms):
    """A person must decide. The slot stays taken."""

    topic: ClassVar[str] = TOPIC
    reason: Id
    parked_at: Instant


class RenewalRefused(Message):
    """A request that was not admitted, answered to whoever sent it. There is no renewal."""

    topic: ClassVar[str] = TOPIC
    subscription_id: Id
    caller: Id
    request_id: Id
    reason: Id
    detail: Text
    refused_at: Instant

    @property
    def key(self) -> str:
        return self.subscription_id

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.caller, self.request_id, "RenewalRefused")
