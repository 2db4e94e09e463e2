"""What a call's outcome, a webhook or a poll does to a payment: (row, outcome) -> change or None.

Facts are recorded whoever brings them: CAPTURED, VOIDED, REFUNDED, REFUND_RETURNED, DISPUTED. Everything
else is believed only from the worker that holds the row now (same call, same claim); from any other it is
dropped, because that worker repeats the call or asks, and learns the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.payment.domain import answers, ledger
from services.payment.domain.calls import NOTHING_FOUND, begin, ended, open_surplus, wait
from services.payment.domain.capabilities import GATEWAYS
from services.payment.domain.decisions import (
    action_required,
    attempt_failed,
    cancelled,
    captured,
    declined,
    refunded,
)
from services.payment.domain.payment import (
    WALLET,
    AttemptRow,
    CallStatus,
    Change,
    Decision,
    Operation,
    Patience,
    Payment,
    State,
    Surplus,
    attempt_row,
    begun_row,
    capture_row,
)


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


@dataclass(slots=True, frozen=True)
class Outcome:
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


NO_ANSWER = "no_answer"
OBJECT_GONE = "object_cancelled"
UNRESOLVED = "unresolved"
REFUND_RETURNED = "refund_returned"
Fold = Callable[[Payment, Outcome, datetime, Patience], Change | None]


def fold_outcome(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    """The one entry for everything that a gateway says. CREATED and WALLET have their own ways."""
    fact = _FACTS.get(outcome.kind)
    if fact is not None:
        return fact(payment, outcome, now, patience)
    operation = payment.operation
    if (
        operation is None
        or operation is not outcome.operation
        or payment.ordinal != outcome.ordinal
        or payment.claim != outcome.claim
    ):
        return None
    return _OF_CALL[operation](payment, outcome, now, patience)


def fold_wallet(payment: Payment, outcome: Outcome, balance_minor: int | None) -> Change | None:
    """A wallet pays, or is paid back, here and now. `balance_minor` is None where there is no wallet."""
    if payment.operation is not outcome.operation or payment.gateway != WALLET:
        return None
    amount = payment.amount_minor or 0
    if payment.operation is Operation.REFUND:
        change = refunded(payment, outcome.at)
        change.attempts = (attempt_row(payment, CallStatus.SUCCEEDED),)
        change.wallet_minor = amount
        return change
    if payment.operation is not Operation.CAPTURE:
        return None
    if payment.cancel_wanted is not None:
        return cancelled(payment, payment.cancel_wanted)
    if balance_minor is None or balance_minor < amount:
        return declined(payment, "wallet_unknown" if balance_minor is None else "wallet_balance_too_low")
    change = captured(payment, outcome.at)
    change.wallet_minor = -amount
    return change


def _captured(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    if payment.decision is None:
        return captured(_with_object(payment, outcome), outcome.at)
    same_object = (payment.reference_gateway, payment.provider_reference) == (
        outcome.gateway,
        outcome.reference,
    )
    if payment.decision is Decision.CAPTURED and same_object and payment.gateway == outcome.gateway:
        return None
    return _surplus_found(payment, outcome, now, patience)


def _with_object(payment: Payment, outcome: Outcome) -> Payment:
    """The row, naming the object that took the money."""
    named = (payment.gateway, payment.reference_gateway, payment.provider_reference)
    if named == (outcome.gateway, outcome.gateway, outcome.reference):
        return payment
    return payment.copy(
        gateway=outcome.gateway,
        reference_gateway=outcome.gateway,
        provider_reference=outcome.reference,
    )


def _surplus_found(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    reference = outcome.reference or ""
    if any((held.gateway, held.reference) == (outcome.gateway, reference) for held in payment.surplus):
        return None
    surplus = Surplus(
        outcome.gateway, reference, outcome.amount_minor, outcome.currency, len(payment.surplus) + 1
    )
    found = payment.changed(surplus=(*payment.surplus, surplus))
    attempts: tuple[AttemptRow, ...] = ()
    if found.operation in (Operation.CAPTURE, Operation.VOID):
        # What was being asked is known now.
        if found.capture_ordinal:
            attempts = (capture_row(found, CallStatus.SUCCEEDED, code="surplus", reference=reference),)
        found = ended(found)
    change = _next_surplus(found, now, patience)
    change.attempts = (*attempts, *change.attempts)
    change.transfers = (ledger.surplus_found(payment, surplus),)
    return change


def _next_surplus(payment: Payment, now: datetime, patience: Patience) -> Change:
    """Send back what is not payment's to keep, once no other call is under way."""
    if payment.operation is None and any(not surplus.settled for surplus in payment.surplus):
        return begin(payment, Operation.SURPLUS, now, patience)
    return Change(payment)


