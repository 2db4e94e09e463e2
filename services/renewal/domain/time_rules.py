"""What follows from time that passed."""

from services.renewal.domain import endings, wording
from services.renewal.domain.actions import Deadline, DelayPromise, RetryDue, Silence
from services.renewal.domain.change import Change, noted
from services.renewal.domain.due import promised_by
from services.renewal.domain.policy import Moment
from services.renewal.domain.renewal import Renewal, State
from shared.contracts.message import Message


def command_of(state: State, renewal: Renewal, moment: Moment) -> Message:
    """What was last asked in this state, said again with the same attempt."""
    if state == "requested":
        return wording.renewal_requested(renewal, moment)
    if state == "priced":
        return wording.capture_payment(renewal, moment)
    if state == "captured":
        return wording.apply_top_up(renewal, moment)
    if state == "cancelling_payment":
        return wording.cancel_payment(renewal, moment)
    if state == "cancelling_top_up":
        return wording.cancel_top_up(renewal, moment)
    if state == "refunding":
        return wording.refund_payment(renewal, moment)
    raise AssertionError(f"nothing is asked while {state}")


def ask_again(renewal: Renewal, _message: Silence, moment: Moment) -> Change | None:
    """Silence: the same question, the same attempt. Whoever has an answer repeats it."""
    patience = moment.policy.patience[renewal.state]
    if patience.budget is not None and renewal.asked >= patience.budget:
        return endings.spent(renewal, patience.when_spent, f"silence_{renewal.state}", moment)
    new = noted(renewal, asked=renewal.asked + 1, heard_at=moment.at)
    return Change(new, (command_of(renewal.state, new, moment),))


def send_planned(renewal: Renewal, _message: RetryDue, moment: Moment) -> Change:
    """The back-off of a planned attempt has passed."""
    new = noted(renewal, retry_at=None, heard_at=moment.at, asked=0)
    return Change(new, (command_of(renewal.state, new, moment),))


def give_up(renewal: Renewal, _message: Deadline, moment: Moment) -> Change:
    return endings.cancel_payment(renewal, "deadline_passed", moment)


def give_up_paid(renewal: Renewal, _message: Deadline, moment: Moment) -> Change:
    return endings.cancel_top_up(renewal, "deadline_passed", moment)


def tell_delay(renewal: Renewal, _message: DelayPromise, moment: Moment) -> Change | None:
    if renewal.delayed:
        return None
    new = noted(renewal, delayed=True)
    return Change(new, (wording.renewal_delayed(new, promised_by(renewal, moment.policy)),))
