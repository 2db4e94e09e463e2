"""What is asked for: by a person over HTTP, by a system over Kafka, or by a rule because data runs out."""

from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, NamedTuple
from uuid import UUID

from shared.contracts.fields import Origin
from shared.contracts.message import deterministic_id
from shared.contracts.quotas import (
    BucketExpiring,
    QuotaExhausted,
    QuotaExhaustionPredicted,
    QuotaMessage,
    QuotaThresholdReached,
)

TriggerKind = Literal["exhausted", "threshold", "expiring", "predicted"]
TRIGGER_KINDS: Final[dict[type[QuotaMessage], TriggerKind]] = {
    QuotaExhausted: "exhausted",
    QuotaThresholdReached: "threshold",
    BucketExpiring: "expiring",
    QuotaExhaustionPredicted: "predicted",
}
RULE: Final = "rule"
"""Stands as the caller of every request that a rule made."""

FIRST_TRY: Final = 1
"""Dunning tries are counted from 1; each is a renewal of its own."""

UNTIL: Final = "time"
PAUSED: Final = "pause"
"""What holds a kept trigger beside a charge stop: an instant (`not_before`), or that its rule is paused."""


class Trigger(NamedTuple):
    """A quota event as admission reads it: data of the bucket from top-up number `cycle` is ending."""

    subscription_id: str
    cycle: int
    kind: TriggerKind
    traceparent: str | None
    held_by: str | None = None
    """While it is kept: the charge stop that keeps it, by its scope, or UNTIL, or PAUSED; None: the slot."""
    dunning_try: int = FIRST_TRY
    not_before: datetime | None = None
    """Looked at again then."""
    announced: str | None = None
    """What its payer was told of before the charge: `offering amount currency`."""
    # What the quota event said; None where it did not, or where an older version kept the trigger.
    remaining_bytes: int | None = None
    granted_bytes: int | None = None
    cycle_began_at: datetime | None = None
    occurred_at: datetime | None = None
    ends_at: datetime | None = None
    """When the data lapses, or is predicted to be used up."""
    # Of a try after the first: what the one before wanted.
    offering_id: str | None = None
    declined: str | None = None
    """Payment methods, joined by commas, that never pay again: it waits until the rule names another one."""
    asked: str | None = None
    """What its payer was asked to agree to, as it costs more than that: `offering amount currency`."""
    offended_imei: str | None = None
    """The device that was bound when the data was used in another one; None: in none that usage knows of."""
    lapsed_bytes: int | None = None
    """What of `granted_bytes` nobody had used when its time was over; None as above."""

    @property
    def renewal_id(self) -> UUID:
        """One per subscription, cycle and try: a later trigger of the cycle is the same renewal."""
        return deterministic_id(RULE, self.subscription_id, self.cycle, self.dunning_try)

    @property
    def request_id(self) -> str:
        return f"{self.subscription_id}:{self.cycle}:{self.dunning_try}"


def trigger_of(message: QuotaMessage, traceparent: str | None) -> Trigger:
    """The first try for what usage says."""
    ends_at = None
    if isinstance(message, BucketExpiring):
        ends_at = message.expires_at
    elif isinstance(message, QuotaExhaustionPredicted):
        ends_at = message.exhausted_at
    return Trigger(
        message.subscription_id,
        message.cycle,
        TRIGGER_KINDS[type(message)],
        traceparent,
        remaining_bytes=message.remaining_bytes,
        granted_bytes=message.granted_bytes,
        cycle_began_at=message.cycle_began_at,
        occurred_at=message.occurred_at,
        ends_at=ends_at,
        offended_imei=message.offended_imei,
        lapsed_bytes=message.lapsed_bytes,
    )


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
    dunning_try: int | None = None
    """Which try of a rule it is; None where a person or a system asks."""
    is_bulk: bool = False
    """Whether a system asks for many: at a gateway that does not take all, people go before it."""

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
