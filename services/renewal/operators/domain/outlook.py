"""What a renewal waits for: when it is looked at next, and what will happen then if nothing comes before."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from services.renewal.domain.due import Stall, alarms, stalled
from services.renewal.domain.policy import Moment
from services.renewal.domain.renewal import Renewal, State
from services.renewal.domain.saga import decide
from services.renewal.operators.domain.filter import CaseName, cases_of


class Upcoming(NamedTuple):
    """One timer: when it fires, and what it does if nothing is heard before."""

    at: datetime
    timer: str
    to_state: State
    says: list[str]
    """The messages that follow, by name."""
    reason: str | None
    then: str
    """All of it in a sentence."""


def upcoming(renewal: Renewal, moment: Moment, stalls: Sequence[Stall]) -> list[Upcoming]:
    """Everything that time will do to it, earliest first, by the rules of the matrix themselves.

    Empty for a closed renewal. Time alone moves no parked one: only its customer may be still to be told.
    """
    waits: list[Upcoming] = []
    for alarm in alarms(renewal, moment.policy):
        at = alarm.at
        if alarm.since is not None:
            at += stalled(stalls, alarm.since, moment.at)
        at = max(at, moment.at)
        decision = decide(renewal, alarm.timer, moment._replace(at=at))
        if decision.history is None:
            continue
        says = [type(said).__name__ for said in decision.says]
        timer, entry = type(alarm.timer).__name__, decision.history
        then = f"{_WHY[timer]}: {_what(renewal, entry.to_state, says)}"
        waits.append(Upcoming(at, timer, entry.to_state, says, entry.reason, then))
    return sorted(waits, key=lambda one: one.at)


_WHY: Final = {
    "Silence": "Nobody answered until then",
    "Deadline": "Its deadline is over",
    "DelayPromise": "It takes longer than was promised",
    "RetryDue": "The back-off has passed",
}


def _what(renewal: Renewal, to_state: State, says: Sequence[str]) -> str:
    said = f"{' and '.join(says)} is said" if says else "nothing is said"
    return f"{said}." if to_state == renewal.state else f"it becomes {to_state}, {said}."


def waits_for(renewal: Renewal) -> str:
    """Whom it waits for, in words."""
    if renewal.closed_at is not None and (cases := cases_of(renewal)):
        return f"an operator: {' and '.join(_CASES[name] for name in cases)}"
    return _WHOM[renewal.state]


_CASES: Final[dict[CaseName, str]] = {
    "unresolved": "whether money was taken, which payment could not learn",
    "refund_returned": "another way to pay back the refund that came back",
    "promise_broken": "what two authorities contradict each other about",
}


_WHOM: Final[dict[State, str]] = {
    "requested": "catalog: the price",
    "priced": "payment: the capture",
    "captured": "provisioning: the top-up",
    "awaiting_customer": "the payer: their confirmation or another payment method",
    "cancelling_payment": "payment: that no money is held",
    "cancelling_top_up": "provisioning: that nothing will be applied",
    "refunding": "payment: the refund",
    "parked": "an operator: a decision",
    "completed": "nothing: it is closed",
    "refunded": "nothing: it is closed",
    "failed": "nothing: it is closed",
    "cancelled": "nothing: it is closed",
}
