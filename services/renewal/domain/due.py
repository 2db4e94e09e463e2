"""When a renewal wants to be woken, and by what."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from services.renewal.domain.actions import Deadline, DelayPromise, RetryDue, Silence, Timer
from services.renewal.domain.policy import Moment, Policy
from services.renewal.domain.renewal import Renewal

_WITH_DEADLINE: Final = frozenset({"requested", "priced", "captured", "awaiting_customer"})


class Stall(NamedTuple):
    """A time in which a consumer of ours was behind: silence then was our own deafness."""

    began_at: datetime
    ended_at: datetime


class Alarm(NamedTuple):
    """A timer and when it fires. `since` is when its waiting began: stalls after it shift it; None: none."""

    at: datetime
    timer: Timer
    since: datetime | None = None


def alarms(renewal: Renewal, policy: Policy) -> list[Alarm]:
    """Everything that the renewal waits for, in the order in which it is looked at."""
    if not renewal.is_open:
        return []
    waits = [] if renewal.state == "parked" else _moving(renewal, policy)
    if not renewal.delayed and renewal.state != "awaiting_customer":
        waits.append(Alarm(promised_by(renewal, policy), _PROMISE))
    return waits


def _moving(renewal: Renewal, policy: Policy) -> list[Alarm]:
    """What time moves it by; a parked one waits for a person."""
    waits: list[Alarm] = []
    state = renewal.state
    if state in _WITH_DEADLINE:
        deadline_at = renewal.deadline_at
        if state == "awaiting_customer" and renewal.action_before is not None:
            deadline_at = min(deadline_at, renewal.action_before)
        waits.append(Alarm(deadline_at, _DEADLINE, renewal.requested_at))
    if renewal.retry_at is not None:
        waits.append(Alarm(renewal.retry_at, _RETRY_DUE))
    elif (patience := policy.patience.get(state)) is not None:
        borne = timedelta(seconds=patience.backoff.seconds(renewal.asked))
        waits.append(Alarm(renewal.heard_at + borne, _SILENCE, renewal.heard_at))
    return waits


def promised_by(renewal: Renewal, policy: Policy) -> datetime:
    """When the customer is told that it takes longer: by their own clock, whatever keeps us."""
    return (renewal.promised_from or renewal.requested_at) + timedelta(seconds=policy.promise_seconds)


_DEADLINE: Final = Deadline()
_RETRY_DUE: Final = RetryDue()
_SILENCE: Final = Silence()
_PROMISE: Final = DelayPromise()


def next_due_at(renewal: Renewal, policy: Policy) -> datetime | None:
    """The earliest time at which anything can be due; None for closed ones, and parked ones once told."""
    return min((alarm.at for alarm in alarms(renewal, policy)), default=None)


def wakes_in_time(renewal: Renewal, moment: Moment) -> bool:
    """Whether the timer that is set comes early enough, without asking for what.

    The happy path never moves the timer: one that is too early only wakes up and looks again.
    """
    if renewal.next_due_at is None or renewal.state == "parked":
        return False
    if renewal.retry_at is not None or renewal.action_before is not None:
        return False
    return renewal.next_due_at - moment.at <= moment.policy.shortest_patience


def due(
    renewal: Renewal, moment: Moment, stalls: Sequence[Stall], *, caught_up: bool
) -> Timer | datetime | None:
    """The timer that fires now, or when to look again; None: never.

    Planned retries and the promise keep to their time. All else waits until every consumer is caught up and
    is shifted by the stalls since its waiting began, so that an outage of ours is not taken for silence of
    theirs. Who waits for us longer than promised is told so also where the good news lies unread.
    """
    later: list[datetime] = []
    for alarm in alarms(renewal, moment.policy):
        at = alarm.at
        if alarm.since is not None:
            at += stalled(stalls, alarm.since, moment.at)
            if not caught_up:
                at = max(at, moment.at + _LOOK_AGAIN)
        if at <= moment.at:
            return alarm.timer
        later.append(at)
    return min(later, default=None)


_LOOK_AGAIN: Final = timedelta(seconds=1)


def stalled(stalls: Iterable[Stall], since: datetime, until: datetime) -> timedelta:
    """How much of the time between the two was stalled; overlapping stalls count once."""
    total = timedelta(0)
    reached = since
    for began_at, ended_at in sorted(stalls):
        began = max(began_at, reached)
        ended = min(ended_at, until)
        if ended > began:
            total += ended - began
            reached = ended
    return total
