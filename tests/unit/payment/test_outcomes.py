"""What answers, webhooks and polls do to a payment."""

import pytest

from services.payment.domain.calls import NOTHING_FOUND, call_of
from services.payment.domain.outcome import OBJECT_GONE, Kind
from services.payment.domain.payment import (
    LONG_PAST,
    CallStatus,
    Decision,
    Operation,
    State,
    object_key,
)
from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    RefundAttemptFailed,
    RefundRejected,
    SurplusRefunded,
)
from tests.unit.payment.story import PRICE, RENEWAL, Story, balances, moved
from tests.unit.payment.test_commands import captured, capturing, declined

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


def test_past_the_deadline_the_object_is_cancelled_and_the_attempt_failed() -> None:
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN)
    assert (story.row.state, story.row.operation) == (State.CAPTURING, Operation.VOID)
    story.outcome(Kind.VOIDED)
    [answer] = story.heard(PaymentAttemptFailed)
    assert answer.reason == "no_answer"
    assert (story.row.provider_reference, story.row.objects) == (None, 1)
    assert story.attempts[1].status is CallStatus.FAILED


def test_the_next_attempt_after_a_cancelled_object_makes_another_under_another_key() -> None:
    first = Story().priced().row
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN).outcome(Kind.VOIDED).capture(2)
    keys = [object_key("sandbox", row.renewal_id, row.objects) for row in (first, story.row)]
    assert keys[0] != keys[1]


def test_where_even_that_has_no_answer_the_payment_ends_unresolved_and_is_asked_about_further() -> None:
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN).later(seconds=121).outcome(Kind.UNKNOWN)
    [answer] = story.heard(PaymentCancelled)
    assert (answer.unresolved, answer.reason) == (True, "unresolved")
    assert story.row.operation is Operation.VOID
    story.claimed().outcome(Kind.VOIDED)
    assert story.row.operation is None
    assert len(story.said) == 1


def test_money_found_after_an_unresolved_end_goes_back() -> None:
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN).later(seconds=121).outcome(Kind.UNKNOWN)
    story.outcome(Kind.CAPTURED)
    assert (story.row.operation, story.row.decision) == (Operation.SURPLUS, Decision.CANCELLED)
    assert balances(story.transfers) == {"surplus": PRICE, "psp:sandbox": -PRICE}
    story.outcome(Kind.REFUNDED)
    [answer] = story.heard(SurplusRefunded)
    assert (answer.ordinal, answer.amount_minor) == (1, PRICE)
    assert set(balances(story.transfers).values()) == {0}
    assert story.heard(PaymentCaptured) == []


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


def test_an_object_cancelled_by_somebody_else_is_replaced() -> None:
    story = capturing().outcome(Kind.FAILED, code=OBJECT_GONE).capture(2)
    assert (story.row.provider_reference, story.row.objects) == (None, 1)


@pytest.mark.parametrize("kind", [Kind.DECLINED, Kind.FAILED, Kind.UNKNOWN, Kind.NOT_SENT])
def test_a_wanted_cancellation_cancels_the_object_whatever_the_call_says(kind: Kind) -> None:
    story = capturing().cancel().outcome(kind)
    assert (story.row.state, story.row.operation) == (State.CANCELLING, Operation.VOID)
    assert story.outcome(Kind.VOIDED).heard(PaymentCancelled)


def test_a_capture_that_beats_a_wanted_cancellation_starts_nothing_any_more() -> None:
    story = capturing().cancel().outcome(Kind.CAPTURED)
    [answer] = story.heard(PaymentCaptured)
    assert answer.act_before == LONG_PAST
    again = story.cancel().heard(PaymentCaptured)
    assert again == [answer, answer]


def test_a_cancellation_that_finds_the_object_captured_says_so() -> None:
    story = declined().cancel().outcome(Kind.CAPTURED)
    assert [answer.act_before for answer in story.heard(PaymentCaptured)] == [LONG_PAST]
    assert story.heard(PaymentCancelled) == []


def test_a_void_that_was_refused_is_tried_again_under_another_key() -> None:
    story = declined().cancel()
    first = story.row.ordinal
    story.outcome(Kind.FAILED, code="processing")
    assert story.row.ordinal == first + 1
    assert story.row.due_at is not None
    assert story.row.due_at > story.now
    assert story.attempts[first].key != story.attempts[first + 1].key


def test_a_void_without_an_answer_is_tried_again_under_the_same_key() -> None:
    story = declined().cancel()
    first = story.row.ordinal
    assert story.outcome(Kind.UNKNOWN).row.ordinal == first


