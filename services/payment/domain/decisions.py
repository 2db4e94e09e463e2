"""What is said for good, and what is said of one attempt: the row, the message, the money."""

from datetime import datetime

from services.payment.domain import answers, ledger
from services.payment.domain.calls import ended
from services.payment.domain.outcome import UNRESOLVED
from services.payment.domain.payment import (
    LONG_PAST,
    WALLET,
    AttemptRow,
    CallStatus,
    Change,
    Decision,
    Operation,
    Patience,
    Payment,
    State,
    capture_row,
)
from services.payment.domain.questions import asking
from shared.contracts.payments import PaymentCancelled


def captured(payment: Payment, at: datetime, *, code: str = "captured") -> Change:
    """The money is taken, by the gateway and the object that the row names."""
    changed = ended(
        payment,
        state=State.CAPTURED,
        decision=Decision.CAPTURED,
        captured_at=at,
        captured_version=payment.version + 1,
        act_before=LONG_PAST if payment.cancel_wanted is not None else payment.act_before,
    )
    rows: tuple[AttemptRow, ...] = ()
    if payment.capture_ordinal:
        rows = (capture_row(payment, CallStatus.SUCCEEDED, code=code, reference=payment.provider_reference),)
    return Change(
        changed,
        messages=(answers.captured(changed),),
        attempts=rows,
        transfers=ledger.captured(changed, changed.gateway or ""),
    )


def cancelled(payment: Payment, reason: str, *, unresolved: bool = False, goes_on: bool = False) -> Change:
    """No money is taken. Where that could not be learned in time, or only people say so, the call goes on."""
    fields = {"state": State.CANCELLED, "decision": Decision.CANCELLED, "cancel_wanted": reason}
    changed = payment.changed(**fields) if unresolved or goes_on else ended(payment, **fields)
    changed.answer = answers.cancelled(changed, reason, unresolved=unresolved)
    return Change(changed, messages=(changed.answer,))


def was_never_learned(payment: Payment) -> bool:
    """Whether it was ended without knowing if its object took money, and nothing was found there since."""
    said, kept = payment.answer, (payment.reference_gateway, payment.provider_reference)
    ended_so = (
        payment.decision is Decision.CANCELLED and isinstance(said, PaymentCancelled) and said.unresolved
    )
    return ended_so and all((one.gateway, one.reference) != kept for one in payment.surplus)


def found_uncaptured(payment: Payment, *, is_certain: bool) -> Change:
    """Ended before that could be learned, and found out since: said once more.

    Where only people say so the PSP is still asked, seldom: what it may say otherwise is surplus.
    """
    changed = ended(payment) if is_certain else payment.changed()
    changed.answer = answers.cancelled(changed, payment.cancel_wanted or UNRESOLVED, unresolved=False)
    return Change(changed, messages=(changed.answer,))


def refused_by_ourselves(payment: Payment, code: str, **fields: object) -> Change:
    """Declined before any gateway was asked."""
    changed = ended(payment, state=State.REFUSED, **fields)
    changed.answer = answers.declined(changed, code)
    return Change(changed, messages=(changed.answer,))


def declined(payment: Payment, code: str, **fields: object) -> Change:
    """The issuer said no to the capture under way."""
    change = refused_by_ourselves(payment, code, **fields)
    change.attempts = (capture_row(payment, CallStatus.DECLINED, code=code),)
    return change


def action_required(payment: Payment, now: datetime, patience: Patience) -> Change:
    """The payer must authenticate; no money is taken until then. Whether they have is asked meanwhile."""
    before = now + patience.action
    changed = ended(payment, state=State.REFUSED)
    changed.answer = answers.action_required(changed, before)
    return Change(
        asking(changed, now, before, patience),
        messages=(changed.answer,),
        attempts=(capture_row(payment, CallStatus.DECLINED, code="action_required"),),
    )


def attempt_failed(
    payment: Payment,
    reason: str,
    *,
    reached_provider: bool = True,
    retry_after_seconds: int | None = None,
) -> Change:
    """The capture under way is known not to have taken money, and no issuer declined it."""
    changed = ended(payment, state=State.REFUSED)
    changed.answer = answers.attempt_failed(
        changed, reason, reached_provider=reached_provider, retry_after_seconds=retry_after_seconds
    )
    return Change(
        changed, messages=(changed.answer,), attempts=(capture_row(payment, CallStatus.FAILED, code=reason),)
    )


def refunded(payment: Payment, at: datetime) -> Change:
    """The whole capture went back. A surplus that is being sent back meanwhile is a call of its own."""
    if payment.operation is Operation.SURPLUS:
        changed = payment.changed(state=State.REFUNDED)
    else:
        changed = ended(payment, state=State.REFUNDED)
    changed.refund_answer = answers.refunded(changed, at)
    return Change(
        changed,
        messages=(changed.refund_answer,),
        transfers=ledger.refunded(payment),
        wallet_minor=(payment.amount_minor or 0) if payment.gateway == WALLET else 0,
    )
