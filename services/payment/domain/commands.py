"""What a command does to a payment: (payment or None, command) -> change or None, which changes nothing.

| the row         | capture: lower | same        | next    | cancel          | refund                |
|-----------------|----------------|-------------|---------|-----------------|-----------------------|
| none            |                | begin       |         | tombstone       | nothing               |
| held            | nothing        | begin       | begin   | void or decide  | nothing               |
| capturing       | nothing        | nothing     | nothing | wanted, or void | nothing               |
| cancelling      | nothing        | nothing     | nothing | nothing         | nothing               |
| refused         | nothing        | same answer | begin   | void or decide  | nothing               |
| cancelled       | PaymentCancelled again, whatever the attempt     | nothing               |
| captured        | PaymentCaptured again, whatever the attempt      | begin                 |
| refunding       | "                                                | nothing               |
| refund_failed   | "                                                | same answer, or begin |
| refund_rejected | "                                                | same answer, or begin |
| refunded        | "                                                | PaymentRefunded again |

A question about a payer's authentication is no call under way: whatever begins takes its place.
A command after its `act_before` begins nothing; what was decided is said again at any time.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from services.payment.domain import answers, facts
from services.payment.domain.calls import begin, ended
from services.payment.domain.decisions import (
    attempt_failed,
    cancelled,
    captured,
    found_uncaptured,
    refunded,
    refused_by_ourselves,
    was_never_learned,
)
from services.payment.domain.network_caps import cap_refusal
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import (
    WALLET,
    CallStatus,
    Change,
    Decision,
    Method,
    Operation,
    Patience,
    Payment,
    State,
    capture_row,
)
from services.payment.domain.results import can_cancel
from shared.contracts.message import StartsEffect
from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment, ResolvePayment
from shared.contracts.prices import RenewalPriced

Command = RenewalPriced | CapturePayment | CancelPayment | RefundPayment | ResolvePayment
NO_METHOD = "none"


class Circumstances(NamedTuple):
    """What a command is folded with beside the row: read under the lock, or fixed."""

    now: datetime
    methods: Mapping[str, Method]
    patience: Patience
    traceparent: str | None = None


def named_method(command: Command) -> str | None:
    """The payment method a command asks for; None where it asks for none."""
    if isinstance(command, CapturePayment):
        return command.payment_method_id
    if isinstance(command, RenewalPriced):
        return command.terms.payment_method_ids[0] if command.terms.payment_method_ids else NO_METHOD
    return None


def fold_command(payment: Payment | None, command: Command, circumstances: Circumstances) -> Change | None:
    """The one entry for everything that `prices.v1` and `payment-commands.v1` say."""
    match command:
        case RenewalPriced():
            return _capture(payment, command, 1, circumstances)
        case CapturePayment():
            return _capture(payment, command, command.attempt, circumstances)
        case CancelPayment():
            return _cancel(payment, command, circumstances)
        case RefundPayment():
            return _refund(payment, command, circumstances)
        case ResolvePayment():
            return _resolve(payment, command, circumstances)


def _opened(command: StartsEffect | CancelPayment, circumstances: Circumstances) -> Payment:
    """A row that nothing has happened to yet."""
    return Payment(
        command.renewal_id,
        command.subscription_id,
        command.terms,
        command.terms.currency,
        traceparent=circumstances.traceparent,
    )


def _capture(
    payment: Payment | None,
    command: RenewalPriced | CapturePayment,
    attempt: int,
    circumstances: Circumstances,
) -> Change | None:
    if payment is None:
        payment = _opened(command, circumstances)
        payment.attempt = attempt
        payment.amount_minor, payment.grant, payment.act_before = (
            command.amount_minor,
            command.grant,
            command.act_before,
        )
        if circumstances.now > command.act_before:
            return Change(payment.changed(payment_method_id=named_method(command)))
        return _begin_capture(payment, command, attempt, circumstances)
    if payment.decision is not None:
        return Change(payment, messages=answers.decision(payment))
    if payment.state in (State.CAPTURING, State.CANCELLING) or attempt < payment.attempt:
        return None
    if payment.state is State.REFUSED and attempt == payment.attempt:
        return Change(payment, messages=(payment.answer,) if payment.answer else ())
    if circumstances.now > command.act_before:
        held_already = payment.state is State.HELD and attempt == payment.attempt
        return None if held_already else Change(ended(payment, state=State.HELD, attempt=attempt))
    return _begin_capture(payment, command, attempt, circumstances)


def _begin_capture(
    payment: Payment, command: RenewalPriced | CapturePayment, attempt: int, circumstances: Circumstances
) -> Change:
    method_id = named_method(command) or NO_METHOD
    method = circumstances.methods.get(method_id)
    now = circumstances.now
    asked = {"attempt": attempt, "payment_method_id": method_id, "act_before": command.act_before}
    if payment.amount_minor == 0:
        return _free(payment.changed(**asked), now)
    code = _refusal(payment, method_id, method, now)
    if code is not None or method is None:
        return refused_by_ourselves(payment, code or "method_unknown", **asked)
    asked |= {"state": State.CAPTURING, "gateway": method.gateway}
    if payment.provider_reference is not None and payment.reference_gateway != method.gateway:
        # The object at the other gateway could still take money: it is cancelled before this one may.
        return begin(payment, Operation.VOID, now, circumstances.patience, **asked)
    return begin(payment, Operation.CAPTURE, now, circumstances.patience, **asked)


def _refusal(payment: Payment, method_id: str, method: Method | None, now: datetime) -> str | None:
    """The decline code of what payment itself refuses, before any gateway is asked."""
    terms = payment.terms
    if payment.currency != terms.currency or (payment.amount_minor or 0) > terms.max_amount_minor:
        return "above_terms"
    if method_id == NO_METHOD:
        return "no_payment_method"
    if method is None:
        return "method_unknown"
    if method.payer_id != terms.payer_id:
        return "method_not_of_payer"
    if method.status != "active":
        return f"method_{method.status}"
    return cap_refusal(method, payment.renewal_id, now) if method.declined_at else None


def _free(payment: Payment, now: datetime) -> Change:
    """A price of zero: nothing to take, so nobody is asked."""
    changed = ended(
        payment,
        state=State.CAPTURED,
        decision=Decision.CAPTURED,
        captured_at=now,
        captured_version=payment.version + 1,
    )
    return Change(changed, messages=(answers.captured(changed),))


def _cancel(payment: Payment | None, command: CancelPayment, circumstances: Circumstances) -> Change | None:
    now = circumstances.now
    if payment is not None and payment.decision is not None:
        return Change(payment, messages=answers.decision(payment))
    if now > command.act_before:
        return None
    if payment is None:
        tombstone = _opened(command, circumstances)
        tombstone.attempt = command.attempt
        return cancelled(tombstone, command.reason)
    if payment.state is State.CANCELLING or payment.cancel_wanted is not None:
        return None
    if payment.operation in (None, Operation.ASK):
        if payment.provider_reference is None:
            return cancelled(payment, command.reason)
        return _void(payment, command.reason, circumstances)
    if payment.operation is Operation.VOID:
        return Change(payment.changed(state=State.CANCELLING, cancel_wanted=command.reason))
    if payment.gateway == WALLET or payment.provider_reference is None:
        # A wallet pays and an object is confirmed only after this row was locked again: nothing has moved.
        change = cancelled(payment, command.reason)
        change.attempts = (capture_row(payment, CallStatus.FAILED, code="cancelled"),)
        return change
    if payment.call_status is CallStatus.UNKNOWN:
        return _void(payment, command.reason, circumstances)
    return Change(payment.changed(cancel_wanted=command.reason))


def _void(payment: Payment, reason: str, circumstances: Circumstances) -> Change:
    return begin(
        payment,
        Operation.VOID,
        circumstances.now,
        circumstances.patience,
        state=State.CANCELLING,
        cancel_wanted=reason,
    )


def _refund(payment: Payment | None, command: RefundPayment, circumstances: Circumstances) -> Change | None:
    if payment is None or payment.decision is not Decision.CAPTURED:
        return None
    said = payment.refund_answer
    if payment.state is State.REFUNDED or (said is not None and command.attempt == payment.refund_attempt):
        return Change(payment, messages=(said,)) if said is not None else None
    if payment.state is State.REFUNDING or command.attempt < payment.refund_attempt:
        return None
    if payment.operation is not None or circumstances.now > command.act_before:
        return None
    if payment.amount_minor == 0:
        return refunded(payment.changed(refund_attempt=command.attempt), circumstances.now)
    return begin(
        payment,
        Operation.REFUND,
        circumstances.now,
        circumstances.patience,
        state=State.REFUNDING,
        refund_attempt=command.attempt,
    )


def _resolve(payment: Payment | None, command: ResolvePayment, circumstances: Circumstances) -> Change | None:
    """An operator's finding about a call whose outcome is unknown: one that is open, or that was ended so."""
    if payment is None or circumstances.now > command.act_before:
        return None
    now, operation = circumstances.now, payment.operation
    open_capture = payment.decision is None and operation in (Operation.CAPTURE, Operation.VOID)
    unlearned = was_never_learned(payment)
    match command.decision:
        case "captured" if open_capture and payment.provider_reference is not None:
            # By the object there is, though another gateway may have been about to follow.
            found = payment.copy(gateway=payment.reference_gateway)
            return captured(found, now, code="resolved_by_operator")
        case "not_captured" if open_capture:
            if payment.cancel_wanted is not None:
                return _cancelled_as_found(payment, payment.cancel_wanted, circumstances)
            # Its object stays: the next attempt is made on it, or whatever follows cancels it first.
            return attempt_failed(payment, "resolved_by_operator")
        case "captured" if unlearned and payment.provider_reference is not None:
            return facts.surplus_found(payment, _money_found(payment, now), now, circumstances.patience)
        case "not_captured" if unlearned:
            return found_uncaptured(payment, is_certain=False)
        case "refunded" if payment.decision is Decision.CAPTURED and payment.state in (
            State.REFUNDING,
            State.REFUND_FAILED,
            State.REFUND_REJECTED,
        ):
            return refunded(payment, now)
        case _ if payment.decision is not None:
            return Change(payment, messages=answers.decision(payment))
        case _:
            return None


def _cancelled_as_found(payment: Payment, reason: str, circumstances: Circumstances) -> Change:
    """The finding decides, for good. The PSP's object may know better: it is cancelled all the same."""
    change = cancelled(payment, reason, goes_on=True)
    if payment.operation is Operation.VOID or not can_cancel(payment):
        return change
    void = begin(change.payment, Operation.VOID, circumstances.now, circumstances.patience)
    void.messages = change.messages
    return void


def _money_found(payment: Payment, now: datetime) -> Outcome:
    """That the object took the whole amount, as if the PSP had said it."""
    return Outcome(
        payment.renewal_id,
        Kind.CAPTURED,
        now,
        gateway=payment.reference_gateway or "",
        reference=payment.provider_reference,
        amount_minor=payment.amount_minor or 0,
        currency=payment.currency,
    )
