"""`topup-commands.v1`: what the saga tells provisioning to do when something deviates."""

from typing import ClassVar, Literal

from shared.contracts.fields import Id, Instant
from shared.contracts.message import OnTerms, StartsEffect

TOPIC = "topup-commands.v1"


class ApplyTopUp(StartsEffect):
    """Apply the top-up. Attempt 1 says the same as PaymentCaptured."""

    topic: ClassVar[str] = TOPIC


class CancelTopUp(OnTerms):
    """Apply nothing more; never reverses an applied top-up."""

    topic: ClassVar[str] = TOPIC
    act_before: Instant
    reason: Id


class ResolveTopUp(OnTerms):
    """An operator's finding about a top-up whose outcome is unknown."""

    topic: ClassVar[str] = TOPIC
    act_before: Instant
    decision: Literal["applied", "not_applied"]
    decided_by: Id
