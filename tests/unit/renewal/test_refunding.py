"""`refunding`, and money afterwards: refunds that fail, money back elsewhere, surplus, disputes."""

from datetime import timedelta

import pytest

from services.renewal.domain.actions import OperatorRetries, RetryDue
from shared.contracts.payment_commands import RefundPayment
from shared.contracts.renewals import RenewalCompleted, RenewalParked
from tests.unit.renewal.story import T0, Says, captured

says = Says()


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


def test_a_refund_that_fails_later_stays_refunded_with_an_alarm() -> None:
    story = captured().when(says.top_up_rejected(), says.refunded(), says.refund_rejected())
    assert story.state == "refunded"
    assert story.renewal.has_flag("refund_failed_later")
    assert story.last is not None
    assert story.last.alarm


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
