"""When a renewal wants to be woken, and by what."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from services.renewal.domain.actions import Deadline, DelayPromise, RetryDue, Silence, Timer
from services.renewal.domain.policy import Moment, Policy
from services.renewal.domain.renewal import Renewal

_WITH_DEADLINE: Final = frozenset({"requested", "priced", "captured", "awaiting_customer"})
_WITHOUT_PROMISE: Final = frozenset({"awaiting_customer", "parked"})


class Stall(NamedTuple):
    """A time in which a consumer of ours was behind: silence then was our own deafness."""

    began_at: datetime
    ended_at: datetime


class Alarm(NamedTuple):
    """A timer and when it fires. `since` is when its waiting began: stalls after it shift it."""

    at: datetime
    timer: Timer
    since: datetime | None = None


def alarms(renewal: Renewal, policy: Policy) -> list[Alarm]:
    """Everything that the renewal waits for, in the order in which it is looked at."""
    if not renewal.is_open or renewal.state == "parked":
        return []
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
    if not renewal.delayed and state not in _WITHOUT_PROMISE:
        promised = renewal.requested_at + timedelta(seconds=policy.promise_seconds)
        waits.append(Alarm(promised, _PROMISE, renewal.requested_at))
    return waits


_DEADLINE: Final = Deadline()
_RETRY_DUE: Final = RetryDue()
_SILENCE: Final = Silence()
_PROMISE: Final = DelayPromise()


def next_due_at(renewal: Renewal, policy: Policy) -> datetime | None:
    """The earliest time at which anything can be due; None for closed and parked ones."""
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

    Planned retries fire as planned. All else waits until every consumer is caught up and is shifted by
    the stalls since its waiting began, so that an outage of ours is not taken for silence of theirs.
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
