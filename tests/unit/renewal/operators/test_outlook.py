"""What the timeline says will happen is what the matrix does when the time has come."""

from datetime import timedelta

import pytest

from services.renewal.domain.due import Stall
from services.renewal.domain.policy import POLICY, Moment
from services.renewal.domain.renewal import CLOSED, CLOSED_STATES, OPEN_STATES, STATES, State
from services.renewal.operators.domain.outlook import upcoming, waits_for
from tests.unit.renewal.operators.renewals import REQUESTED_AT, a_renewal

NOW = Moment(REQUESTED_AT + timedelta(seconds=1), POLICY)


@pytest.mark.parametrize("state", CLOSED_STATES)
def test_time_alone_does_nothing_to_what_is_closed(state: State) -> None:
    assert upcoming(a_renewal(state, closed_at=REQUESTED_AT), NOW, []) == []


def test_time_alone_moves_no_parked_one_but_its_customer_is_told_of_the_delay_once() -> None:
    [only] = upcoming(a_renewal("parked"), NOW, [])
    assert (only.timer, only.to_state, only.says) == ("DelayPromise", "parked", ["RenewalDelayed"])
    assert upcoming(a_renewal("parked", delayed=True), NOW, []) == []


def test_silence_comes_first_and_says_the_command_again() -> None:
    first = upcoming(a_renewal("captured"), NOW, [])[0]
    assert (first.timer, first.to_state, first.says) == ("Silence", "captured", ["ApplyTopUp"])
    assert first.then == "Nobody answered until then: ApplyTopUp is said."


def test_the_deadline_gives_up() -> None:
    deadline = next(one for one in upcoming(a_renewal("captured"), NOW, []) if one.timer == "Deadline")
    assert (deadline.to_state, deadline.says) == ("cancelling_top_up", ["CancelTopUp"])
    assert deadline.reason == "deadline_passed"
    assert deadline.then == "Its deadline is over: it becomes cancelling_top_up, CancelTopUp is said."


def test_a_promise_of_time_is_told_once_it_is_broken() -> None:
    promise = next(one for one in upcoming(a_renewal("captured"), NOW, []) if one.timer == "DelayPromise")
    assert promise.at == REQUESTED_AT + timedelta(seconds=POLICY.promise_seconds)
    assert promise.then == "It takes longer than was promised: RenewalDelayed is said."


def test_a_planned_attempt_takes_the_place_of_silence() -> None:
    planned = a_renewal("priced", retry_at=NOW.after(5))
    [first, *rest] = upcoming(planned, NOW, [])
    assert (first.at, first.timer, first.says) == (NOW.after(5), "RetryDue", ["CapturePayment"])
    assert first.then.startswith("The back-off has passed: ")
    assert "Silence" not in {one.timer for one in rest}


def test_it_is_earliest_first_and_never_in_the_past() -> None:
    late = NOW._replace(at=REQUESTED_AT + timedelta(days=1))
    waits = upcoming(a_renewal("priced"), late, [])
    assert [one.at for one in waits] == sorted(one.at for one in waits)
    assert all(one.at == late.at for one in waits)


def test_a_stall_of_ours_shifts_what_counts_from_before_it_but_not_the_promise() -> None:
    stall = Stall(REQUESTED_AT, REQUESTED_AT + timedelta(seconds=1))
    without, with_it = (
        {one.timer: one.at for one in upcoming(a_renewal("priced"), NOW, stalls)} for stalls in ([], [stall])
    )
    shifted = {timer: with_it[timer] - at for timer, at in without.items()}
    second = timedelta(seconds=1)
    assert shifted == {"Silence": second, "Deadline": second, "DelayPromise": timedelta(0)}


@pytest.mark.parametrize(
    ("whom", "states"),
    [
        ("catalog", ["requested"]),
        ("payment", ["priced", "cancelling_payment", "refunding"]),
        ("provisioning", ["captured", "cancelling_top_up"]),
        ("the payer", ["awaiting_customer"]),
        ("an operator", ["parked"]),
        ("nothing", list(CLOSED_STATES)),
    ],
)
def test_every_state_says_whom_it_waits_for(whom: str, states: list[State]) -> None:
    assert {state for state in STATES if waits_for(a_renewal(state)).startswith(f"{whom}:")} == set(states)


def test_every_open_state_waits_for_something_of_its_own_and_a_closed_one_for_nothing() -> None:
    assert len({waits_for(a_renewal(state)) for state in OPEN_STATES}) == len(OPEN_STATES)
    assert {waits_for(a_renewal(state)) for state in CLOSED_STATES} == {"nothing: it is closed"}
    assert waits_for(a_renewal("refunding")) == "payment: the refund"
    assert waits_for(a_renewal("cancelling_payment")) == "payment: that no money is held"


@pytest.mark.parametrize(
    ("state", "flags", "whom"),
    [
        ("failed", "unresolved", "an operator: whether money was taken, which payment could not learn"),
        ("refunded", "refund_failed_later", "an operator: another way to pay back the refund that came back"),
        ("completed", "promise_broken", "an operator: what two authorities contradict each other about"),
        (
            "failed",
            "promise_broken unresolved",
            "an operator: whether money was taken, which payment could not learn and what two authorities "
            "contradict each other about",
        ),
        ("failed", "unresolved_settled", "nothing: it is closed"),
        ("refunding", "promise_broken", "payment: the refund"),
        ("parked", "refund_failed_later", "an operator: a decision"),
    ],
)
def test_what_is_closed_and_to_be_looked_into_waits_for_an_operator(
    state: State, flags: str, whom: str
) -> None:
    closed_at = REQUESTED_AT if state in CLOSED else None
    assert waits_for(a_renewal(state, flags=flags, closed_at=closed_at)) == whom


def test_a_plan_that_nothing_will_be_done_about_is_not_foretold() -> None:
    """Only a row that no rule writes holds one; whoever looks at it is shown what does happen."""
    planned = a_renewal("cancelling_payment", retry_at=NOW.at)
    assert [one.timer for one in upcoming(planned, NOW, [])] == ["DelayPromise"]
