"""A customer or the deadline calls it off, also too late: `cancelling_payment` and `cancelling_top_up`."""

from datetime import timedelta

import pytest

from services.renewal.domain.actions import CustomerCancels, Deadline, OperatorCancels, OperatorRefunds
from shared.contracts.payment_commands import CancelPayment
from shared.contracts.renewals import RenewalCancelled
from shared.contracts.topup_commands import ApplyTopUp
from tests.unit.renewal.story import Says, captured, new

says = Says()


@pytest.mark.parametrize("before", [[], ["priced"], ["priced", "action_required"]])
def test_a_customer_cancels_before_the_capture(before: list[str]) -> None:
    story = new().when(*(getattr(says, name)() for name in before), CustomerCancels("ana"))
    assert story.just_said == ["CancelPayment"]
    story.when(says.payment_cancelled())
    assert story.state == "cancelled"
    assert story.told(RenewalCancelled)[0].reason == "customer_cancelled"


@pytest.mark.parametrize(
    "why",
    [CustomerCancels("ana"), Deadline(), OperatorCancels("otto")],
    ids=["customer", "deadline", "operator"],
)
def test_a_capture_too_late_for_a_renewal_that_was_called_off_is_given_back(why: object) -> None:
    story = new().when(says.priced(), why, says.captured())
    assert story.state == "cancelling_top_up"
    assert story.just_said == ["CancelTopUp"]
    story.when(says.top_up_cancelled())
    assert story.just_said == ["RefundPayment"]
    story.when(says.refunded())
    assert story.state == "refunded"


def test_a_capture_too_late_after_a_decline_is_used() -> None:
    story = new("card-1").when(says.priced(), says.declined("hard"), says.captured())
    assert story.state == "captured"
    [command] = story.told(ApplyTopUp)
    assert command.attempt == 1
    assert command.act_before > story.at
    story.when(says.applied())
    assert story.state == "completed"


def test_a_late_capture_used_after_the_deadline_has_time_for_its_top_up() -> None:
    story = new("card-1").when(says.priced(), says.declined("hard")).later(3600)
    story.when(says.captured())
    assert story.state == "captured"
    assert story.waits_for["Deadline"] > story.at + timedelta(minutes=4)


@pytest.mark.parametrize("who", [CustomerCancels("ana"), OperatorCancels("otto"), OperatorRefunds("otto")])
def test_whoever_calls_off_what_is_failing_has_a_late_capture_given_back(who: object) -> None:
    story = new("card-1").when(says.priced(), says.declined("hard"), who)
    assert story.just_said == []
    story.when(says.captured())
    assert story.state == "cancelling_top_up"


def test_cancelling_twice_says_it_once() -> None:
    story = new().when(says.priced(), CustomerCancels("ana"), CustomerCancels("ana"))
    assert len(story.told(CancelPayment)) == 1


def test_a_deadline_after_the_capture_cancels_the_top_up_first() -> None:
    story = captured().when(Deadline())
    assert (story.state, story.just_said) == ("cancelling_top_up", ["CancelTopUp"])


def test_a_rejection_remembered_while_cancelling_the_payment_refunds_a_late_capture() -> None:
    story = new().when(says.priced(), CustomerCancels("ana"), says.top_up_cancelled(), says.captured())
    assert story.state == "refunding"
