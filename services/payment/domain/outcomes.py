"""What a call's outcome, a webhook or a poll does to a payment: (row, outcome) -> change or None.

Facts are recorded whoever brings them: CAPTURED, VOIDED, REFUNDED, REFUND_RETURNED, DISPUTED. Everything
else is believed only from the worker that holds the row now (same call, same claim); from any other it is
dropped, because that worker repeats the call or asks, and learns the same.
"""

from collections.abc import Callable
from datetime import datetime

from services.payment.domain import facts, results
from services.payment.domain.decisions import cancelled, captured, declined, refunded
from services.payment.domain.facts import then_surplus
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import (
    WALLET,
    CallStatus,
    Change,
    Operation,
    Patience,
    Payment,
    attempt_row,
)

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


def fold_wallet(
    payment: Payment, outcome: Outcome, balance_minor: int | None, now: datetime, patience: Patience
) -> Change | None:
    """A wallet pays, or is paid back, here and now. `balance_minor` is None where there is no wallet."""
    if payment.operation is not outcome.operation or payment.gateway != WALLET:
        return None
    amount = payment.amount_minor or 0
    if payment.operation is Operation.REFUND:
        change = refunded(payment, outcome.at)
        change.attempts = (attempt_row(payment, CallStatus.SUCCEEDED),)
        return then_surplus(change, now, patience)
    if payment.operation is not Operation.CAPTURE:
        return None
    if payment.cancel_wanted is not None:
        return cancelled(payment, payment.cancel_wanted)
    if balance_minor is None or balance_minor < amount:
        return declined(payment, "wallet_unknown" if balance_minor is None else "wallet_balance_too_low")
    change = captured(payment, outcome.at)
    change.wallet_minor = -amount
    return change


_FACTS: dict[Kind, Fold] = {
    Kind.CAPTURED: facts.captured,
    Kind.VOIDED: facts.voided,
    Kind.REFUNDED: facts.refunded,
    Kind.REFUND_RETURNED: facts.refund_returned,
    Kind.DISPUTED: facts.disputed,
}
_OF_CALL: dict[Operation, Fold] = {
    Operation.CAPTURE: results.of_capture,
    Operation.VOID: results.of_void,
    Operation.REFUND: results.of_refund,
    Operation.SURPLUS: results.of_surplus,
    Operation.ASK: results.of_question,
}
