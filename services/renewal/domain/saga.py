"""The transition matrix: every state x every message, each with a rule or a reason why nothing happens.

There is no default. `row` takes all twelve states by name, so an empty cell does not even import; a test
holds the rows against the contracts. Ignored cells say why. Longer than its neighbours: it is one table.
"""

from typing import Final, NamedTuple

from services.renewal.domain import endings, payment_rules, people_rules, time_rules, top_up_rules
from services.renewal.domain.actions import (
    CustomerCancels,
    CustomerRetries,
    Deadline,
    DelayPromise,
    OperatorCancels,
    OperatorRefunds,
    OperatorReleases,
    OperatorResolves,
    OperatorRetries,
    RetryDue,
    Silence,
)
from services.renewal.domain.change import Cell, Change, Ignored, ignored
from services.renewal.domain.due import next_due_at, wakes_in_time
from services.renewal.domain.policy import Moment
from services.renewal.domain.renewal import STATES, HistoryEntry, Renewal, State
from shared.contracts.message import Message
from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    RefundAttemptFailed,
    RefundRejected,
    SurplusRefunded,
)
from shared.contracts.prices import RenewalPriced, RenewalRejected
from shared.contracts.topups import (
    TopUpApplied,
    TopUpAttemptFailed,
    TopUpCancelled,
    TopUpRejected,
    TopUpUndetermined,
)

Row = dict[State, Cell]


def row(
    *,
    requested: Cell,
    priced: Cell,
    captured: Cell,
    awaiting_customer: Cell,
    cancelling_payment: Cell,
    cancelling_top_up: Cell,
    refunding: Cell,
    parked: Cell,
    completed: Cell,
    refunded: Cell,
    failed: Cell,
    cancelled: Cell,
) -> Row:
    """One message's cells: every state by name, none optional."""
    return {
        "requested": requested,
        "priced": priced,
        "captured": captured,
        "awaiting_customer": awaiting_customer,
        "cancelling_payment": cancelling_payment,
        "cancelling_top_up": cancelling_top_up,
        "refunding": refunding,
        "parked": parked,
        "completed": completed,
        "refunded": refunded,
        "failed": failed,
        "cancelled": cancelled,
    }


def in_any_state(cell: Cell) -> Row:
    """For the few messages that mean the same everywhere."""
    return dict.fromkeys(STATES, cell)


repeat = ignored("a repeat of what is known")
closed = ignored("closed: a closed renewal is never revived, trying again is a new one")
given_up = ignored("it is being given up: the authority's final answer decides")
giving_back = ignored("the money is on its way back: nothing else changes that")
operator = ignored("parked: an operator decides")
paid = ignored("the payment is captured: what was said of it earlier changes nothing")
first_answer = ignored("the catalog's first answer stands: it was acted upon")
payer = ignored("it is the payer's turn: their confirmation or the deadline moves it")
retold = ignored("the capture is not seen yet: after it, silence has the answer repeated")
unasked = ignored("no refund is asked for in this state: an echo of an earlier command")
made = ignored("the refund is made: what failed before it, failed before it")
settled = ignored("provisioning's final answer is in: an earlier report adds nothing")
agrees = ignored("agrees with how it ended")
unpaid = ignored("nothing is captured: cancel it instead")
not_parked = ignored("not parked: it moves by itself")
unheard = ignored("nobody was asked anything in this state")
no_plan = ignored("no attempt is planned in this state")
own_budget = ignored("the way back has a budget of its own, not the deadline")
told = ignored("the customer was told what is to be done: until then nobody waits for us")
kept = ignored("an applied top-up is refunded only with two operators' approval, at payment")
two = people_rules.PAID
coming = ignored("the refund follows by itself once provisioning has answered")

p, t, e, d, h = payment_rules, top_up_rules, endings, time_rules, people_rules

