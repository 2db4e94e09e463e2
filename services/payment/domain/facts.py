"""Facts: recorded whoever brings them, a worker that lost its lease or a webhook, in whatever order."""

from dataclasses import replace
from datetime import datetime

from services.payment.domain import answers, decisions, ledger
from services.payment.domain.calls import begin, ended, open_surplus, spread
from services.payment.domain.outcome import NO_ANSWER, REFUND_RETURNED, Outcome
from services.payment.domain.payment import (
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
    capture_row,
)


def captured(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    if payment.decision is None:
        return decisions.captured(_with_object(payment, outcome), outcome.at)
    same_object = (payment.reference_gateway, payment.provider_reference) == (
        outcome.gateway,
        outcome.reference,
    )
    if payment.decision is Decision.CAPTURED and same_object and payment.gateway == outcome.gateway:
        return None
    return surplus_found(payment, outcome, now, patience)


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


def surplus_found(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    """Booked, and sent back at once: money that no renewal may keep. None where it is known."""
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
    change = next_surplus(found, now, patience)
    change.attempts = (*attempts, *change.attempts)
    change.transfers = (ledger.surplus_found(payment, surplus),)
    return change


def next_surplus(payment: Payment, now: datetime, patience: Patience) -> Change:
    """Send back what is not payment's to keep, once no other call is under way."""
    if payment.operation is None and any(not surplus.settled for surplus in payment.surplus):
        return begin(payment, Operation.SURPLUS, now, patience)
    return Change(payment)


def voided(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
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
        if decisions.was_never_learned(payment):
            change = decisions.found_uncaptured(payment, is_certain=True)
        else:
            change = Change(ended(payment))
    elif payment.cancel_wanted is not None:
        change = decisions.cancelled(payment, payment.cancel_wanted)
    elif payment.gateway != payment.reference_gateway:
        change = begin(without_object(payment), Operation.CAPTURE, now, patience)
    else:
        change = decisions.attempt_failed(without_object(payment), NO_ANSWER)
    change.attempts = (*attempts, *change.attempts)
    return change


def then_surplus(change: Change, now: datetime, patience: Patience) -> Change:
    """The change, and the return of a surplus that waited for its call to end."""
    following = next_surplus(change.payment, now, patience)
    change.payment, change.begins = following.payment, change.begins or following.begins
    change.attempts = (*change.attempts, *following.attempts)
    return change


def without_object(payment: Payment) -> Payment:
    """The row once its object can never take money: the next capture makes another, under another key."""
    return payment.copy(provider_reference=None, reference_gateway=None, objects=payment.objects + 1)


def refunded(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    for surplus in payment.surplus:
        if (surplus.gateway, surplus.reference) == (outcome.gateway, outcome.object_reference):
            return _surplus_refunded(payment, surplus, outcome, now, patience)
    if payment.decision is not Decision.CAPTURED or payment.state is State.REFUNDED:
        return None
    # Whole and of our object: then it is a fact, also where somebody else asked for it.
    whole = (payment.gateway, payment.provider_reference, payment.amount_minor)
    if (outcome.gateway, outcome.object_reference, outcome.amount_minor) != whole:
        return None
    change = decisions.refunded(payment, outcome.at)
    change.payment.refund_reference = outcome.reference
    if payment.operation is Operation.REFUND:
        change.attempts = (attempt_row(payment, CallStatus.SUCCEEDED, reference=outcome.reference),)
    return then_surplus(change, now, patience)


def _surplus_refunded(
    payment: Payment, surplus: Surplus, outcome: Outcome, now: datetime, patience: Patience
) -> Change | None:
    """All of it, or a part by somebody else's hand: then the rest is asked for, and said once it is whole."""
    refund, back_minor = outcome.reference or "", min(outcome.amount_minor, surplus.left_minor)
    if surplus.settled or back_minor <= 0 or refund in surplus.returned:
        return None
    settled = back_minor == surplus.left_minor
    returned = surplus.returned | {refund: back_minor}
    known = replace(surplus, settled=settled or surplus.settled, returned=returned)
    held = tuple(known if one is surplus else one for one in payment.surplus)
    rows: tuple[AttemptRow, ...] = ()
    if payment.operation is Operation.SURPLUS and open_surplus(payment) is surplus:
        # Told by the call under way, it may have been of a part: more came back since it was begun.
        if settled or (outcome.operation, outcome.ordinal) == (payment.operation, payment.ordinal):
            rows = (attempt_row(payment, CallStatus.SUCCEEDED, reference=outcome.reference),)
        else:
            # The call under way asks for more than is left there, so it can never work: a known negative.
            rows = (attempt_row(payment, CallStatus.FAILED, code="partly_refunded"),)
        changed = ended(payment, surplus=held)
    else:
        changed = payment.changed(surplus=held)
    change = next_surplus(changed, now, patience)
    tells = settled and not surplus.was_said
    change.messages = (answers.surplus_refunded(changed, known, outcome.at),) if tells else ()
    change.transfers = (ledger.surplus_refunded(payment, surplus, refund, back_minor),)
    change.attempts = (*rows, *change.attempts)
    return change


def refund_returned(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    """PaymentRefunded stays said and the money is held again; RefundRejected opens the operators' case.

    An earlier refund of the same object that never was made may be told of late: it brings nothing back.
    """
    for surplus in payment.surplus:
        if (surplus.gateway, surplus.reference) == (outcome.gateway, outcome.object_reference):
            return _surplus_returned(payment, surplus, outcome.reference or "", now, patience)
    if payment.state is not State.REFUNDED or payment.refund_returned_at is not None:
        return None
    told = (outcome.object_reference, outcome.reference)
    if told != (payment.provider_reference, payment.refund_reference):
        return None
    returned = payment.changed(refund_returned_at=outcome.at)
    message = answers.refund_rejected(returned, REFUND_RETURNED)
    return Change(returned, messages=(message,), transfers=ledger.refund_returned(payment))


def _surplus_returned(
    payment: Payment, surplus: Surplus, refund: str, now: datetime, patience: Patience
) -> Change | None:
    """Found once more. Payment sends it back again by itself, but later: what failed may fail again.

    Where that is told before the refund itself is, that refund never counts.
    """
    back_minor = surplus.returned.get(refund)
    if back_minor == 0 or (back_minor is None and surplus.settled):
        return None
    gone = surplus.settled or surplus.was_said
    known = replace(surplus, settled=False if gone else None, returned=surplus.returned | {refund: 0})
    if surplus.settled:
        # Behind all others: the first that is open may be under way, and stays what the call is about.
        held = (*(one for one in payment.surplus if one is not surplus), known)
    else:
        held = tuple(known if one is surplus else one for one in payment.surplus)
    if back_minor is None:
        return Change(payment.changed(surplus=held))
    change = next_surplus(payment.changed(surplus=held), now, patience)
    if change.begins:
        change.begins = False
        change.payment.call_status = CallStatus.UNKNOWN
        change.payment.due_at = now + patience.questions.longest * spread(payment)
    change.transfers = (ledger.surplus_returned(payment, surplus, refund, back_minor),)
    return change


def disputed(payment: Payment, outcome: Outcome, _now: datetime, _patience: Patience) -> Change | None:
    if payment.decision is not Decision.CAPTURED or payment.disputed_at is not None:
        return None
    kept = (payment.gateway, payment.provider_reference)
    if payment.state is State.REFUNDED or kept != (outcome.gateway, outcome.reference):
        return None
    changed = payment.changed(disputed_at=outcome.at)
    message = answers.disputed(changed, outcome.code or "unknown", outcome.at)
    return Change(changed, messages=(message,), transfers=ledger.disputed(payment))