def test_nothing_was_sent_for_too_long_is_a_failure_that_spends_no_budget() -> None:
    story = Story().priced().later(seconds=121).outcome(Kind.NOT_SENT)
    [answer] = story.heard(PaymentAttemptFailed)
    assert (answer.reason, answer.reached_provider) == ("not_sent", False)


def test_money_beside_another_capture_goes_back_once_per_object() -> None:
    story = captured()
    for _ in range(2):
        story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    assert moved(story.transfers, "surplus_found") == 900
    assert story.row.operation is Operation.SURPLUS
    story.outcome(Kind.REFUNDED)
    assert [answer.amount_minor for answer in story.heard(SurplusRefunded)] == [900]
    assert balances(story.transfers)["held"] == PRICE


def test_surplus_found_during_a_refund_waits_its_turn() -> None:
    story = captured().refund()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    calls = [story.row.operation]
    for _ in range(2):
        story.outcome(Kind.REFUNDED)
        calls.append(story.row.operation)
    assert calls == [Operation.REFUND, Operation.SURPLUS, None]
    assert [type(message) for message in story.said[1:]] == [PaymentRefunded, SurplusRefunded]


def test_a_surplus_that_cannot_be_sent_back_is_tried_until_it_can() -> None:
    story = Story().cancel()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_9", amount_minor=PRICE, currency="USD")
    first = story.row.ordinal
    story.outcome(Kind.FAILED)
    assert (story.row.operation, story.row.ordinal) == (Operation.SURPLUS, first + 1)
    story.outcome(Kind.UNKNOWN)
    assert story.row.ordinal == first + 1
    assert story.outcome(Kind.REFUNDED).heard(SurplusRefunded)


def test_a_refund_failed_or_rejected_is_said_with_its_attempt() -> None:
    story = captured().refund().outcome(Kind.FAILED, code="expired_or_canceled_card")
    assert [answer.attempt for answer in story.heard(RefundAttemptFailed)] == [1]
    story.refund(2).outcome(Kind.REJECTED, code="charge_disputed")
    assert [(answer.attempt, answer.reason) for answer in story.heard(RefundRejected)] == [
        (2, "charge_disputed")
    ]
    assert balances(story.transfers)["held"] == PRICE


def test_a_refund_unknown_past_the_deadline_is_rejected_once_and_may_still_be_found() -> None:
    story = captured().refund().later(seconds=121)
    story.outcome(Kind.UNKNOWN).outcome(Kind.UNKNOWN)
    assert [answer.reason for answer in story.heard(RefundRejected)] == ["unknown"]
    story.outcome(Kind.REFUNDED)
    assert len(story.heard(PaymentRefunded)) == 1
    assert balances(story.transfers)["held"] == 0


def test_a_partial_refund_made_elsewhere_is_not_taken_for_ours() -> None:
    story = captured().refund()
    story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_1", amount_minor=1, currency="USD")
    assert story.last is None


def test_a_refund_made_elsewhere_is_a_fact_where_it_is_whole() -> None:
    story = captured()
    story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_1", amount_minor=PRICE, currency="USD")
    assert story.row.state is State.REFUNDED
    assert len(story.heard(PaymentRefunded)) == 1
    assert balances(story.transfers)["held"] == 0


def test_a_refund_found_while_a_surplus_goes_back_does_not_send_the_surplus_twice() -> None:
    story = captured()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    surplus_call = (story.row.operation, story.row.ordinal)
    story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_1", amount_minor=PRICE, currency="USD")
    assert (story.row.operation, story.row.ordinal) == surplus_call
    story.outcome(Kind.REFUNDED)
    assert set(balances(story.transfers).values()) == {0}


def test_a_refund_that_comes_back_is_held_again_and_opens_a_case() -> None:
    story = captured().refund().outcome(Kind.REFUNDED)
    for _ in range(2):
        story.fact(Kind.REFUND_RETURNED, gateway="sandbox", object_reference="pi_1")
    assert story.row.state is State.REFUNDED
    assert [answer.reason for answer in story.heard(RefundRejected)] == ["refund_returned"]
    assert balances(story.transfers) == {"held": PRICE, "psp:sandbox": -PRICE}


def test_a_dispute_is_said_once_and_takes_the_money_from_where_it_is() -> None:
    story = captured()
    for _ in range(2):
        story.fact(Kind.DISPUTED, gateway="sandbox", reference="pi_1", code="chargeback")
    assert len(story.heard(PaymentDisputed)) == 1
    assert balances(story.transfers)["disputed"] == PRICE
    assert balances(story.transfers)["held"] == 0


