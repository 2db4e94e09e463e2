"""How a call begins: what is written to the row before anything leaves the house."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.payment.domain.payment import (
    AttemptRow,
    CallStatus,
    Change,
    Method,
    Operation,
    Patience,
    Payment,
    Surplus,
    begun_row,
)
from shared.contracts.payments import PaymentAttemptFailed

NOTHING_FOUND = "nothing_found"
"""The reason of a negative that rests on seeing nothing: the ordinal, and so the key, stays the same."""


def begin(
    payment: Payment, operation: Operation, now: datetime, patience: Patience, **fields: object
) -> Change:
    """The row with a new call under way, and the attempt's row, both to be committed before the call."""
    method = fields.get("payment_method_id", payment.payment_method_id)
    ordinal = payment.ordinal + (not _keeps_ordinal(payment, operation, method))
    changed = payment.changed(
        operation=operation,
        ordinal=ordinal,
        capture_ordinal=ordinal if operation is Operation.CAPTURE else payment.capture_ordinal,
        call_status=CallStatus.SENDING,
        due_at=now,
        resolve_before=now + patience.resolution,
        **fields,
    )
    return Change(changed, attempts=(begun_row(changed),), begins=True)


def _keeps_ordinal(payment: Payment, operation: Operation, payment_method_id: object) -> bool:
    """After "nothing was seen" the next attempt with that method is the same call under the same key."""
    answer = payment.answer
    return (
        operation is Operation.CAPTURE
        and isinstance(answer, PaymentAttemptFailed)
        and answer.reason == NOTHING_FOUND
        and answer.payment_method_id == payment_method_id
        and payment.ordinal == payment.capture_ordinal
    )


def ended(payment: Payment, **fields: object) -> Payment:
    """The row with no call under way."""
    return payment.changed(
        **{
            "operation": None,
            "call_status": None,
            "due_at": None,
            "resolve_before": None,
            **fields,
        }
    )


def wait(payment: Payment, now: datetime, patience: Patience, *attempts: AttemptRow) -> Change:
    """The call's outcome is unknown: somebody looks again after a pause, longer with each claim."""
    doubled: timedelta = patience.first_pause * (1 << min(payment.claim, 16))
    pause = min(doubled, patience.longest_pause) * spread(payment)
    return Change(payment.changed(call_status=CallStatus.UNKNOWN, due_at=now + pause), attempts=attempts)


def wait_longer(payment: Payment, now: datetime, patience: Patience, *attempts: AttemptRow) -> Change:
    """As `wait`, for money that goes back: a PSP may take days, so each pause is as long as all before it."""
    change = wait(payment, now, patience, *attempts)
    pause = min(tried_for(payment, now, patience), patience.longest_refund_pause) * spread(payment)
    change.payment.due_at = max(change.payment.due_at or now, now + pause)
    return change


def tried_for(payment: Payment, now: datetime, patience: Patience) -> timedelta:
    """How long the call under way has been tried; what it waited in its gateway's queue does not count."""
    if payment.resolve_before is None:
        return timedelta()
    return max(now - (payment.resolve_before - patience.resolution), timedelta())


def spread(payment: Payment) -> float:
    """Which part of a pause this renewal waits, half to all of it: not all renewals come back at once."""
    return 0.5 + (payment.renewal_id.int % 1024) / 2048


def open_surplus(payment: Payment) -> Surplus | None:
    """The surplus that is sent back next."""
    return next((surplus for surplus in payment.surplus if not surplus.settled), None)


@dataclass(slots=True)
class Call:
    """What a worker needs to make the call of a row that it holds. The token is never shown.

    `objects` counts the objects at this gateway that came to nothing before this one.
    """

    renewal_id: UUID
    operation: Operation
    ordinal: int
    claim: int
    gateway: str
    key: UUID
    objects: int
    amount_minor: int
    currency: str
    send_until: float
    """On this process's monotonic clock: the request is written before it, or not at all."""
    reference: str | None = None
    """The object at the gateway; None before it exists."""
    token: str | None = field(default=None, repr=False)
    was_sent: bool = False
    """Whether this very call may have been written before, by whoever held the row then."""
    call_reference: str | None = None
    first_sent_at: datetime | None = None
    sent_before: datetime | None = None
    cancel_wanted: bool = False
    is_bulk: bool = False
    """Whether no person waits for the renewal: people go first."""
    method: Method | None = None
    """A capture's, as it was when the row was claimed."""


def call_of(
    payment: Payment, key: UUID, token: str | None, send_until: float, method: Method | None = None
) -> Call:
    """The first try of the call that a fold has begun, for the process that claims it in the same write."""
    if payment.operation is None:
        raise ValueError("no call is under way")
    gateway, reference = payment.gateway, payment.provider_reference
    amount_minor, currency = payment.amount_minor or 0, payment.currency
    if payment.operation in (Operation.VOID, Operation.ASK):
        gateway = payment.reference_gateway
    elif payment.operation is Operation.SURPLUS and (surplus := open_surplus(payment)) is not None:
        gateway, reference = surplus.gateway, surplus.reference
        amount_minor, currency = surplus.left_minor, surplus.currency
    return Call(
        payment.renewal_id,
        payment.operation,
        payment.ordinal,
        payment.claim + 1,
        gateway or "",
        key,
        payment.objects,
        amount_minor,
        currency,
        send_until,
        reference,
        token,
        is_bulk=not payment.terms.is_awaited,
        method=method if payment.operation is Operation.CAPTURE else None,
    )
