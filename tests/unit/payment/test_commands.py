"""What commands do to a payment, cell by cell."""

import pytest

from services.payment.domain.outcome import Kind
from services.payment.domain.payment import CallStatus, Decision, Operation, State
from shared.contracts.payments import (
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    RefundAttemptFailed,
    SurplusRefunded,
)
from tests.unit.payment.story import PRICE, TERMS, Story, captured, capturing, declined, moved


def test_a_price_begins_the_capture_with_the_first_method() -> None:
    story = Story().priced()
    assert (story.row.state, story.row.operation, story.row.attempt) == (
        State.CAPTURING,
        Operation.CAPTURE,
        1,
    )
    assert (story.row.payment_method_id, story.row.gateway, story.row.ordinal) == ("card-1", "sandbox", 1)
    assert story.attempts[1].status is CallStatus.SENDING
    assert story.last is not None
    assert story.last.begins
    assert story.said == []


def test_price_and_first_command_give_the_same_row_and_key() -> None:
    by_price, by_command = Story().priced(), Story().capture(1)
    assert by_price.row == by_command.row
    assert by_price.attempts[1].key == by_command.attempts[1].key


@pytest.mark.parametrize("attempt", [1, 2, 7])
def test_nothing_is_accepted_while_a_call_is_under_way(attempt: int) -> None:
    story = capturing().capture(attempt, "card-2")
    assert story.last is None


def test_a_lower_attempt_is_ignored() -> None:
    story = declined().capture(2).created().outcome(Kind.DECLINED)
    assert story.capture(1).last is None
    assert story.priced().last is None


def test_the_same_attempt_gets_the_same_answer() -> None:
    story = declined().capture(1, "card-2").priced()
    first, *others = story.heard(PaymentDeclined)
    assert others == [first, first]
    assert len({message.event_id for message in story.said}) == 1


def test_the_next_attempt_is_another_call_on_the_same_object() -> None:
    story = declined().capture(2, "card-2")
    assert (story.row.state, story.row.attempt, story.row.ordinal) == (State.CAPTURING, 2, 2)
    assert story.row.provider_reference == "pi_1"
    assert story.attempts[1].key != story.attempts[2].key
    assert story.attempts[1].status is CallStatus.DECLINED


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("stolen", "method_not_of_payer"),
        ("gone", "method_removed"),
        ("old", "method_expired"),
        ("nobody", "method_unknown"),
    ],
)
def test_a_method_that_may_not_pay_is_declined_before_any_call(method: str, code: str) -> None:
    story = Story().capture(1, method)
    [answer] = story.heard(PaymentDeclined)
    assert (answer.decline_code, answer.decline_class, answer.payment_method_id) == (code, "hard", method)
    assert story.attempts == {}
    assert story.capture(2, "card-1").row.state is State.CAPTURING


def test_terms_without_a_method_need_the_customer() -> None:
    story = Story(terms=TERMS.model_copy(update={"payment_method_ids": ()})).priced()
    [answer] = story.heard(PaymentDeclined)
    assert (answer.decline_code, answer.decline_class) == ("no_payment_method", "needs_customer")


def test_more_than_the_payer_agreed_to_is_never_taken() -> None:
    story = Story(amount_minor=PRICE + 1).priced()
    assert [answer.decline_code for answer in story.heard(PaymentDeclined)] == ["above_terms"]
    assert story.attempts == {}


def test_a_price_of_nothing_is_captured_at_once() -> None:
    story = Story(amount_minor=0).priced()
    assert story.row.decision is Decision.CAPTURED
    [answer] = story.heard(PaymentCaptured)
    assert answer.version == story.row.version
    assert story.transfers == {}
    assert story.attempts == {}


def test_a_late_price_is_held_until_a_timely_command_of_the_same_attempt() -> None:
    story = Story().priced(late=True)
    assert (story.row.state, story.row.operation) == (State.HELD, None)
    assert story.priced(late=True).last is None
    assert story.capture(1).row.state is State.CAPTURING


def test_a_late_next_attempt_is_held_and_its_predecessor_does_not_come_back() -> None:
    story = declined().capture(2, "card-2", late=True)
    assert (story.row.state, story.row.attempt) == (State.HELD, 2)
    assert story.capture(1).last is None
    assert story.capture(2, "card-2").row.state is State.CAPTURING


def test_a_cancellation_without_a_row_leaves_a_tombstone_that_answers_everything() -> None:
    story = Story().cancel().priced().capture(3).cancel()
    [first, *others] = story.heard(PaymentCancelled)
    assert others == [first] * 3
    assert story.row.state is State.CANCELLED
    assert story.attempts == {}


def test_a_late_cancellation_decides_nothing() -> None:
    assert Story().cancel(late=True).payment is None
    assert declined().cancel(late=True).last is None


def test_a_cancellation_of_a_held_price_needs_no_call() -> None:
    story = Story().priced(late=True).cancel()
    assert story.heard(PaymentCancelled)
    assert story.attempts == {}


def test_a_cancellation_before_the_object_exists_needs_no_call() -> None:
    story = Story().priced().cancel()
    assert story.heard(PaymentCancelled)
    assert story.row.operation is None
    assert story.attempts[1].status is CallStatus.FAILED


def test_a_cancellation_while_the_call_is_being_sent_waits() -> None:
    story = capturing().cancel()
    assert story.said == []
    assert (story.row.cancel_wanted, story.row.operation) == ("customer_cancelled", Operation.CAPTURE)
    assert story.cancel().last is None


