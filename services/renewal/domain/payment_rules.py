"""What follows from what catalog and payment say."""

from datetime import datetime
from typing import Final

from services.renewal.domain import endings, wording
from services.renewal.domain.change import Change, alarmed, moved, noted
from services.renewal.domain.policy import CALLED_OFF, SOFT_DECLINE, DeclineStep, Moment, row_of
from services.renewal.domain.renewal import SURPLUS_FLAG, Renewal, State
from services.renewal.domain.retries import (
    failed_again,
    next_try,
    not_failed_yet,
    payment_began_at,
    refund_began_at,
)
from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    RefundAttemptFailed,
    RefundRejected,
    SurplusRefunded,
)
from shared.contracts.prices import RenewalPriced, RenewalRejected

_RETURNED: Final = "refund_returned"
"""Payment's reason where a refund was made and the money came back."""


def take_price(renewal: Renewal, message: RenewalPriced, moment: Moment) -> Change:
    """The happy path says nothing: payment reads the price itself. A planned retry stays planned."""
    new = renewal._replace(
        state="priced",
        version=renewal.version + 1,
        heard_at=moment.at,
        asked=0,
        amount_minor=message.amount_minor,
        granted=message.grant.model_dump_json(),
        priced_at=moment.at,
    )
    if new.payment_attempt == 1 or (new.retry_at is not None and new.retry_at > moment.at):
        return Change(new)
    # An attempt failed before we saw the price, and the next one has waited for nothing but that.
    new = new._replace(retry_at=None)
    return Change(new, (wording.capture_payment(new, moment),))


def note_price(renewal: Renewal, message: RenewalPriced, moment: Moment) -> Change | None:
    """A price that comes after something else was heard: needed for later commands."""
    if renewal.amount_minor is not None:
        return None
    return Change(
        noted(
            renewal,
            amount_minor=message.amount_minor,
            granted=message.grant.model_dump_json(),
            priced_at=moment.at,
        )
    )


def reject(renewal: Renewal, message: RenewalRejected, moment: Moment) -> Change:
    """What it would have cost is kept: whoever asks the payer for more has to say how much."""
    known = renewal._replace(amount_minor=message.amount_minor)
    return endings.cancel_payment(known, message.reason, moment, message.detail or None)


def take_capture(renewal: Renewal, message: PaymentCaptured, moment: Moment) -> Change:
    """Provisioning reads the capture itself; what it said before we saw the capture counts now."""
    seen = _with_capture(renewal, message)
    if seen.top_up is not None:
        return _top_up_already_known(seen, moment)
    return Change(moved(seen, "captured", moment.at))


def take_late(renewal: Renewal, message: PaymentCaptured, moment: Moment) -> Change:
    """The money came while the payment was being called off. Called off by somebody: it goes back."""
    seen = _with_capture(renewal, message)
    if seen.top_up is not None:
        return _top_up_already_known(seen, moment)
    reason = renewal.reason or "given_up"
    if reason in CALLED_OFF:
        return endings.cancel_top_up(seen, reason, moment)
    deadline_at = max(renewal.deadline_at, moment.after(moment.policy.late_capture_seconds))
    new = moved(seen, "captured", moment.at, reason=None, deadline_at=deadline_at)
    # Ordered expressly: a capture that came too late is published with its act_before already past.
    return Change(new, (wording.apply_top_up(new, moment),), "late_capture_used")


def _with_capture(renewal: Renewal, message: PaymentCaptured) -> Renewal:
    # What not_failed_yet does, in the one step: every renewal comes by here.
    return renewal._replace(
        spent=0,
        failures=None,
        amount_minor=message.amount_minor,
        granted=renewal.granted or message.grant.model_dump_json(),
        payment_method_id=message.payment_method_id,
        captured_at=message.captured_at,
    )


def _top_up_already_known(renewal: Renewal, moment: Moment) -> Change:
    if renewal.top_up == "undetermined":
        return endings.park(renewal, "captured", "top_up_undetermined", moment)
    return endings.refund(renewal, f"top_up_{renewal.top_up}", moment)


def note_paid(renewal: Renewal, message: PaymentCaptured, _moment: Moment) -> Change | None:
    """Recorded where it changes no decision: the books must show it."""
    if renewal.captured_at is not None:
        return None
    return Change(noted(_with_capture(renewal, message)))


def decline(renewal: Renewal, message: PaymentDeclined, moment: Moment) -> Change | None:
    """The first step of the policy for this class of decline that is possible."""
    if message.attempt != renewal.payment_attempt or renewal.action == "choose_payment_method":
        return None
    terms = renewal.agreed
    detail = f"{message.decline_class}: {message.decline_code}"
    for step in moment.policy.declines[message.decline_class, terms.origin]:
        change = _take_step(step, renewal, message, moment)
        if change is not None:
            return change._replace(reason=step, detail=detail)
    raise AssertionError(f"the policy for {message.decline_class} does not end in give_up")


def _take_step(
    step: DeclineStep, renewal: Renewal, message: PaymentDeclined, moment: Moment
) -> Change | None:
    if step == "next_method":
        return _next_method(renewal, moment)
    if step == "retry_later":
        return _retry_later(renewal, message, moment)
    if step == "ask_customer":
        return _ask_customer(renewal, moment)
    return endings.cancel_payment(renewal, f"declined_{message.decline_class}", moment)


def _next_method(renewal: Renewal, moment: Moment) -> Change | None:
    methods = renewal.agreed.payment_method_ids
    if renewal.payment_method_id not in methods[:-1]:
        return None
    following = methods[methods.index(renewal.payment_method_id) + 1]
    return order_capture(renewal, following, moment)