def _voided(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    """The object can never take money: whatever was unknown about it is known now."""
    if (payment.reference_gateway, payment.provider_reference) != (outcome.gateway, outcome.reference):
        return None
    if payment.operation is not Operation.VOID and payment.cancel_wanted is None:
        return None  # Cancelled by somebody else: the next call to the object learns it.
    if payment.operation not in (Operation.VOID, Operation.CAPTURE) or payment.decision is Decision.CAPTURED:
        return None
    attempts = [capture_row(payment, CallStatus.FAILED, code="voided")] if payment.capture_ordinal else []
    if payment.operation is Operation.VOID:
        attempts.append(attempt_row(payment, CallStatus.SUCCEEDED))
    if payment.decision is Decision.CANCELLED:
        return Change(ended(payment), attempts=tuple(attempts))
    if payment.cancel_wanted is not None:
        change = cancelled(payment, payment.cancel_wanted)
    elif payment.gateway != payment.reference_gateway:
        change = begin(without_object(payment), Operation.CAPTURE, now, patience)
    else:
        change = attempt_failed(without_object(payment), NO_ANSWER)
    change.attempts = (*attempts, *change.attempts)
    return change


def without_object(payment: Payment) -> Payment:
    """The row once its object can never take money: the next capture makes another, under another key."""
    return payment.copy(provider_reference=None, reference_gateway=None, objects=payment.objects + 1)


def _refunded(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    surplus = open_surplus(payment)
    if surplus is not None and surplus.reference == outcome.object_reference:
        return _surplus_refunded(payment, surplus, outcome, now, patience)
    if payment.decision is not Decision.CAPTURED or payment.state is State.REFUNDED:
        return None
    # Whole and of our object: then it is a fact, also where somebody else asked for it.
    whole = (payment.provider_reference, payment.amount_minor)
    if (outcome.object_reference, outcome.amount_minor) != whole:
        return None
    change = refunded(payment, outcome.at)
    if payment.operation is Operation.REFUND:
        change.attempts = (attempt_row(payment, CallStatus.SUCCEEDED, reference=outcome.reference),)
    following = _next_surplus(change.payment, now, patience)
    change.payment, change.begins = following.payment, following.begins
    change.attempts = (*change.attempts, *following.attempts)
    return change


def _surplus_refunded(
    payment: Payment, surplus: Surplus, outcome: Outcome, now: datetime, patience: Patience
) -> Change | None:
    settled = tuple(replace(held, settled=True) if held == surplus else held for held in payment.surplus)
    done: tuple[AttemptRow, ...] = ()
    if payment.operation is Operation.SURPLUS:
        done = (attempt_row(payment, CallStatus.SUCCEEDED, reference=outcome.reference),)
        changed = ended(payment, surplus=settled)
    else:
        changed = payment.changed(surplus=settled)
    change = _next_surplus(changed, now, patience)
    change.messages = (answers.surplus_refunded(changed, surplus, outcome.at),)
    change.transfers = (ledger.surplus_refunded(payment, surplus),)
    change.attempts = (*done, *change.attempts)
    return change


def _refund_returned(
    payment: Payment, outcome: Outcome, _now: datetime, _patience: Patience
) -> Change | None:
    """PaymentRefunded stays said and the money is held again; RefundRejected opens the operators' case."""
    if payment.state is not State.REFUNDED or payment.refund_returned_at is not None:
        return None
    if outcome.object_reference != payment.provider_reference:
        return None
    returned = payment.changed(refund_returned_at=outcome.at)
    message = answers.refund_rejected(returned, REFUND_RETURNED)
    return Change(returned, messages=(message,), transfers=ledger.refund_returned(payment))


def _disputed(payment: Payment, outcome: Outcome, _now: datetime, _patience: Patience) -> Change | None:
    if payment.decision is not Decision.CAPTURED or payment.disputed_at is not None:
        return None
    kept = (payment.gateway, payment.provider_reference)
    if payment.state is State.REFUNDED or kept != (outcome.gateway, outcome.reference):
        return None
    changed = payment.changed(disputed_at=outcome.at)
    message = answers.disputed(changed, outcome.code or "unknown", outcome.at)
    return Change(changed, messages=(message,), transfers=ledger.disputed(payment))


def _of_capture(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    if outcome.kind in (Kind.UNKNOWN, Kind.NOT_SENT):
        return _capture_unknown(payment, outcome, now, patience)
    if payment.cancel_wanted is not None or payment.decision is not None:
        return _void_after_negative(payment, outcome, now, patience)
    match outcome.kind:
        case Kind.DECLINED:
            return declined(payment, outcome.code)
        case Kind.ACTION_REQUIRED:
            return action_required(payment, now + patience.action)
        case Kind.NOTHING_FOUND:
            return attempt_failed(payment, NOTHING_FOUND)
        case _:
            return attempt_failed(
                without_object(payment) if outcome.code == OBJECT_GONE else payment,
                outcome.code,
                reached_provider=outcome.reached_provider,
                retry_after_seconds=outcome.retry_after_seconds,
            )


def _void_after_negative(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change:
    """The attempt took nothing and a cancellation is wanted: the object goes too, or there is none."""
    status = CallStatus.DECLINED if outcome.kind is Kind.DECLINED else CallStatus.FAILED
    row = capture_row(payment, status, code=outcome.code or outcome.kind)
    if payment.provider_reference is not None and outcome.code != OBJECT_GONE:
        state = payment.state if payment.decision is not None else State.CANCELLING
        change = begin(payment, Operation.VOID, now, patience, state=state)
    elif payment.decision is not None:
        change = Change(ended(payment))
    else:
        change = cancelled(payment, payment.cancel_wanted or UNRESOLVED)
    change.attempts = (row, *change.attempts)
    return change


def _capture_unknown(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change:
    row = capture_row(payment, CallStatus.UNKNOWN, code=outcome.code)
    overdue = payment.resolve_before is not None and now >= payment.resolve_before
    if payment.provider_reference is None:
        # Never confirmed, so nothing was taken and there is nothing to cancel.
        if overdue:
            return attempt_failed(payment, "not_sent", reached_provider=False)
        return wait(payment, now, patience, row)
    if payment.cancel_wanted is None and not overdue:
        return wait(payment, now, patience, row)
    if not can_cancel(payment):
        return _ask_on(payment, now, patience, row, overdue=overdue)
    state = (
        State.CANCELLING if payment.cancel_wanted is not None and payment.decision is None else payment.state
    )
    change = begin(payment, Operation.VOID, now, patience, state=state)
    change.attempts = (row, *change.attempts)
    return change


def can_cancel(payment: Payment) -> bool:
    """Whether the gateway that holds the object can cancel it."""
    capabilities = GATEWAYS.get(payment.reference_gateway or "")
    return capabilities is not None and capabilities.can_cancel


def _ask_on(payment: Payment, now: datetime, patience: Patience, row: AttemptRow, *, overdue: bool) -> Change:
    """No more can be done than to try again; past the deadline the decision falls without an answer."""
    change = wait(payment, now, patience, row)
    if row.ordinal != payment.ordinal:
        change.attempts = (row, begun_row(payment))
    if not overdue or payment.decision is not None:
        return change
    decided = cancelled(change.payment, payment.cancel_wanted or UNRESOLVED, unresolved=True)
    decided.attempts = change.attempts
    return decided


def _of_void(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    """Not cancelled yet: tried again. Past the deadline the decision falls without an answer."""
    overdue = payment.resolve_before is not None and now >= payment.resolve_before
    row, following = _next_try(payment, outcome)
    return _ask_on(following, now, patience, row, overdue=overdue)


def _next_try(payment: Payment, outcome: Outcome) -> tuple[AttemptRow, Payment]:
    """The row of a call that payment repeats by itself, and what the next try is made on.

    An unknown outcome is resolved under the same key. After a known negative the key would only bring the
    same answer back, so the ordinal rises.
    """
    if outcome.kind in (Kind.UNKNOWN, Kind.NOT_SENT):
        code = outcome.code or outcome.kind
        return attempt_row(payment, CallStatus.UNKNOWN, code=code, reference=outcome.reference), payment
    failed = attempt_row(payment, CallStatus.FAILED, code=outcome.code, reference=outcome.reference)
    return failed, payment.changed(ordinal=payment.ordinal + 1)


def _of_refund(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    if outcome.kind in (Kind.UNKNOWN, Kind.NOT_SENT):
        return _refund_unknown(payment, outcome, now, patience)
    row = attempt_row(payment, CallStatus.FAILED, code=outcome.code, reference=outcome.reference)
    rejected = outcome.kind is Kind.REJECTED
    changed = ended(payment, state=State.REFUND_REJECTED if rejected else State.REFUND_FAILED)
    if rejected:
        changed.refund_answer = answers.refund_rejected(changed, outcome.code)
    else:
        changed.refund_answer = answers.refund_failed(
            changed,
            outcome.code,
            reached_provider=outcome.reached_provider,
            retry_after_seconds=outcome.retry_after_seconds,
        )
    message = changed.refund_answer
    following = _next_surplus(changed, now, patience)
    return Change(following.payment, (message,), (row, *following.attempts), begins=following.begins)


def _refund_unknown(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change:
    row = attempt_row(payment, CallStatus.UNKNOWN, code=outcome.code, reference=outcome.reference)
    change = wait(payment, now, patience, row)
    overdue = payment.resolve_before is not None and now >= payment.resolve_before
    if overdue and payment.state is State.REFUNDING:
        # Said once; the call is still resolved to its end, and PaymentRefunded follows where it worked.
        rejected = change.payment
        rejected.state = State.REFUND_REJECTED
        rejected.refund_answer = answers.refund_rejected(rejected, "unknown")
        change.messages = (rejected.refund_answer,)
    return change


def _of_surplus(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    """Payment itself tries until it has worked: nobody else is asked about money that nobody may keep."""
    row, following = _next_try(payment, outcome)
    return _ask_on(following, now, patience, row, overdue=False)


_FACTS: dict[Kind, Fold] = {
    Kind.CAPTURED: _captured,
    Kind.VOIDED: _voided,
    Kind.REFUNDED: _refunded,
    Kind.REFUND_RETURNED: _refund_returned,
    Kind.DISPUTED: _disputed,
}
_OF_CALL: dict[Operation, Fold] = {
    Operation.CAPTURE: _of_capture,
    Operation.VOID: _of_void,
    Operation.REFUND: _of_refund,
    Operation.SURPLUS: _of_surplus,
}