@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "unknown"])
def test_a_cancellation_otherwise_cancels_the_object_first(is_refused: bool) -> None:
    story = declined() if is_refused else capturing().outcome(Kind.UNKNOWN)
    story.cancel()
    assert (story.row.state, story.row.operation) == (State.CANCELLING, Operation.VOID)
    assert story.heard(PaymentCancelled) == []
    story.outcome(Kind.VOIDED)
    [answer] = story.heard(PaymentCancelled)
    assert answer.unresolved is False


def test_after_a_capture_every_command_hears_of_it_again() -> None:
    story = captured().priced().capture(2).cancel()
    assert len(story.said) == 4
    assert len({message.event_id for message in story.said}) == 1
    assert len(set(map(str, story.said))) == 1


@pytest.mark.parametrize(
    "story", [Story(), Story().cancel(), capturing(), declined(), Story().priced(late=True)]
)
def test_a_refund_of_what_was_never_captured_is_ignored(story: Story) -> None:
    assert story.refund().last is None


def test_a_refund_is_one_call_and_its_answer_is_repeated() -> None:
    story = captured().refund()
    assert (story.row.state, story.row.operation) == (State.REFUNDING, Operation.REFUND)
    assert story.refund().last is None
    assert story.refund(2).last is None
    story.outcome(Kind.REFUNDED).refund().refund(2)
    first, *others = story.heard(PaymentRefunded)
    assert others == [first, first]


def test_a_late_refund_starts_nothing() -> None:
    assert captured().refund(late=True).last is None


def test_after_a_failed_refund_only_the_next_attempt_begins_another() -> None:
    story = captured().refund().outcome(Kind.FAILED, code="expired_or_canceled_card")
    story.refund(1)
    first, again = story.heard(RefundAttemptFailed)
    assert first == again
    story.refund(2)
    assert (story.row.state, story.row.refund_attempt) == (State.REFUNDING, 2)
    keys = [attempt.key for attempt in story.attempts.values() if attempt.operation is Operation.REFUND]
    assert len(set(keys)) == 2


def test_a_capture_repeated_while_it_is_refunded_still_says_captured() -> None:
    story = captured().refund().capture(1)
    assert story.heard(PaymentCaptured)[0] == story.heard(PaymentCaptured)[1]


def test_an_operator_settles_an_unknown_capture_either_way() -> None:
    unknown = capturing().outcome(Kind.UNKNOWN)
    assert unknown.resolve("captured").row.decision is Decision.CAPTURED
    story = capturing().outcome(Kind.UNKNOWN).resolve("not_captured")
    assert story.row.state is State.REFUSED
    wanted = capturing().outcome(Kind.UNKNOWN).cancel().resolve("not_captured")
    assert wanted.heard(PaymentCancelled)


def test_an_operator_cannot_undo_a_decision() -> None:
    story = Story().cancel().resolve("captured")
    assert story.heard(PaymentCaptured) == []
    assert captured().resolve("not_captured").row.decision is Decision.CAPTURED
    assert captured().resolve("refunded").heard(PaymentRefunded) == []


def unresolved() -> Story:
    """Ended, because nobody could say in time whether the card was charged."""
    return capturing().later(seconds=121).outcome(Kind.UNKNOWN).later(seconds=121).outcome(Kind.UNKNOWN)


def test_money_that_an_operator_finds_after_the_end_is_booked_and_sent_back() -> None:
    story = unresolved().resolve("captured")
    [found] = story.row.surplus
    assert (found.reference, found.amount_minor, found.settled) == ("pi_1", PRICE, False)
    assert (story.row.operation, story.row.decision) == (Operation.SURPLUS, Decision.CANCELLED)
    assert story.heard(PaymentCaptured) == [], "no renewal may keep it"
    assert story.attempts[1].status is CallStatus.SUCCEEDED
    story.outcome(Kind.REFUNDED)
    assert [said.amount_minor for said in story.heard(SurplusRefunded)] == [PRICE]
    assert moved(story.transfers, "surplus_found") == moved(story.transfers, "surplus_refund") == PRICE


def test_found_twice_or_told_by_the_psp_too_it_is_sent_back_once() -> None:
    story = unresolved().resolve("captured").resolve("captured")
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_1", amount_minor=PRICE, currency="USD")
    assert len(story.row.surplus) == 1
    version = story.row.version
    story.resolve("not_captured")
    assert story.row.version == version, "money was found there: that it was not taken is out of the question"


def test_that_nothing_was_taken_after_all_is_said_again_and_the_psp_asked_on() -> None:
    story = unresolved().resolve("not_captured")
    first, again = story.heard(PaymentCancelled)
    assert (first.unresolved, again.unresolved) == (True, False)
    assert (again.reason, again.version > first.version) == (first.reason, True)
    assert story.row.operation is Operation.VOID
    assert story.resolve("not_captured").heard(PaymentCancelled)[2:] == [again], (
        "it is an answer as any other"
    )
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_1", amount_minor=PRICE, currency="USD")
    assert len(story.row.surplus) == 1, "the PSP knows better"


def test_an_operator_who_refunds_a_wallet_by_hand_puts_the_money_back() -> None:
    story = Story(wallet_minor=PRICE).capture(1, "purse").wallet().refund()
    story.resolve("refunded")
    assert story.wallet_minor == PRICE


def test_an_operator_who_finds_the_card_charged_does_not_charge_the_wallet_that_was_to_follow() -> None:
    story = declined()
    story.wallet_minor = PRICE
    story.capture(2, "purse").outcome(Kind.UNKNOWN).resolve("captured")
    assert (story.wallet_minor, story.row.gateway) == (PRICE, "sandbox")
