"""What follows from what customers and operators ask for."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

from services.renewal.domain import endings, wording
from services.renewal.domain.actions import (
    Action,
    CustomerRetries,
    OperatorReleases,
    OperatorResolves,
    OperatorRetries,
)
from services.renewal.domain.change import Change, Ignored, ignored, moved, noted
from services.renewal.domain.payment_rules import order_capture
from services.renewal.domain.policy import CALLED_OFF, Moment
from services.renewal.domain.renewal import CLOSED_STATES, SURPLUS_FLAG, ClosedState, Flag, Renewal, State
from services.renewal.domain.time_rules import command_of
from shared.contracts.message import Message

_REASONS: Final = {
    "CustomerCancels": "customer_cancelled",
    "OperatorCancels": "operator_cancelled",
    "OperatorRefunds": "operator_refunded",
}
_AFTER_CAPTURE: Final = frozenset({"captured", "cancelling_top_up", "refunding"})
"""Where it can be only with money taken, also where that was heard from a refund made elsewhere."""
_called_off: Final = ignored("it is called off already: whatever is captured yet goes back")
_found_out: Final = ignored("it is given up already: an operator finds out what became of it")
PAID: Final = ignored("money was taken: to give it back takes two, so propose refund")
_unpaid: Final = ignored("nothing is captured: there is nothing to give back")
_not_known: Final = ignored("provisioning would only say again that it does not know: it has to be found out")
_known: Final = ignored("nothing of it is unknown: asked again, the authority answers by itself")


def _by(change: Change, action: Action) -> Change:
    return change._replace(detail=action.told)


def cancel(renewal: Renewal, action: Action, moment: Moment) -> Change:
    return _by(endings.cancel_payment(renewal, _REASONS[type(action).__name__], moment), action)


def cancel_paid(renewal: Renewal, action: Action, moment: Moment) -> Change:
    return _by(endings.cancel_top_up(renewal, _REASONS[type(action).__name__], moment), action)


def call_off(renewal: Renewal, action: Action, _moment: Moment) -> Change | Ignored:
    """It is being given up already; from now on a capture that comes too late is given back."""
    if renewal.reason in CALLED_OFF:
        return _called_off
    reason = _REASONS[type(action).__name__]
    return Change(noted(renewal, reason=reason), reason=reason, detail=action.told)


def call_off_parked(renewal: Renewal, action: Action, moment: Moment) -> Change | Ignored:
    """A person decides, and sees who does not want it any more; whatever they find, it is not begun again.

    What is on its way back already needs no such word: it would only hide why it was given up.
    """
    if renewal.parked_from in ("cancelling_top_up", "refunding"):
        return _found_out
    return call_off(renewal, action, moment)


def call_in(renewal: Renewal, action: Action, moment: Moment) -> Change | Ignored:
    """Only where nothing was taken: whoever decides alone gives no money back."""
    was_paid = renewal.captured_at is not None or renewal.parked_from in _AFTER_CAPTURE
    return PAID if was_paid else cancel(renewal, action, moment)


def pay_back(renewal: Renewal, action: Action, moment: Moment) -> Change | Ignored:
    """Only what was captured, and only once provisioning has promised to apply nothing."""
    if renewal.captured_at is None:
        return _unpaid
    if renewal.top_up in ("rejected", "cancelled"):
        again = renewal._replace(refund_attempt=_refund_attempt(renewal))
        return _by(endings.refund(again, _REASONS[type(action).__name__], moment), action)
    return cancel_paid(renewal, action, moment)


def pay_again(renewal: Renewal, action: CustomerRetries, moment: Moment) -> Change:
    """The payer confirmed or chose another method; payment first cancels what was waiting."""
    return _by(order_capture(renewal, action.payment_method_id, moment), action)


def say_now(renewal: Renewal, action: OperatorRetries, moment: Moment) -> Change:
    """The step's command at once, without waiting for back-off or silence. Spends no budget."""
    new = noted(renewal, retry_at=None, heard_at=moment.at)
    return _by(Change(new, (command_of(renewal.state, new, moment),)), action)


_GIVEN_UP: Final[dict[State, State]] = {
    "requested": "cancelling_payment",
    "priced": "cancelling_payment",
    "awaiting_customer": "cancelling_payment",
    "captured": "cancelling_top_up",
}
"""Where a renewal is that has not been given up, and where it is once it has."""


def _refund_attempt(renewal: Renewal) -> int:
    """A refund that failed is known negative: the next attempt. After silence the same one is asked again."""
    failed = renewal.parked_reason in ("refund_rejected", "refund_attempts_spent")
    return renewal.refund_attempt + failed


def unpark(renewal: Renewal, action: OperatorRetries, moment: Moment) -> Change | Ignored:
    """Back to where it was parked from, or further where a fact came in meanwhile, and say the command."""
    state = renewal.parked_from or "requested"
    if renewal.captured_at is not None and state in ("requested", "priced", "awaiting_customer"):
        state = "captured"
    if renewal.captured_at is not None and state == "cancelling_payment":
        state = "cancelling_top_up" if renewal.reason in CALLED_OFF else "captured"
    if state == "captured" and renewal.top_up in ("rejected", "cancelled"):
        state = "refunding"
    if renewal.reason in CALLED_OFF:
        # Its customer has called it off while it was parked: it is not begun anew against their word.
        state = _GIVEN_UP.get(state, state)
    if state == "captured" and renewal.top_up == "undetermined":
        return _not_known
    deadline_at = max(renewal.deadline_at, moment.after(moment.policy.late_capture_seconds))
    new = moved(
        endings.asked_anew(renewal) if state == "cancelling_top_up" else renewal,
        state,
        moment.at,
        deadline_at=deadline_at,
        refund_attempt=_refund_attempt(renewal),
        refund_before=moment.after(moment.policy.refund_seconds),
    )
    return _by(Change(new, (command_of(state, new, moment),)), action)


