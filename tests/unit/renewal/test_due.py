"""When a renewal is woken, and what a stall of ours does to its waiting."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renewal.domain.actions import Deadline, DelayPromise, RetryDue, Silence
from services.renewal.domain.due import Stall, due, next_due_at, stalled
from services.renewal.domain.policy import POLICY, Backoff, Moment
from services.renewal.domain.renewal import Renewal
from tests.unit.renewal.story import T0, requested

MINUTE = timedelta(minutes=1)


def at(minutes: float) -> Moment:
    return Moment(T0 + minutes * MINUTE, POLICY)


def look(renewal: Renewal, minutes: float, *stalls: Stall, caught_up: bool = True) -> object:
    return due(renewal, at(minutes), stalls, caught_up=caught_up)


def test_silence_comes_first_then_the_promise_then_the_deadline() -> None:
    renewal = requested()
    assert look(renewal, 0.4) == T0 + timedelta(seconds=30)
    assert look(renewal, 0.5) == Silence()
    heard = renewal._replace(heard_at=T0 + 3 * MINUTE)
    assert look(heard, 3) == DelayPromise()
    assert look(heard._replace(delayed=True, heard_at=T0 + 60 * MINUTE), 60) == Deadline()


def test_a_planned_retry_takes_the_place_of_silence() -> None:
    renewal = requested()._replace(state="priced", retry_at=T0 + 2 * MINUTE)
    assert look(renewal, 1) == T0 + 2 * MINUTE
    assert look(renewal, 2) == RetryDue()


def test_a_payer_is_waited_for_until_the_action_is_due() -> None:
    waiting = requested()._replace(state="awaiting_customer", action_before=T0 + 10 * MINUTE)
    assert look(waiting, 9) == T0 + 10 * MINUTE
    assert look(waiting, 10) == Deadline()


def test_a_closed_renewal_waits_for_nothing_and_a_parked_one_for_its_customer_to_be_told() -> None:
    parked = requested()._replace(state="parked")
    assert look(parked, 2) == T0 + 3 * MINUTE
    assert look(parked, 3) == DelayPromise()
    assert look(parked._replace(delayed=True), 60) is None
    assert next_due_at(requested()._replace(state="completed", closed_at=T0), POLICY) is None


def test_behind_only_a_planned_retry_and_the_promise_fire() -> None:
    told = requested()._replace(delayed=True)
    assert look(told, 60, caught_up=False) == T0 + 60 * MINUTE + timedelta(seconds=1), "looks again"
    assert look(requested(), 3, caught_up=False) == DelayPromise()
    planned = told._replace(state="priced", retry_at=T0)
    renewal = planned._replace(deadline_at=T0 + 90 * MINUTE)
    assert look(renewal, 60, caught_up=False) == RetryDue()


def test_a_stall_shifts_silence_and_deadline_but_no_planned_retry() -> None:
    stall = Stall(T0 + MINUTE, T0 + 61 * MINUTE)
    renewal = requested()._replace(state="priced", heard_at=T0 + MINUTE, delayed=True)
    assert look(renewal, 61, stall) == T0 + 61 * MINUTE + timedelta(seconds=30)
    assert look(renewal._replace(heard_at=T0 + 120 * MINUTE), 120, stall) == Deadline()
    assert look(renewal._replace(retry_at=T0 + 2 * MINUTE), 2, stall) == RetryDue()


def test_no_stall_shifts_the_promise_the_customer_waits_by_their_own_clock() -> None:
    heard = requested()._replace(heard_at=T0 + 3 * MINUTE)
    assert look(heard, 3, Stall(T0 + MINUTE, T0 + 3 * MINUTE)) == DelayPromise()


def test_a_stall_before_the_renewal_shifts_nothing() -> None:
    assert look(requested(), 0.5, Stall(T0 - 60 * MINUTE, T0)) == Silence()


@given(st.lists(st.tuples(st.integers(-50, 150), st.integers(0, 60)), max_size=6))
def test_stalls_count_each_minute_once_and_only_within_the_waiting(spans: list[tuple[int, int]]) -> None:
    stalls = [Stall(T0 + began * MINUTE, T0 + (began + length) * MINUTE) for began, length in spans]
    minutes = {minute for began, length in spans for minute in range(began, began + length)}
    expected = sum(1 for minute in minutes if 0 <= minute < 100)
    assert stalled(stalls, T0, T0 + 100 * MINUTE) == expected * MINUTE


@pytest.mark.parametrize(("times", "seconds"), [(0, 2), (1, 4), (2, 8), (5, 60), (10_000, 60)])
def test_back_off_doubles_up_to_its_cap(times: int, seconds: float) -> None:
    assert Backoff(2, 2, 60).seconds(times) == seconds


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True))
def test_jitter_shortens_a_delay_by_half_at_most(times: int, jitter: float) -> None:
    backoff = Backoff(2, 2, 60)
    assert backoff.seconds(times) / 2 <= backoff.seconds(times, jitter) <= backoff.seconds(times)
