"""`renewals.v1`: what the renewal service says about its renewals."""

from typing import ClassVar, Literal
from uuid import UUID

from shared.contracts.fields import (
    AmountMinor,
    ChargeMinor,
    Count,
    Currency,
    Id,
    Instant,
    PaymentMethodIds,
    Text,
    Url,
)
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


class _ByRule(Message):
    """What a rule's renewal would be, told before there is one, or after there was none."""

    topic: ClassVar[str] = TOPIC
    renewal_id: UUID
    subscription_id: Id
    mandate_id: Id
    """The consent that the rule stands on."""
    offering_id: Id
    max_amount_minor: ChargeMinor
    currency: Currency

    @property
    def key(self) -> str:
        return self.subscription_id

    @property
    def subject(self) -> str:
        return str(self.renewal_id)


class ConsentRequired(_ByRule):
    """A rule could not renew: it costs more than `max_amount_minor`, and more must be asked for, not taken.

    `reason`: `price_above_consent`, or `cap_charge` where the rule itself allows less than its mandate.
    """

    reason: Id
    amount_minor: ChargeMinor | None = None
    """What it costs. Once as much is agreed to, it is renewed by itself, while its cycle lasts."""
    asked_at: Instant

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.renewal_id, "ConsentRequired")


class PaymentMethodRequired(_ByRule):
    """A rule's renewal could not be paid, and waiting alone helps little: the payer must name another method.

    It is tried anew at `next_try_at`, or as soon as the rule names another one.
    """

    reason: Id
    """As RenewalFailed has it: `declined_hard`, ..."""
    payment_method_ids: PaymentMethodIds
    """Those that it was to be paid with."""
    asked_at: Instant
    next_try_at: Instant

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.renewal_id, "PaymentMethodRequired")


class AutomaticChargesStopped(Message):
    """The burst breaker has stopped what rules charge there; a person resumes it. Keyed by its scope."""

    topic: ClassVar[str] = TOPIC
    kind: Literal["everywhere", "brand", "subscription"]
    name: Id | None
    counted: Count
    """Automatic renewals that had begun within the window."""
    limit: Count
    window_seconds: Count
    stopped_at: Instant

    @property
    def key(self) -> str:
        """What is stopped: `everywhere`, `brand ola`, `subscription s-1`."""
        return self.kind if self.name is None else f"{self.kind} {self.name}"

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.key, "AutomaticChargesStopped", self.stopped_at.isoformat())


class RenewalAnnounced(_ByRule):
    """A rule will renew at `charge_at`, for at most this much, unless it is paused or its mandate revoked."""

    charge_at: Instant

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.renewal_id, "RenewalAnnounced", self.charge_at.isoformat())
