"""The decision about one renewal's top-up, and what it is about.

Named tuples: they are copied with a change several times per renewal, at a quarter of a dataclass's cost.
"""

from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from shared.contracts.message import Grant, Terms

State = Literal[
    "held",  # came too late: nothing begun until a timely command of the same attempt
    "pending",  # accepted, no worker has it yet: nothing was sent
    "sending",  # an attempt is under way, or its outcome is not known
    "failed",  # the current attempt is known not to have been applied; another may follow
    "calling_off",  # the carrier is asked to make sure that none will ever be applied
    "undetermined",  # could not be learned in time: a person must look, a fact still settles it
    "applied",
    "rejected",
    "cancelled",
]
FINAL: Final = frozenset({"applied", "rejected", "cancelled"})
"""Said once per renewal, ever, and repeated to whoever asks again."""

SPOKEN: Final = FINAL | {"failed", "undetermined"}
"""States that came with an event: the answer that is repeated."""


class TopUp(NamedTuple):
    """What is decided. Every change of it raises `version` by one, whether it is spoken of or not."""

    state: State
    attempt: int
    """The saga's attempt."""
    version: int
    act_before: datetime
    ordinal: int = 0
    """The attempt at the carrier that is current; rises only after a known negative. 0: none was made."""
    same_ordinal: bool = False
    """The current ordinal left no trace at a carrier that honours keys: the next attempt repeats its key, and
    whoever calls that off asks the carrier. True until an attempt has come to something else."""
    cancel_wanted: bool = False
    """CancelTopUp came: without an effect it ends as cancelled, otherwise as rejected."""
    unsure: bool = False
    """While calling off: an attempt was made whose outcome is not known."""
    cancel_ordinal: int = 0
    reason: str | None = None
    reached_provider: bool | None = None
    retry_after_seconds: int | None = None
    provider_reference: str | None = None
    applied_at: datetime | None = None
    expires_at: datetime | None = None
    cycle: int | None = None


class Order(NamedTuple):
    """What is to be applied, for whom, where. Fixed by the first message about the renewal.

    `grant`, `amount_minor` and `currency` are missing where that message was a cancellation; `iccid` and
    `carrier` where the subscription is not known.
    """

    renewal_id: UUID
    subscription_id: str
    terms: Terms
    grant: Grant | None
    amount_minor: int | None
    currency: str | None
    iccid: str | None
    carrier: str | None
    traceparent: str | None
