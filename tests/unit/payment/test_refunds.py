"""What comes of a refund, whoever made it; and of a dispute."""

from datetime import timedelta

import pytest

from services.payment.domain.calls import spread
from services.payment.domain.outcome import Kind
from services.payment.domain.payment import State
from shared.contracts.payments import PaymentDisputed, PaymentRefunded, RefundAttemptFailed, RefundRejected
from tests.unit.payment.story import PRICE, Story, balances, captured


def test_a_refund_failed_or_rejected_is_said_with_its_attempt() -> None:
    story = captured().refund().outcome(Kind.FAILED, code="expired_or_canceled_card")
    assert [answer.attempt for answer in story.heard(RefundAttemptFailed)] == [1]
    story.refund(2).outcome(Kind.REJECTED, code="charge_disputed")
    assert [(answer.attempt, answer.reason) for answer in story.heard(RefundRejected)] == [
        (2, "charge_disputed")
    ]
    assert balances(story.transfers)["held"] == PRICE


def test_a_late_duplicate_of_an_earlier_refund_begins_nothing() -> None:
    story = captured().refund().outcome(Kind.FAILED).refund(2).outcome(Kind.FAILED)
    story.refund(1)
    assert story.last is None
    assert (story.row.operation, story.row.refund_attempt) == (None, 2)


def test_a_refund_unknown_past_the_deadline_is_rejected_once_and_may_still_be_found() -> None:
    story = captured().refund().later(days=1)
    story.outcome(Kind.UNKNOWN).outcome(Kind.UNKNOWN)
    assert [answer.reason for answer in story.heard(RefundRejected)] == ["unknown"]
    story.outcome(Kind.REFUNDED)
    assert len(story.heard(PaymentRefunded)) == 1
    assert balances(story.transfers)["held"] == 0


def asked_whenever_due(story: Story, span: timedelta, kind: Kind = Kind.UNKNOWN) -> list[timedelta]:
    """The pauses between questions about what the PSP goes on to answer alike for so long."""
    pauses, ends = [], story.now + span
    while story.now < ends:
        asked = story.now
        story.claimed().outcome(kind, code="pending")
        assert story.row.due_at is not None
        story.now = story.row.due_at
        pauses.append(story.now - asked)
    return pauses


def test_a_pending_refund_is_nobody_s_case_as_long_as_refunds_are_tried() -> None:
    story = captured().refund()
    asked_whenever_due(story, timedelta(hours=22))
    assert (story.row.state, story.heard(RefundRejected)) == (State.REFUNDING, [])
    story.claimed().outcome(Kind.REFUNDED)
    assert len(story.heard(PaymentRefunded)) == 1


def test_a_refund_that_stays_pending_is_rejected_once_after_a_day_and_asked_about_on() -> None:
    story = captured().refund()
    pauses = asked_whenever_due(story, timedelta(days=2))
    assert [answer.reason for answer in story.heard(RefundRejected)] == ["unknown"]
    assert set(pauses[-20:]) == {story.patience.longest_refund_pause * spread(story.row)}


def test_a_pending_refund_is_asked_about_soon_at_first_and_ever_more_seldom() -> None:
    pauses = asked_whenever_due(captured().refund(), timedelta(days=1))
    assert pauses == sorted(pauses)
    assert pauses[0] <= timedelta(seconds=2)
    assert len(pauses) < 70
    passed = timedelta()
    for pause in pauses:
        assert pause <= max(passed, timedelta(minutes=1)), "what has just settled is found as soon"
        passed += pause


@pytest.mark.parametrize(("hours", "tries"), [(24, range(30, 70)), (24 * 11, range(40, 81))])
def test_what_refuses_a_surplus_for_a_day_is_asked_once_a_day(hours: int, tries: range) -> None:
    story = Story().cancel()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_9", amount_minor=PRICE, currency="USD")
    pauses = asked_whenever_due(story, timedelta(hours=hours), Kind.REJECTED)
    assert len(pauses) in tries
    assert story.row.ordinal == len(pauses) + 1
    assert story.claimed().outcome(Kind.REFUNDED).row.operation is None


def test_a_partial_refund_made_elsewhere_is_not_taken_for_ours() -> None:
    story = captured().refund()
    story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_1", amount_minor=1, currency="USD")
    assert story.last is None


def test_a_psp_gives_no_wallets_money_back() -> None:
    story = Story(wallet_minor=PRICE).capture(method="purse").wallet()
    story.fact(Kind.REFUNDED, gateway="sandbox", reference="re_1", amount_minor=PRICE, currency="USD")
    assert (story.last, story.row.state) == (None, State.CAPTURED)


def test_a_refund_made_elsewhere_is_a_fact_where_it_is_whole() -> None:
    story = captured()
    story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_1", amount_minor=PRICE, currency="USD")
    assert story.row.state is State.REFUNDED
    assert len(story.heard(PaymentRefunded)) == 1
    assert balances(story.transfers)["held"] == 0


def test_a_refund_that_comes_back_is_held_again_and_opens_a_case() -> None:
    story = captured().refund().outcome(Kind.REFUNDED, reference="re_1")
    for _ in range(2):
        story.fact(Kind.REFUND_RETURNED, gateway="sandbox", object_reference="pi_1", reference="re_1")
    assert story.row.state is State.REFUNDED
    assert [answer.reason for answer in story.heard(RefundRejected)] == ["refund_returned"]
    assert balances(story.transfers) == {"held": PRICE, "psp:sandbox": -PRICE}


def test_a_refund_that_never_was_made_brings_nothing_back_when_it_is_told_late() -> None:
    story = captured().refund().outcome(Kind.FAILED, reference="re_1").refund(2)
    story.outcome(Kind.REFUNDED, reference="re_2")
    story.fact(Kind.REFUND_RETURNED, gateway="sandbox", object_reference="pi_1", reference="re_1")
    assert story.last is None
    assert balances(story.transfers)["held"] == 0


def test_a_dispute_is_said_once_and_takes_the_money_from_where_it_is() -> None:
    story = captured()
    for _ in range(2):
        story.fact(Kind.DISPUTED, gateway="sandbox", reference="pi_1", code="chargeback")
    assert len(story.heard(PaymentDisputed)) == 1
    assert balances(story.transfers)["disputed"] == PRICE
    assert balances(story.transfers)["held"] == 0
