"""What a gateway said of a call, or unasked: the value that every fold of a result takes."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from services.payment.domain.payment import Operation

NO_ANSWER = "no_answer"
"""Why an attempt failed that was called off at the PSP: its outcome could not be learned in time."""
OBJECT_GONE = "object_cancelled"
"""The object was cancelled, by whomever: it never takes money, and the next attempt makes another."""
UNRESOLVED = "unresolved"
"""Why a payment is cancelled that nobody wanted cancelled: whether money moved could not be learned."""
NOBODY_TO_ASK = frozenset({"cannot_be_asked", "gateway_not_configured"})
"""Codes of an unknown outcome about which no later question of ours will learn more."""
REFUND_RETURNED = "refund_returned"
"""Why a refund is rejected after it was made: the money came back."""


class Kind(StrEnum):
    """What came of a call."""

    CREATED = "created"  # an object exists at the PSP; no money moved
    CAPTURED = "captured"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    VOIDED = "voided"
    REFUNDED = "refunded"
    REFUND_RETURNED = "refund_returned"  # a refund that had succeeded came back
    REJECTED = "rejected"  # the refund can never be made
    DISPUTED = "disputed"
    FAILED = "failed"  # known not to have been done
    NOTHING_FOUND = "nothing_found"  # asked late enough: nothing was done
    NOT_SENT = "not_sent"  # the time to send it had passed
    UNKNOWN = "unknown"
    WALLET = "wallet"  # to be decided where the wallet is locked


class Outcome(NamedTuple):
    """What a gateway said. `claim` is None where no worker brings it: a webhook.

    `reference` names the object, or the refund; then `object_reference` names the object that was refunded.
    """

    renewal_id: UUID
    kind: Kind
    at: datetime
    operation: Operation | None = None
    ordinal: int = 0
    claim: int | None = None
    gateway: str = ""
    reference: str | None = None
    code: str = ""
    reached_provider: bool = True
    retry_after_seconds: int | None = None
    amount_minor: int = 0
    currency: str = ""
    object_reference: str | None = None
    is_outage: bool = False
    """The gateway itself failed: it was not reached, did not answer in time, or answered 5xx."""