def findings(renewal: Renewal) -> tuple[str, ...]:
    """What can have been found out about a parked one: the authority would drop what it knows better."""
    if renewal.parked_from == "refunding":
        return ("refunded",)
    found: tuple[str, ...] = ()
    after_capture = renewal.parked_from in ("captured", "cancelling_top_up")
    if renewal.captured_at is None and not after_capture:
        found += ("captured", "not_captured")
    if renewal.top_up == "undetermined" or (renewal.top_up is None and after_capture):
        found += ("applied", "not_applied")
    return found


def resolve(renewal: Renewal, action: OperatorResolves, moment: Moment) -> Change | Ignored:
    """The finding goes to the authority; the saga moves on the fact that follows."""
    fitting = findings(renewal)
    if action.decision not in fitting:
        return ignored(f"to be found out is {' or '.join(fitting)}, nothing else") if fitting else _known
    new = noted(renewal)
    if action.decision == "applied" or action.decision == "not_applied":
        command = wording.resolve_top_up(new, action.decision, action.signed, moment)
        return Change(new, (command,), f"found_{action.decision}", action.told)
    finding = wording.resolve_payment(new, action.decision, action.signed, moment)
    return Change(new, (finding,), f"found_{action.decision}", action.told)


_CLOSING: Final[dict[str, Callable[[Renewal, datetime], Message]]] = {
    "completed": wording.renewal_completed,
    "refunded": wording.renewal_refunded,
    "failed": wording.renewal_failed,
    "cancelled": wording.renewal_cancelled,
}
_no_case: Final = ignored("closed, and nobody has to look into it: trying again is a new one")
_payment_silent: Final = ignored("payment has not said whether it took money: it may yet, so ask it first")
_top_up_silent: Final = ignored("provisioning has not answered: it may yet apply the top-up, so ask it first")
_refund_silent: Final = ignored("payment has not answered: it may yet give the money back, so ask it first")


def resolve_unpaid(renewal: Renewal, action: OperatorResolves, moment: Moment) -> Change | Ignored:
    """Closed before payment could learn whether money was taken: what was it gives back by itself."""
    if not renewal.has_flag("unresolved"):
        return _no_case
    if action.decision != "captured" and action.decision != "not_captured":
        return ignored("to be found out is captured or not_captured, nothing else")
    new = noted(renewal)
    finding = wording.resolve_payment(new, action.decision, action.signed, moment)
    return Change(new, (finding,), f"found_{action.decision}", action.told)


def settle(renewal: Renewal, action: OperatorReleases, _moment: Moment) -> Change | Ignored:
    """What is closed stays as it is; its case is over, as two people say who have dealt with it outside."""
    cases: list[Flag] = ["refund_failed_later", "promise_broken"]
    if SURPLUS_FLAG in renewal.flags:
        # It was learned, only in another order: payment has nothing more to say of it.
        cases.append("unresolved")
    if not any(renewal.has_flag(case) for case in cases):
        return _no_case
    if action.outcome != renewal.state:
        return ignored(
            f"a closed renewal stays as it ended: to settle its case release it as {renewal.state}"
        )
    return Change(noted(renewal, flags=renewal.settled(*cases)), (), "case_settled", action.told)


def outcomes(renewal: Renewal) -> tuple[ClosedState, ...] | Ignored:
    """How a parked one can be closed by hand: once no authority acts any more, and against no fact.

    `failed` and `cancelled` say that no money was taken, which payment says itself, and that closes it. Only
    where authorities have contradicted each other people know better than all of them.
    """
    if renewal.captured_at is None and not renewal.has_flag("refunded_elsewhere"):
        return _payment_silent
    if renewal.top_up is None:
        return _top_up_silent
    if renewal.parked_reason == "silence_refunding":
        return _refund_silent
    if renewal.applied_at is not None:
        return ("completed",)
    if renewal.has_flag("promise_broken"):
        return CLOSED_STATES
    return ("completed", "refunded") if renewal.top_up == "undetermined" else ("refunded",)


def release(renewal: Renewal, action: OperatorReleases, moment: Moment) -> Change | Ignored:
    """Closed as decided, by name and with a note: the last resort. Provisioning is told what it did not know,
    so that nothing is applied, booked or called off any more as if nobody had decided.
    """
    fitting = outcomes(renewal)
    if isinstance(fitting, Ignored):
        return fitting
    if action.outcome not in fitting:
        return ignored(f"it contradicts what is known: it can be released as {' or '.join(fitting)}")
    # Who decides how it ends has looked into what there was: to hear of it again opens no case.
    hangs = renewal.parked_from == "refunding"
    known = renewal._replace(flags=renewal.flagged("refund_failed_later") if hangs else renewal.flags)
    settled = known._replace(flags=known.settled("refund_failed_later", "promise_broken"))
    new = moved(
        renewal,
        action.outcome,
        moment.at,
        reason=renewal.reason or "released_by_operator",
        flags=settled.flagged("released"),
    )
    says: tuple[Message, ...] = (_CLOSING[action.outcome](new, moment.at),)
    if renewal.top_up == "undetermined":
        found: Literal["applied", "not_applied"] = (
            "applied" if action.outcome == "completed" else "not_applied"
        )
        # Said once: nobody asks again about what is closed.
        command = wording.resolve_top_up(new, found, action.signed, moment, moment.policy.refund_seconds)
        says = (command, *says)
    return Change(new, says, "released_by_operator", action.told)
