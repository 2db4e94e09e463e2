"""What a rule answers: the renewal as it becomes, what to say, and why."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from services.renewal.domain.policy import Moment
from services.renewal.domain.renewal import CLOSED, SETTLED, Flag, Renewal, State
from shared.contracts.message import Message


class Change(NamedTuple):
    """A step forward. `alarm` marks a broken promise: flagged, counted, shown, never raised."""

    renewal: Renewal
    says: tuple[Message, ...] = ()
    reason: str | None = None
    detail: str | None = None
    alarm: bool = False


class Ignored(NamedTuple):
    """A cell in which nothing happens, and why that is right. A rule answers it for one renewal."""

    why: str


# Events, timers and actions have no common base; each rule names the class that its row of the matrix has.
Rule: TypeAlias = Callable[[Renewal, Any, Moment], Change | Ignored | None]

Cell: TypeAlias = Rule | Ignored


def ignored(why: str) -> Ignored:
    return Ignored(why)


def moved(renewal: Renewal, state: State, at: datetime, **changes: Any) -> Renewal:
    """The renewal in another state, one version on: silence is counted anew, plans and questions lapse."""
    if state in CLOSED:
        changes["closed_at"] = at
    if renewal.state == "awaiting_customer":
        # The time that the payer took is not ours: from here on the customer waits for us.
        changes["promised_from"] = at
    return renewal._replace(
        state=state,
        version=renewal.version + 1,
        heard_at=at,
        asked=0,
        retry_at=None,
        action=None,
        action_before=None,
        **changes,
    )


def noted(renewal: Renewal, **changes: Any) -> Renewal:
    """The renewal in the same state, one version on, with something more known."""
    return renewal._replace(version=renewal.version + 1, **changes)


def alarmed(renewal: Renewal, what: str, flag: Flag = "promise_broken") -> Change | None:
    """A promise is broken: once in the flags and the history, and an alarm; None if it is known."""
    if renewal.has_flag(flag) or renewal.has_flag(flag + SETTLED):
        return None
    return Change(noted(renewal, flags=renewal.flagged(flag)), reason=flag, detail=what, alarm=True)