def _retry_later(renewal: Renewal, message: PaymentDeclined, moment: Moment) -> Change | None:
    retry = moment.policy.soft_decline_retries[renewal.agreed.origin]
    counted, failed = failed_again(renewal, SOFT_DECLINE, reached_provider=True)
    retry_at = next_try(retry, failed, payment_began_at(renewal), moment)
    if retry_at is None or retry_at >= renewal.deadline_at:
        return endings.spent(renewal, retry.when_spent, f"declined_{message.decline_class}", moment)
    return _plan_capture(counted, retry_at, moment)


def _plan_capture(renewal: Renewal, retry_at: datetime, moment: Moment) -> Change:
    """The attempt rises now, not when it is sent: the same failure again is then an older attempt's."""
    state: State = "requested" if renewal.amount_minor is None else "priced"
    new = moved(renewal, state, moment.at, payment_attempt=renewal.payment_attempt + 1)
    return Change(new._replace(retry_at=retry_at))


def order_capture(renewal: Renewal, payment_method_id: str, moment: Moment) -> Change:
    """The next attempt, with this method, now; before the price is seen, as soon as it is."""
    chosen = not_failed_yet(renewal)._replace(payment_method_id=payment_method_id)
    planned = _plan_capture(chosen, moment.at, moment).renewal
    if planned.state == "requested":
        return Change(planned)
    new = planned._replace(retry_at=None)
    return Change(new, (wording.capture_payment(new, moment),))


def _ask_customer(renewal: Renewal, moment: Moment) -> Change:
    before = renewal.deadline_at
    new = moved(renewal, "awaiting_customer", moment.at)._replace(
        action="choose_payment_method", action_before=before
    )
    return Change(new, (wording.customer_action_required(new, "choose_payment_method", before),))


def ask_payer(renewal: Renewal, message: PaymentActionRequired, moment: Moment) -> Change | None:
    if message.attempt != renewal.payment_attempt:
        return None
    before = min(message.action_before, renewal.deadline_at)
    new = moved(
        renewal,
        "awaiting_customer",
        moment.at,
        payment_method_id=message.payment_method_id,
    )._replace(action="confirm_payment", action_before=before)
    return Change(new, (wording.customer_action_required(new, "confirm_payment", before),))


def retry_payment(renewal: Renewal, message: PaymentAttemptFailed, moment: Moment) -> Change | None:
    """The next attempt at back-off. Failures that did not reach the provider spend no budget."""
    if message.attempt != renewal.payment_attempt:
        return None
    rows = moment.policy.payment_retries
    row = row_of(rows, message.reason)
    retry = rows[row]
    counted, failed = failed_again(renewal, row, reached_provider=message.reached_provider)
    retry_at = next_try(retry, failed, payment_began_at(renewal), moment, message.retry_after_seconds)
    if retry_at is None:
        return endings.spent(renewal, retry.when_spent, "payment_attempts_spent", moment, message.reason)
    return _plan_capture(counted, retry_at, moment)._replace(reason=message.reason)


def retry_refund(renewal: Renewal, message: RefundAttemptFailed, moment: Moment) -> Change | None:
    """Again at back-off for as long as the policy allows, then a person must look."""
    if message.attempt != renewal.refund_attempt:
        return None
    rows = moment.policy.refund_retries
    row = row_of(rows, message.reason)
    retry = rows[row]
    counted, failed = failed_again(renewal, row, reached_provider=message.reached_provider)
    began_at = refund_began_at(renewal, moment)
    retry_at = next_try(retry, failed, began_at, moment, message.retry_after_seconds)
    if retry_at is None:
        return endings.spent(renewal, retry.when_spent, "refund_attempts_spent", moment, message.reason)
    new = noted(
        counted,
        refund_attempt=renewal.refund_attempt + 1,
        retry_at=retry_at,
        heard_at=moment.at,
        asked=0,
    )
    return Change(new, reason=message.reason)


def park_refund(renewal: Renewal, message: RefundRejected, moment: Moment) -> Change | None:
    """That a refund came back may be heard of before the refund itself: both are kept.

    Each is believed once. What is said again of an attempt before, or of a return that is known, must not
    park what an operator has put on its way since.
    """
    if message.reason == _RETURNED:
        if renewal.has_flag("refund_failed_later"):
            return None
        renewal = renewal._replace(flags=renewal.flagged("refund_failed_later"))
    elif message.attempt != renewal.refund_attempt:
        return None
    return endings.park(renewal, "refunding", "refund_rejected", moment)._replace(detail=message.reason)


def note_return(renewal: Renewal, message: RefundRejected, _moment: Moment) -> Change | None:
    """A refund that was made came back: refunded for the customer, an operator sends the money another way.

    Any other reason is of a refund that never was made: what it was parked for, or what came before the
    refund that worked, said again or read late.
    """
    return alarmed(renewal, message.reason, "refund_failed_later") if message.reason == _RETURNED else None


def lose(renewal: Renewal, message: PaymentRefunded, moment: Moment) -> Change:
    """Somebody gave the money back at the provider: what is not applied yet must not be applied."""
    flags = renewal.flagged("refunded_elsewhere")
    seen = renewal._replace(flags=flags, amount_minor=message.amount_minor)
    return endings.cancel_top_up(seen, "refunded_elsewhere", moment)


def note_surplus(renewal: Renewal, message: SurplusRefunded, _moment: Moment) -> Change | None:
    flag = f"{SURPLUS_FLAG}_{message.ordinal}"
    if renewal.has_flag(flag):
        return None
    # Where payment could not learn whether money was taken: it was, and has gone back.
    known = renewal._replace(flags=renewal.settled("unresolved"))
    return Change(noted(known, flags=known.flagged(flag)), reason=SURPLUS_FLAG)
