"""What answers, webhooks and polls say of a capture: taken, not taken, or unknown for a while."""

import pytest

from services.payment.domain.calls import NOTHING_FOUND
from services.payment.domain.outcome import Kind
from services.payment.domain.payment import CallStatus, Decision, Operation
from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCaptured,
    PaymentDeclined,
)
from tests.unit.payment.story import PRICE, Story, balances, captured, capturing, declined, moved

NEGATIVE = [Kind.DECLINED, Kind.FAILED, Kind.ACTION_REQUIRED, Kind.NOTHING_FOUND, Kind.UNKNOWN, Kind.NOT_SENT]


def test_a_capture_is_said_with_its_deadline_and_entered_in_the_books() -> None:
    story = capturing()
    act_before = story.row.act_before
    story.outcome(Kind.CAPTURED)
    [answer] = story.heard(PaymentCaptured)
    assert (answer.act_before, answer.version) == (act_before, story.row.version)
    assert balances(story.transfers) == {"held": PRICE, "psp:sandbox": -PRICE}
    assert story.attempts[1].status is CallStatus.SUCCEEDED


def test_a_captured_payment_is_due_for_nothing() -> None:
    assert capturing().outcome(Kind.CAPTURED).row.due_at is None


def test_the_same_capture_again_changes_nothing() -> None:
    story = captured()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_1", amount_minor=PRICE, currency="USD")
    assert story.last is None


@pytest.mark.parametrize("kind", NEGATIVE)
@pytest.mark.parametrize("stale", [{"claim": 99}, {"ordinal": 99}, {"operation": Operation.REFUND}])
def test_bad_news_from_any_other_call_is_dropped(kind: Kind, stale: dict[str, object]) -> None:
    assert capturing().outcome(kind, **stale).last is None


@pytest.mark.parametrize("stale", [{"claim": 99}, {"ordinal": 99}, {"claim": None, "operation": None}])
def test_good_news_is_recorded_whoever_brings_it(stale: dict[str, object]) -> None:
    assert capturing().outcome(Kind.CAPTURED, **stale).row.decision is Decision.CAPTURED


def test_a_success_after_a_decline_is_a_capture() -> None:
    story = declined()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_1", amount_minor=PRICE, currency="USD")
    [answer] = story.heard(PaymentCaptured)
    assert answer.version > story.heard(PaymentDeclined)[0].version


def test_a_success_of_the_first_attempt_during_the_second_is_the_one_capture() -> None:
    story = declined().capture(2, "card-2")
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_1", amount_minor=PRICE, currency="USD")
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_1", amount_minor=PRICE, currency="USD")
    assert len(story.heard(PaymentCaptured)) == 1
    assert moved(story.transfers, "surplus_found") == 0


def test_retry_after_and_reached_provider_are_passed_on() -> None:
    story = capturing().outcome(
        Kind.FAILED, code="rate_limited", reached_provider=False, retry_after_seconds=7
    )
    [answer] = story.heard(PaymentAttemptFailed)
    assert (answer.reason, answer.reached_provider, answer.retry_after_seconds) == ("rate_limited", False, 7)


def test_authentication_waits_for_the_customer_and_the_object_stays() -> None:
    story = capturing().outcome(Kind.ACTION_REQUIRED)
    [answer] = story.heard(PaymentActionRequired)
    assert answer.action_before == story.now + story.patience.action
    assert story.capture(2, "card-2").row.provider_reference == "pi_1"


def test_an_unknown_outcome_says_nothing_and_comes_back_after_a_growing_pause() -> None:
    story = capturing()
    pauses = []
    for _ in range(12):
        story.outcome(Kind.UNKNOWN)
        assert story.row.due_at is not None
        pauses.append(story.row.due_at - story.now)
        story.claimed()
    assert story.said == []
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[3]
    assert pauses[-1] <= story.patience.longest_pause
    assert story.row.ordinal == 1


def test_seeing_nothing_keeps_the_key_for_the_next_attempt_with_that_method() -> None:
    story = capturing().outcome(Kind.NOTHING_FOUND)
    [answer] = story.heard(PaymentAttemptFailed)
    assert answer.reason == NOTHING_FOUND
    key = story.attempts[1].key
    story.capture(2, "card-1")
    assert (story.row.ordinal, story.attempts[1].key) == (1, key)


def test_seeing_nothing_does_not_keep_the_key_for_another_method() -> None:
    story = capturing().outcome(Kind.NOTHING_FOUND).capture(2, "card-2")
    assert story.row.ordinal == 2


def test_nothing_was_sent_for_too_long_is_a_failure_that_spends_no_budget() -> None:
    story = Story().priced().later(seconds=121).outcome(Kind.NOT_SENT)
    [answer] = story.heard(PaymentAttemptFailed)
    assert (answer.reason, answer.reached_provider) == ("not_sent", False)