# fmt: off
MATRIX: Final[dict[type, Row]] = {
    # What catalog says.
    RenewalPriced: row(
        requested=p.take_price, priced=repeat, captured=paid, awaiting_customer=p.note_price,
        cancelling_payment=p.note_price, cancelling_top_up=paid, refunding=paid, parked=p.note_price,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    RenewalRejected: row(
        requested=p.reject, priced=first_answer, captured=paid, awaiting_customer=first_answer,
        cancelling_payment=given_up, cancelling_top_up=paid, refunding=paid, parked=operator,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    # What payment says.
    PaymentCaptured: row(
        requested=p.take_capture, priced=p.take_capture, captured=repeat, awaiting_customer=p.take_capture,
        cancelling_payment=p.take_late, cancelling_top_up=p.note_paid, refunding=repeat, parked=p.note_paid,
        completed=p.note_paid, refunded=p.note_paid, failed=e.clash, cancelled=e.clash,
    ),
    PaymentDeclined: row(
        requested=p.decline, priced=p.decline, captured=paid, awaiting_customer=p.decline,
        cancelling_payment=given_up, cancelling_top_up=paid, refunding=paid, parked=operator,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    PaymentAttemptFailed: row(
        requested=p.retry_payment, priced=p.retry_payment, captured=paid, awaiting_customer=payer,
        cancelling_payment=given_up, cancelling_top_up=paid, refunding=paid, parked=operator,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    PaymentActionRequired: row(
        requested=p.ask_payer, priced=p.ask_payer, captured=paid, awaiting_customer=repeat,
        cancelling_payment=given_up, cancelling_top_up=paid, refunding=paid, parked=operator,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    PaymentCancelled: row(
        requested=e.unpaid, priced=e.unpaid, captured=e.clash, awaiting_customer=e.unpaid,
        cancelling_payment=e.unpaid, cancelling_top_up=e.clash, refunding=e.clash, parked=e.unpaid_parked,
        completed=e.clash, refunded=e.clash, failed=e.note_known, cancelled=e.note_known,
    ),
    PaymentRefunded: row(
        requested=p.lose, priced=p.lose, captured=p.lose, awaiting_customer=p.lose,
        cancelling_payment=p.lose, cancelling_top_up=e.note_refund, refunding=e.refunded, parked=e.refunded,
        completed=e.note_refund, refunded=repeat, failed=e.clash, cancelled=e.clash,
    ),
    RefundAttemptFailed: row(
        requested=unasked, priced=unasked, captured=unasked, awaiting_customer=unasked,
        cancelling_payment=unasked, cancelling_top_up=unasked, refunding=p.retry_refund, parked=operator,
        completed=unasked, refunded=made, failed=unasked, cancelled=unasked,
    ),
    RefundRejected: row(
        requested=unasked, priced=unasked, captured=unasked, awaiting_customer=unasked,
        cancelling_payment=unasked, cancelling_top_up=unasked, refunding=p.park_refund, parked=p.note_return,
        completed=unasked, refunded=p.note_return, failed=unasked, cancelled=unasked,
    ),
    SurplusRefunded: in_any_state(p.note_surplus),
    PaymentDisputed: in_any_state(e.note_dispute),
    # What provisioning says.
    TopUpApplied: row(
        requested=t.complete, priced=t.complete, captured=t.complete, awaiting_customer=t.complete,
        cancelling_payment=t.complete, cancelling_top_up=t.complete, refunding=e.note_unwanted,
        parked=t.complete, completed=e.note_applied, refunded=e.clash, failed=e.clash, cancelled=e.clash,
    ),
    TopUpRejected: row(
        requested=t.remember, priced=t.remember, captured=t.give_back, awaiting_customer=t.remember,
        cancelling_payment=t.remember, cancelling_top_up=t.give_back, refunding=repeat, parked=t.find_out,
        completed=e.clash, refunded=agrees, failed=agrees, cancelled=agrees,
    ),
    TopUpCancelled: row(
        requested=t.remember, priced=t.remember, captured=t.give_back, awaiting_customer=t.remember,
        cancelling_payment=t.remember, cancelling_top_up=t.give_back, refunding=repeat, parked=t.find_out,
        completed=e.clash, refunded=agrees, failed=agrees, cancelled=agrees,
    ),
    TopUpAttemptFailed: row(
        requested=retold, priced=retold, captured=t.retry_top_up, awaiting_customer=retold,
        cancelling_payment=retold, cancelling_top_up=given_up, refunding=settled, parked=operator,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    TopUpUndetermined: row(
        requested=t.remember, priced=t.remember, captured=t.park_unknown, awaiting_customer=t.remember,
        cancelling_payment=t.remember, cancelling_top_up=t.park_unknown, refunding=settled, parked=operator,
        completed=settled, refunded=settled, failed=closed, cancelled=closed,
    ),
    # What time does.
    Silence: row(
        requested=d.ask_again, priced=d.ask_again, captured=d.ask_again, awaiting_customer=payer,
        cancelling_payment=d.ask_again, cancelling_top_up=d.ask_again, refunding=d.ask_again, parked=unheard,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    Deadline: row(
        requested=d.give_up, priced=d.give_up, captured=d.give_up_paid, awaiting_customer=d.give_up,
        cancelling_payment=own_budget, cancelling_top_up=own_budget, refunding=own_budget, parked=operator,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    DelayPromise: row(
        requested=d.tell_delay, priced=d.tell_delay, captured=d.tell_delay, awaiting_customer=told,
        cancelling_payment=d.tell_delay, cancelling_top_up=d.tell_delay, refunding=d.tell_delay,
        parked=d.tell_delay,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    RetryDue: row(
        requested=d.send_planned, priced=d.send_planned, captured=d.send_planned, awaiting_customer=no_plan,
        cancelling_payment=no_plan, cancelling_top_up=no_plan, refunding=d.send_planned, parked=no_plan,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    # What people ask for.
    CustomerCancels: row(
        requested=h.cancel, priced=h.cancel, captured=h.cancel_paid, awaiting_customer=h.cancel,
        cancelling_payment=h.call_off, cancelling_top_up=given_up, refunding=giving_back,
        parked=h.call_off_parked,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    CustomerRetries: row(
        requested=unheard, priced=unheard, captured=paid, awaiting_customer=h.pay_again,
        cancelling_payment=given_up, cancelling_top_up=given_up, refunding=giving_back, parked=operator,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    OperatorRetries: row(
        requested=h.say_now, priced=h.say_now, captured=h.say_now, awaiting_customer=payer,
        cancelling_payment=h.say_now, cancelling_top_up=h.say_now, refunding=h.say_now, parked=h.unpark,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    OperatorCancels: row(
        requested=h.cancel, priced=h.cancel, captured=two, awaiting_customer=h.cancel,
        cancelling_payment=h.call_off, cancelling_top_up=given_up, refunding=giving_back, parked=h.call_in,
        completed=closed, refunded=closed, failed=closed, cancelled=closed,
    ),
    OperatorRefunds: row(
        requested=unpaid, priced=unpaid, captured=h.cancel_paid, awaiting_customer=unpaid,
        cancelling_payment=h.call_off, cancelling_top_up=coming, refunding=giving_back, parked=h.pay_back,
        completed=kept, refunded=closed, failed=closed, cancelled=closed,
    ),
    OperatorResolves: row(
        requested=not_parked, priced=not_parked, captured=not_parked, awaiting_customer=not_parked,
        cancelling_payment=not_parked, cancelling_top_up=not_parked, refunding=not_parked, parked=h.resolve,
        completed=closed, refunded=closed, failed=h.resolve_unpaid, cancelled=h.resolve_unpaid,
    ),
    OperatorReleases: row(
        requested=not_parked, priced=not_parked, captured=not_parked, awaiting_customer=not_parked,
        cancelling_payment=not_parked, cancelling_top_up=not_parked, refunding=not_parked, parked=h.release,
        completed=h.settle, refunded=h.settle, failed=h.settle, cancelled=h.settle,
    ),
}
# fmt: on

_KNOWN = ignored("of an older attempt, or known already")


class Decision(NamedTuple):
    """What one message did. Where `history` is None nothing happened, and `ignored` says why."""

    renewal: Renewal
    says: tuple[Message, ...] = ()
    history: HistoryEntry | None = None
    ignored: str | None = None
    alarm: bool = False


def decide(renewal: Renewal, message: Message | object, moment: Moment) -> Decision:
    """Apply one message to one renewal.

    Raises:
        KeyError: the message is none that the saga reads.
    """
    cell = MATRIX[type(message)][renewal.state]
    if isinstance(cell, Ignored):
        return Decision(renewal, ignored=cell.why)
    change = cell(renewal, message, moment)
    if change is None or isinstance(change, Ignored):
        return Decision(renewal, ignored=(change or _KNOWN).why)
    return _recorded(renewal, message, change, moment)


def _recorded(before: Renewal, message: object, change: Change, moment: Moment) -> Decision:
    after = change.renewal
    if after.closed_at is None and not wakes_in_time(after, moment):
        after = after._replace(next_due_at=next_due_at(after, moment.policy))
    entry = HistoryEntry(
        before.renewal_id,
        after.version,
        moment.at,
        type(message).__name__,
        before.state,
        after.state,
        message.attempt,  # type: ignore[attr-defined] # every row's class has one, a test holds it
        change.reason,
        change.detail,
    )
    return Decision(after, change.says, entry, None, change.alarm)
