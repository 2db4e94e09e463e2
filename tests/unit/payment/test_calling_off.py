"""A capture that is called off: because somebody wants it, or because its outcome cannot be learned."""

from datetime import timedelta

import pytest

from services.payment.domain.calls import spread
from services.payment.domain.outcome import OBJECT_GONE, Kind
from services.payment.domain.payment import LONG_PAST, CallStatus, Decision, Operation, State, object_key
from shared.contracts.payments import PaymentAttemptFailed, PaymentCancelled, PaymentCaptured
from tests.unit.payment.story import PRICE, Story, capturing, declined


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


def test_where_even_that_has_no_answer_the_payment_ends_unresolved_until_the_object_is_gone() -> None:
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN).later(seconds=121).outcome(Kind.UNKNOWN)
    [answer] = story.heard(PaymentCancelled)
    assert (answer.unresolved, answer.reason) == (True, "unresolved")
    assert story.row.operation is Operation.VOID
    story.claimed().outcome(Kind.VOIDED)
    assert story.row.operation is None
    unknown, known = story.heard(PaymentCancelled)
    assert (known.unresolved, known.version) == (False, unknown.version + 1), "and nobody has to look into it"


def test_what_was_found_to_have_taken_money_is_not_said_to_have_taken_none() -> None:
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN).later(seconds=121).outcome(Kind.UNKNOWN)
    story.resolve("captured")
    said = len(story.said)
    story.outcome(Kind.VOIDED)
    assert len(story.said) == said


def test_what_was_said_to_be_unresolved_is_called_off_seldom_however_the_psp_refuses() -> None:
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN).later(seconds=121).outcome(Kind.UNKNOWN)
    story.claimed().outcome(Kind.FAILED)
    assert story.row.due_at is not None
    pause = story.row.due_at - story.now
    assert story.patience.longest_pause < pause <= story.patience.questions.longest


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


def test_a_capture_that_was_never_confirmed_is_looked_at_again_and_not_called_off() -> None:
    story = Story().priced().outcome(Kind.UNKNOWN, code="http_500")
    assert (story.row.operation, story.row.provider_reference) == (Operation.CAPTURE, None)
    assert story.row.due_at == story.now + timedelta(seconds=1) * spread(story.row)
    assert (story.attempts[1].status, story.attempts[1].code) == (CallStatus.UNKNOWN, "http_500")


def test_where_nothing_can_be_called_off_an_unresolved_capture_ends_when_its_object_is_gone() -> None:
    story = capturing()
    story.row.gateway = story.row.reference_gateway = "of nobody"
    story.later(seconds=121).outcome(Kind.UNKNOWN)
    assert (story.row.decision, story.row.operation) == (Decision.CANCELLED, Operation.CAPTURE)
    story.outcome(Kind.FAILED, code=OBJECT_GONE)
    assert (story.row.state, story.row.operation, story.row.due_at) == (State.CANCELLED, None, None)
    assert (story.attempts[1].status, story.attempts[1].code) == (CallStatus.FAILED, OBJECT_GONE)
    assert [said.unresolved for said in story.heard(PaymentCancelled)] == [True]


def gone(story: Story) -> Story:
    """The PSP tells that the object can never take money."""
    return story.fact(Kind.VOIDED, gateway="sandbox", reference="pi_1", amount_minor=PRICE, currency="USD")


def test_that_an_object_is_gone_is_news_where_it_is_being_called_off_and_nowhere_else() -> None:
    assert gone(capturing()).last is None, "cancelled by somebody else: the call under way learns it"
    story = gone(capturing().cancel())
    assert [answer.reason for answer in story.heard(PaymentCancelled)] == ["customer_cancelled"]
    version = story.row.version
    assert gone(story).last is None
    assert (story.row.version, story.row.operation) == (version, None), "told again it adds nothing"
