"""What the answer to a call means for the row, believed only from the worker that holds it."""

from datetime import datetime

from services.payment.domain import answers
from services.payment.domain.calls import (
    NOTHING_FOUND,
    begin,
    ended,
    spread,
    tried_for,
    wait,
    wait_longer,
)
from services.payment.domain.capabilities import GATEWAYS
from services.payment.domain.decisions import action_required, attempt_failed, cancelled, declined
from services.payment.domain.decline_codes import AUTHENTICATION_EXPIRED, AUTHENTICATION_FAILED
from services.payment.domain.facts import then_surplus, without_object
from services.payment.domain.outcome import NOBODY_TO_ASK, OBJECT_GONE, UNRESOLVED, Kind, Outcome
from services.payment.domain.payment import (
    AttemptRow,
    CallStatus,
    Change,
    Operation,
    Patience,
    Payment,
    State,
    attempt_row,
    begun_row,
    capture_row,
)
from services.payment.domain.questions import asking_on


def of_capture(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    if outcome.kind in (Kind.UNKNOWN, Kind.NOT_SENT):
        return _capture_unknown(payment, outcome, now, patience)
    if payment.cancel_wanted is not None or payment.decision is not None:
        return _void_after_negative(payment, outcome, now, patience)
    match outcome.kind:
        case Kind.DECLINED:
            return declined(payment, outcome.code)
        case Kind.ACTION_REQUIRED:
            return action_required(payment, now, patience)
        case Kind.NOTHING_FOUND:
            return attempt_failed(payment, NOTHING_FOUND)
        case _:
            return attempt_failed(
                without_object(payment) if outcome.code == OBJECT_GONE else payment,
                outcome.code,
                reached_provider=outcome.reached_provider,
                retry_after_seconds=outcome.retry_after_seconds,
            )


def of_question(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    """What the PSP says of a payer who is to authenticate. That they have is a fact, and comes as one."""
    match outcome.kind:
        case Kind.DECLINED:
            return declined(payment, outcome.code)
        case Kind.NOTHING_FOUND:
            # It waits for nobody any more and took nothing.
            return declined(payment, AUTHENTICATION_FAILED)
        case Kind.FAILED if outcome.code == OBJECT_GONE:
            return declined(without_object(payment), AUTHENTICATION_EXPIRED)
        case _:
            return Change(asking_on(payment, now, patience))


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
    change = _repeated(wait(payment, now, patience, row), row)
    if payment.decision is not None:
        return _seldom(change, payment, now, patience)
    if not overdue:
        return change
    decided = cancelled(change.payment, payment.cancel_wanted or UNRESOLVED, unresolved=True)
    decided.attempts = change.attempts
    return decided


def _repeated(change: Change, row: AttemptRow) -> Change:
    """The change, and the row of the next try where that is a call of its own."""
    if row.ordinal != change.payment.ordinal:
        change.attempts = (row, begun_row(change.payment))
    return change


def of_void(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
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


def of_refund(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
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
    change = Change(changed, (changed.refund_answer,), (row,))
    return then_surplus(change, now, patience)


def _refund_unknown(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change:
    row = attempt_row(payment, CallStatus.UNKNOWN, code=outcome.code, reference=outcome.reference)
    change = wait_longer(payment, now, patience, row)
    patient_for = patience.resolution if outcome.code in NOBODY_TO_ASK else patience.refund
    if payment.state is State.REFUNDING and tried_for(payment, now, patience) >= patient_for:
        # Said once; the call is still resolved to its end, and PaymentRefunded follows where it worked.
        rejected = change.payment
        rejected.state = State.REFUND_REJECTED
        rejected.refund_answer = answers.refund_rejected(rejected, "unknown")
        change.messages = (rejected.refund_answer,)
    return change


def _seldom(change: Change, payment: Payment, now: datetime, patience: Patience) -> Change:
    """Nobody waits for it any more: past its deadline the PSP is asked as seldom as about an absent payer."""
    if payment.resolve_before is not None and now >= payment.resolve_before:
        change.payment.due_at = now + patience.questions.longest * spread(payment)
    return change


def of_surplus(payment: Payment, outcome: Outcome, now: datetime, patience: Patience) -> Change | None:
    """Payment itself tries until it has worked: nobody else is asked about money that nobody may keep.

    What has not worked for as long as refunds are tried needs a person (an alert tells them): once a day.
    """
    row, following = _next_try(payment, outcome)
    change = _repeated(wait_longer(following, now, patience, row), row)
    if tried_for(payment, now, patience) >= patience.refund:
        change.payment.due_at = now + patience.refund
    return change