@pytest.mark.parametrize(
    ("balance", "code"), [(None, "wallet_unknown"), (PRICE - 1, "wallet_balance_too_low")]
)
def test_a_wallet_without_enough_pays_nothing(balance: int | None, code: str) -> None:
    story = Story(wallet_minor=balance).capture(1, "purse").wallet()
    assert [answer.decline_code for answer in story.heard(PaymentDeclined)] == [code]
    assert (story.wallet_minor, story.transfers) == (balance, {})


def test_a_wallet_pays_once_and_is_paid_back_once() -> None:
    story = Story(wallet_minor=PRICE).capture(1, "purse").wallet().wallet()
    assert story.wallet_minor == 0
    assert len(story.heard(PaymentCaptured)) == 1
    story.refund().wallet().wallet()
    assert story.wallet_minor == PRICE
    assert set(balances(story.transfers).values()) == {0}


def test_a_wallet_is_not_charged_after_the_cancellation() -> None:
    story = Story(wallet_minor=PRICE).capture(1, "purse").cancel()
    assert story.heard(PaymentCancelled)
    assert story.wallet(operation=Operation.CAPTURE, ordinal=1).last is None
    assert story.wallet_minor == PRICE


def test_a_wallet_pays_only_once_the_card_before_it_can_no_longer() -> None:
    story = declined()
    story.wallet_minor = PRICE
    story.capture(2, "purse")
    assert (story.row.operation, story.row.state) == (Operation.VOID, State.CAPTURING)
    story.outcome(Kind.VOIDED, gateway="sandbox")
    assert (story.row.operation, story.row.gateway) == (Operation.CAPTURE, "wallet")
    story.wallet()
    assert story.wallet_minor == 0
    assert balances(story.transfers) == {"held": PRICE, "wallet:payer-1": -PRICE}


def test_a_card_that_was_charged_after_all_pays_instead_of_the_wallet() -> None:
    story = declined()
    story.wallet_minor = PRICE
    story.capture(2, "purse").outcome(Kind.CAPTURED, gateway="sandbox")
    assert story.wallet_minor == PRICE
    assert story.row.gateway == "sandbox"
    assert len(story.heard(PaymentCaptured)) == 1


def test_a_surplus_that_waited_for_a_wallets_refund_goes_back_after_it() -> None:
    story = Story(wallet_minor=PRICE).capture(1, "purse").wallet().refund()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    story.wallet()
    assert (story.wallet_minor, story.row.operation) == (PRICE, Operation.SURPLUS)
    story.outcome(Kind.REFUNDED)
    assert [answer.amount_minor for answer in story.heard(SurplusRefunded)] == [900]


def test_of_a_surplus_partly_refunded_by_hand_the_rest_goes_back_and_the_whole_is_said_once() -> None:
    story = captured()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    first = story.row.ordinal
    for _ in range(2):
        story.fact(
            Kind.REFUNDED, gateway="sandbox", reference="re_hand", object_reference="pi_2", amount_minor=300
        )
    assert story.heard(SurplusRefunded) == []
    assert balances(story.transfers)["surplus"] == 600
    assert story.attempts[first].status is CallStatus.FAILED
    assert (story.row.operation, story.row.ordinal) == (Operation.SURPLUS, first + 1)
    assert call_of(story.row, RENEWAL, None, 0.0).amount_minor == 600

    story.outcome(Kind.REFUNDED)
    assert [answer.amount_minor for answer in story.heard(SurplusRefunded)] == [900]
    assert (story.row.operation, balances(story.transfers)["surplus"]) == (None, 0)


def test_a_surplus_refunded_by_hand_while_another_goes_back_is_not_asked_for_again() -> None:
    story = captured()
    for reference in ("pi_2", "pi_3"):
        story.fact(Kind.CAPTURED, gateway="sandbox", reference=reference, amount_minor=900, currency="USD")
    under_way = (story.row.operation, story.row.ordinal)
    story.fact(
        Kind.REFUNDED, gateway="sandbox", reference="re_hand", object_reference="pi_3", amount_minor=900
    )
    assert (story.row.operation, story.row.ordinal) == under_way
    story.outcome(Kind.REFUNDED)
    assert story.row.operation is None
    assert [answer.ordinal for answer in story.heard(SurplusRefunded)] == [2, 1]
