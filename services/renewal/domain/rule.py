"""A rule: the standing instruction to renew when data runs out, and what one trigger of it asks for."""

from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, NamedTuple
from uuid import UUID

from shared.contracts.fields import Origin
from shared.contracts.message import deterministic_id
from shared.contracts.quotas import QuotaExhausted, QuotaThresholdReached

TriggerKind = Literal["exhausted", "threshold"]
TRIGGER_KINDS: Final[dict[type, TriggerKind]] = {
    QuotaExhausted: "exhausted",
    QuotaThresholdReached: "threshold",
}
RULE: Final = "rule"
"""Stands as the caller of every request that a rule made."""

FIRST_TRY: Final = 1
"""Dunning tries are counted from 1; each is a renewal of its own."""


class RenewalRule(NamedTuple):
    """One subscription's rule. The cap is per charge, in minor units of `currency`."""

    subscription_id: str
    version: int
    triggers: list[TriggerKind]
    offering_id: str
    payment_method_ids: list[str]
    cap_amount_minor: int
    currency: str
    enabled: bool


class Trigger(NamedTuple):
    """A quota event as admission reads it: data of the bucket from top-up number `cycle` is ending."""

    subscription_id: str
    cycle: int
    kind: TriggerKind
    traceparent: str | None
    held_by: str | None = None
    """While it is kept: the charge stop that keeps it, by its scope; None where the taken slot does."""

    @property
    def renewal_id(self) -> UUID:
        """One per subscription, cycle and try: a later trigger of the cycle is the same renewal."""
        return deterministic_id(RULE, self.subscription_id, self.cycle, FIRST_TRY)

    @property
    def request_id(self) -> str:
        return f"{self.subscription_id}:{self.cycle}:{FIRST_TRY}"


class Request(NamedTuple):
    """What somebody asks for: a person over HTTP, a system over Kafka, or a rule."""

    caller: str
    request_id: str
    subscription_id: str
    offering_id: str
    max_amount_minor: int
    currency: str
    payment_method_ids: tuple[str, ...]
    payer_id: str | None
    origin: Origin = "customer"
    act_before: datetime | None = None
    traceparent: str | None = None
    is_told: bool = False
    """Whether a refusal is kept and sent as RenewalRefused: over HTTP the answer itself tells it."""

    @property
    def renewal_id(self) -> UUID:
        return deterministic_id(self.caller, self.request_id)

    @property
    def fingerprint(self) -> bytes:
        """Equal exactly where two requests ask for the same, whichever way they came."""
        said = (
            self.subscription_id,
            self.offering_id,
            str(self.max_amount_minor),
            self.currency,
            ",".join(self.payment_method_ids),
            self.payer_id or "",
        )
        return sha256("\x1f".join(said).encode()).digest()


def asked_by(rule: RenewalRule, trigger: Trigger) -> Request:
    """What the rule asks for: at most its cap, from the owner's methods, in their order."""
    return Request(
        caller=RULE,
        request_id=trigger.request_id,
        subscription_id=trigger.subscription_id,
        offering_id=rule.offering_id,
        max_amount_minor=rule.cap_amount_minor,
        currency=rule.currency,
        payment_method_ids=tuple(rule.payment_method_ids),
        payer_id=None,
        origin="rule",
        traceparent=trigger.traceparent,
    )
