"""Asking the PSP about a payer who is to authenticate, because the webhook that would tell may never come.

    action required -> ask -> still required, no answer -> ask again, later each time, until `resolve_before`
                           -> captured                  -> the decision (facts.captured)
                           -> declined, expired         -> PaymentDeclined: only the payer can help

A question moves nothing: it has no attempt of its own and no key, and whatever else is begun takes its place.
"""

from datetime import datetime, timedelta

from services.payment.domain.calls import ended, spread
from services.payment.domain.capabilities import GATEWAYS
from services.payment.domain.payment import CallStatus, Operation, Patience, Payment


def asking(payment: Payment, now: datetime, before: datetime, patience: Patience) -> Payment:
    """The row with its first question ahead; as it is where nobody could answer one."""
    capabilities = GATEWAYS.get(payment.reference_gateway or "")
    if capabilities is None or not capabilities.can_query or payment.provider_reference is None:
        return payment
    return payment.copy(
        operation=Operation.ASK,
        call_status=CallStatus.UNKNOWN,
        due_at=_next(payment, now, before, patience),
        resolve_before=before,
    )


def asking_on(payment: Payment, now: datetime, patience: Patience) -> Payment:
    """The row after a question that settled nothing. The last one is asked when the time to act is over."""
    before = payment.resolve_before
    if before is None or now >= before:
        return ended(payment)
    due_at = _next(payment, now, before, patience)
    return payment.changed(call_status=CallStatus.UNKNOWN, due_at=due_at)


def _next(payment: Payment, now: datetime, before: datetime, patience: Patience) -> datetime:
    asked_for: timedelta = patience.action - (before - now)
    pause = patience.questions.pause(max(asked_for, timedelta()))
    return min(now + pause * spread(payment), before)
