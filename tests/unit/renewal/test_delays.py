"""A renewal that takes its time: told once, called off and paid back in the end, the customer's to cancel."""

from datetime import datetime, timedelta

import pytest

from services.renewal.domain.actions import CustomerCancels, CustomerRetries, Deadline, DelayPromise
from services.renewal.domain.due import due
from services.renewal.domain.policy import POLICY, Moment
from services.renewal.domain.renewal import Renewal
from shared.contracts.fields import Origin
from shared.contracts.payment_commands import RefundPayment
from shared.contracts.renewals import RenewalCompleted, RenewalDelayed, RenewalRefunded
from shared.contracts.topup_commands import CancelTopUp
from tests.unit.renewal.story import PRICE, T0, Says, Story, captured, new, requested

PROMISE = timedelta(minutes=3)
INSTANT = timedelta(microseconds=1)
says = Says()


def fires(renewal: Renewal, at: datetime) -> object:
    return due(renewal, Moment(at, POLICY), [], caught_up=True)


def quiet(renewal: Renewal, at: datetime) -> Renewal:
    """As it is when something was heard just now, so that nobody has to ask."""
    return renewal._replace(heard_at=at)


@pytest.mark.parametrize("origin", ["customer", "rule"])
def test_the_customer_is_told_at_the_promise_and_not_before(origin: Origin) -> None:
    renewal = quiet(requested(origin=origin), T0 + PROMISE)
    assert fires(renewal, T0 + PROMISE - INSTANT) != DelayPromise()
    assert fires(renewal, T0 + PROMISE) == DelayPromise()


def test_the_customer_is_told_once_whatever_happens_afterwards() -> None:
    story = captured().later(PROMISE.total_seconds()).when(DelayPromise())
    [told] = story.told(RenewalDelayed)
    assert (told.promised_by, told.state) == (T0 + PROMISE, "captured")
    story.when(Deadline(), DelayPromise(), says.top_up_cancelled(), DelayPromise())
    assert "DelayPromise" not in story.waits_for
    assert story.told(RenewalDelayed) == [told]


def test_a_renewal_in_time_is_never_called_late() -> None:
    story = captured().when(says.applied())
    assert story.waits_for == {}
    story.later(3600).when(DelayPromise())
    assert story.told(RenewalDelayed) == []


def test_a_payer_whose_turn_it_is_is_not_told_of_a_delay_but_of_what_to_do() -> None:
    story = new("card-1").when(says.priced(), says.action_required())
    assert "DelayPromise" not in story.waits_for
    story.later(PROMISE.total_seconds()).when(DelayPromise())
    assert story.told(RenewalDelayed) == []
    story.when(CustomerRetries("ana", "card-1"))
    assert story.waits_for["DelayPromise"] == story.at + PROMISE, "from now on it is we who are late"


@pytest.mark.parametrize(
    "way_on",
    [CustomerRetries("ana", "card-2"), says.captured(), says.declined(), CustomerCancels("ana")],
    ids=["another method", "confirmed", "confirmed in vain", "called off"],
)
def test_once_a_payer_has_had_their_turn_the_promise_counts_anew(way_on: object) -> None:
    story = new("card-1", "card-2").when(says.priced(), says.action_required())
    story.later(600).when(way_on)
    ended_at = story.at
    assert story.waits_for["DelayPromise"] == ended_at + PROMISE
    assert story.renewal.next_due_at is not None
    assert story.renewal.next_due_at <= ended_at + PROMISE
    story.later(PROMISE.total_seconds()).when(DelayPromise())
    assert [told.promised_by for told in story.told(RenewalDelayed)] == [ended_at + PROMISE]


def test_who_was_told_before_their_turn_is_not_told_again() -> None:
    story = new("card-1").when(says.priced()).later(PROMISE.total_seconds()).when(DelayPromise())
    story.when(says.action_required()).later(60).when(CustomerRetries("ana", "card-1"))
    assert "DelayPromise" not in story.waits_for
    story.later(PROMISE.total_seconds()).when(DelayPromise())
    assert len(story.told(RenewalDelayed)) == 1


@pytest.mark.parametrize(("origin", "minutes"), [("customer", 60), ("rule", 60)])
def test_a_renewal_is_called_off_at_its_deadline_and_not_before(origin: Origin, minutes: int) -> None:
    deadline = T0 + timedelta(minutes=minutes)
    renewal = quiet(requested(origin=origin), deadline)._replace(delayed=True, state="captured")
    assert fires(renewal, deadline - INSTANT) != Deadline()
    assert fires(renewal, deadline) == Deadline()


def test_at_the_deadline_the_top_up_is_cancelled_first_and_then_all_of_the_money_goes_back() -> None:
    story = captured().when(Deadline())
    assert story.told(CancelTopUp)[0].reason == "deadline_passed"
    assert story.told(RefundPayment) == [], "not before provisioning has promised to apply nothing"
    story.when(says.top_up_cancelled())
    assert [command.reason for command in story.told(RefundPayment)] == ["deadline_passed"]
    story.when(says.refunded())
    [back] = story.told(RenewalRefunded)
    assert (back.amount_minor, back.currency, back.reason) == (PRICE, "USD", "deadline_passed")


@pytest.mark.parametrize("why", [Deadline(), CustomerCancels("ana")], ids=["deadline", "customer"])
def test_data_that_was_granted_meanwhile_is_kept_and_so_is_the_money(why: object) -> None:
    story = captured().when(why, says.applied(), says.top_up_cancelled())
    assert story.state == "completed"
    assert story.told(RefundPayment) == []
    assert len(story.told(RenewalCompleted)) == 1


BEFORE_THE_TOP_UP: dict[str, list[object]] = {
    "requested": [],
    "priced": [says.priced()],
    "awaiting_customer": [says.priced(), says.action_required()],
    "captured": [says.priced(), says.captured()],
}


@pytest.mark.parametrize("state", BEFORE_THE_TOP_UP)
def test_a_customer_may_cancel_until_the_top_up_is_applied(state: str) -> None:
    story = new().when(*BEFORE_THE_TOP_UP[state])
    assert story.state == state
    story.when(CustomerCancels("ana"))
    assert story.state.startswith("cancelling")
    assert story.renewal.reason == "customer_cancelled"


def test_a_customer_who_cancels_after_it_has_waited_between_attempts_stops_the_next_one() -> None:
    story = captured().when(says.top_up_failed())
    assert "RetryDue" in story.waits_for
    story.when(CustomerCancels("ana"))
    assert "RetryDue" not in story.waits_for
    assert story.just_said == ["CancelTopUp"]


def test_a_customer_cannot_cancel_what_was_granted() -> None:
    story = captured().when(says.applied(), CustomerCancels("ana"))
    assert story.state == "completed"
    assert story.last is not None
    assert story.last.history is None
    assert "closed" in (story.last.ignored or "")


def test_a_customer_may_cancel_a_rules_renewal_too() -> None:
    story = Story(requested(origin="rule")).when(CustomerCancels("ana"), says.payment_cancelled())
    assert story.state == "cancelled"
