"""`refunding`, and money afterwards: refunds that fail, money back elsewhere, surplus, disputes."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from services.renewal.domain.actions import OperatorRetries, RetryDue, Silence
from shared.contracts.payment_commands import RefundPayment
from shared.contracts.renewals import RenewalCompleted, RenewalParked
from tests.unit.renewal.story import T0, Says, Story, captured

says = Says()
came_back = says.refund_rejected("refund_returned")


def test_a_failed_refund_is_tried_again_for_a_day_and_then_parked() -> None:
    story = captured().when(says.top_up_rejected())
    attempt = 1
    while story.state == "refunding" and attempt < 100:
        story.when(says.refund_failed(attempt))
        if story.state == "refunding":
            story.at = story.waits_for["RetryDue"]
            story.when(RetryDue())
            attempt += 1
            assert story.told(RefundPayment)[-1].attempt == attempt
    assert story.state == "parked"
    assert timedelta(hours=22) < story.at - T0 < timedelta(hours=25)
    line = story.history[-1]
    assert (line.reason, line.detail) == ("refund_attempts_spent", "provider_unavailable")


def test_a_rejected_refund_is_parked_and_an_operator_may_try_the_next_attempt() -> None:
    story = captured().when(says.top_up_rejected(), says.refund_rejected())
    assert story.told(RenewalParked)[0].reason == "refund_rejected"
    assert (story.history[-1].reason, story.history[-1].detail) == ("refund_rejected", "account_closed")
    story.when(says.top_up_rejected())
    assert story.state == "parked", "the same answer again sends no second refund"
    story.when(OperatorRetries("otto"))
    assert story.state == "refunding"
    assert story.told(RefundPayment)[-1].attempt == 2


def test_a_refund_that_came_back_stays_refunded_with_an_alarm() -> None:
    story = captured().when(says.top_up_rejected(), says.refunded(), came_back)
    assert story.state == "refunded"
    assert story.renewal.has_flag("refund_failed_later")
    assert story.last is not None
    assert story.last.alarm


def nothing_follows(story: Story, *again: object) -> None:
    """Nothing changes, nothing is said, nobody is alarmed."""
    for message in again:
        before = story.renewal
        story.when(message)
        assert story.last is not None
        assert (story.renewal, story.last.says, story.last.alarm) == (before, (), False)


def rejected_then_refunded() -> Story:
    """Payment could not learn for a day whether the refund was made; then it was."""
    return captured().when(says.top_up_rejected(), says.refund_rejected("unknown"), says.refunded())


def failed_then_refunded() -> Story:
    """The first attempt failed, the second was made."""
    return captured().when(says.top_up_rejected(), says.refund_failed(1), RetryDue(), says.refunded())


def refunded_at_once() -> Story:
    """Nothing else was heard: what failed before it is read late."""
    return captured().when(says.top_up_rejected(), says.refunded())


def retried_then_refunded() -> Story:
    """An operator's second attempt was made."""
    story = captured().when(says.top_up_rejected(), says.refund_rejected(), OperatorRetries("otto"))
    return story.when(says.refunded())


@pytest.mark.parametrize(
    "refunded", [rejected_then_refunded, failed_then_refunded, refunded_at_once, retried_then_refunded]
)
def test_what_failed_before_the_money_went_back_changes_nothing_however_late_it_is_read(
    refunded: Callable[[], Story],
) -> None:
    story = refunded()
    for attempt in (1, 2):
        nothing_follows(story, says.refund_failed(attempt), says.refund_rejected("unknown", attempt))
        nothing_follows(story, says.refund_rejected("account_closed", attempt))
    assert (story.state, story.renewal.flags) == ("refunded", "")
    story.when(came_back)
    assert story.last is not None
    assert story.last.alarm, "that it came back is still heard"
    nothing_follows(story, came_back)


def test_a_refund_that_an_operator_has_put_on_its_way_again_is_not_parked_by_what_was_said_before() -> None:
    story = captured().when(says.top_up_rejected(), says.refund_rejected(), OperatorRetries("otto"))
    nothing_follows(story, says.refund_rejected(), says.refund_rejected("unknown"), says.refund_failed(1))
    assert story.state == "refunding"
    story.when(says.refund_rejected(attempt=2))
    assert story.state == "parked", "what is said of the attempt under way still parks"
    story.when(OperatorRetries("otto"))
    assert story.told(RefundPayment)[-1].attempt == 3


def test_an_answer_about_the_attempt_under_way_parks_it_though_it_is_said_again() -> None:
    """After silence the same attempt is asked for again, and payment repeats what became of it."""
    story = captured().when(says.top_up_rejected())
    while story.state == "refunding":
        story.when(Silence())
    assert story.renewal.parked_reason == "silence_refunding"
    story.when(OperatorRetries("otto"), says.refund_rejected())
    assert (story.state, story.renewal.parked_reason) == ("parked", "refund_rejected")


def test_a_return_that_is_known_does_not_park_again_what_an_operator_has_put_on_its_way() -> None:
    story = captured().when(says.top_up_rejected(), came_back, OperatorRetries("otto"))
    nothing_follows(story, came_back)
    assert story.state == "refunding"
    story.when(says.refunded())
    nothing_follows(story, came_back)
    assert (story.state, story.renewal.flags) == ("refunded", "refund_failed_later")


def test_a_return_is_heard_whichever_attempt_it_names() -> None:
    """The first attempt worked after all: payment never began the second."""
    story = captured().when(says.top_up_rejected(), says.refund_rejected("unknown"), OperatorRetries("otto"))
    assert story.renewal.refund_attempt == 2
    story.when(came_back)
    assert (story.state, story.renewal.flags) == ("parked", "refund_failed_later")


@pytest.mark.parametrize("heard_before", [[], [says.refund_rejected("unknown")]], ids=["refunding", "parked"])
def test_a_refund_that_came_back_stays_known_though_it_is_heard_of_first(heard_before: list[object]) -> None:
    story = captured().when(says.top_up_rejected(), *heard_before, says.refund_rejected("refund_returned"))
    assert story.state == "parked"
    story.when(says.refunded())
    assert story.state == "refunded"
    assert story.renewal.has_flag("refund_failed_later")


def test_money_given_back_elsewhere_stops_the_top_up_and_ends_refunded() -> None:
    story = captured().when(says.refunded())
    assert (story.state, story.just_said) == ("cancelling_top_up", ["CancelTopUp"])
    story.when(says.top_up_cancelled(), says.refunded())
    assert story.state == "refunded"
    assert story.renewal.has_flag("refunded_elsewhere")


def test_a_surplus_and_a_dispute_are_recorded_wherever_it_stands() -> None:
    story = captured().when(says.surplus(), says.surplus(), says.surplus(2), says.applied(), says.disputed())
    assert story.state == "completed"
    assert story.renewal.flags.split() == ["surplus_refunded_1", "surplus_refunded_2", "disputed"]
    assert story.told(RenewalCompleted)[0].version == story.history[-2].version
