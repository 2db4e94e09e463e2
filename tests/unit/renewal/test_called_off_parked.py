"""A customer calls off what is parked: a person still decides, and it ends as the customer wanted it to."""

import pytest

from services.renewal.domain.actions import CustomerCancels, OperatorResolves, OperatorRetries
from services.renewal.domain.renewal import State
from services.renewal.domain.saga import decide
from shared.contracts.renewals import RenewalRefunded
from tests.unit.renewal.story import Says, captured
from tests.unit.renewal.test_unpark import NOW, parked

says = Says()


def test_it_is_noted_once_and_stays_parked() -> None:
    story = captured().when(says.undetermined(), CustomerCancels("ana"))
    assert (story.state, story.just_said) == ("parked", [])
    noted = story.history[-1]
    assert (noted.message, noted.reason, noted.detail) == ("CustomerCancels", "customer_cancelled", "by ana")
    assert story.waits_for.keys() == {"DelayPromise"}
    story.when(CustomerCancels("ana"))
    assert story.history[-1] == noted


def test_found_not_applied_the_money_goes_back_because_the_customer_wanted_it() -> None:
    story = captured().when(says.undetermined(), CustomerCancels("ana"))
    story.when(OperatorResolves("otto", "not_applied"), says.top_up_cancelled(), says.refunded())
    assert story.state == "refunded"
    assert [told.reason for told in story.told(RenewalRefunded)] == ["customer_cancelled"]


def test_found_applied_it_is_completed_all_the_same() -> None:
    story = captured().when(says.undetermined(), CustomerCancels("ana"), says.applied())
    assert (story.state, story.renewal.reason) == ("completed", None)


@pytest.mark.parametrize(
    ("came_from", "paid", "goes_on"),
    [
        ("requested", False, "cancelling_payment"),
        ("priced", False, "cancelling_payment"),
        ("awaiting_customer", False, "cancelling_payment"),
        ("cancelling_payment", False, "cancelling_payment"),
        ("priced", True, "cancelling_top_up"),
        ("captured", True, "cancelling_top_up"),
        ("cancelling_payment", True, "cancelling_top_up"),
    ],
)
def test_an_operator_who_lets_it_go_on_lets_it_be_given_up(
    came_from: State, paid: bool, goes_on: State
) -> None:
    renewal = parked(came_from, paid=paid, reason="declined_hard" if came_from.startswith("c") else None)
    called_off = decide(renewal, CustomerCancels("ana"), NOW).renewal
    assert called_off.reason == "customer_cancelled"
    decision = decide(called_off, OperatorRetries("otto"), NOW)
    assert decision.renewal.state == goes_on
    assert [type(said).__name__ for said in decision.says] == [
        {"cancelling_payment": "CancelPayment", "cancelling_top_up": "CancelTopUp"}[goes_on]
    ]


def test_what_is_known_not_applied_goes_back_at_once_when_it_goes_on() -> None:
    renewal = parked("captured", paid=True, top_up="rejected", reason=None)
    called_off = decide(renewal, CustomerCancels("ana"), NOW).renewal
    assert decide(called_off, OperatorRetries("otto"), NOW).renewal.state == "refunding"


def test_whose_top_up_is_unknown_may_have_its_carrier_asked_to_call_it_off() -> None:
    story = captured().when(says.undetermined(), OperatorRetries("otto"))
    assert story.state == "parked"
    story.when(CustomerCancels("ana"), OperatorRetries("otto"))
    assert (story.state, story.just_said) == ("cancelling_top_up", ["CancelTopUp"])


@pytest.mark.parametrize("came_from", ["cancelling_top_up", "refunding"])
def test_what_is_given_up_keeps_the_reason_for_which_it_was(came_from: State) -> None:
    renewal = parked(came_from, paid=True, reason="top_up_attempts_spent")
    decision = decide(renewal, CustomerCancels("ana"), NOW)
    assert decision.renewal == renewal
    assert decision.ignored == "it is given up already: an operator finds out what became of it"
