"""A payer who is to authenticate: asked about ever less often, until they have, cannot, or need not."""

from datetime import timedelta

import pytest

from services.payment.domain.outcome import OBJECT_GONE, Kind
from services.payment.domain.payment import Cadence, CallStatus, Operation, Patience, State
from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
)
from tests.unit.payment.story import Story, capturing


def required() -> Story:
    return capturing().outcome(Kind.ACTION_REQUIRED)


def asked(story: Story, kind: Kind = Kind.ACTION_REQUIRED, **more: object) -> Story:
    """The next question, when it is due, by the worker that claims it; and its answer."""
    assert (story.row.operation, story.row.call_status) == (Operation.ASK, CallStatus.UNKNOWN)
    assert story.row.due_at is not None
    story.now = story.row.due_at
    return story.claimed().outcome(kind, **more)


def test_pauses_of_a_cadence_follow_from_the_time_that_has_passed() -> None:
    cadence = Cadence(timedelta(seconds=15), 2, timedelta(minutes=5))
    passed, pauses = timedelta(), []
    for _ in range(7):
        pauses.append(cadence.pause(passed).total_seconds())
        passed += cadence.pause(passed)
    assert pauses == [15, 30, 60, 120, 240, 300, 300]


def test_a_required_action_is_asked_about_ever_less_often_and_is_said_once() -> None:
    story = required()
    pauses = []
    while story.row.operation is not None:
        assert story.row.due_at is not None
        pauses.append(story.row.due_at - story.now)
        asked(story)
    [said] = story.heard(PaymentActionRequired)
    assert story.now == said.action_before, "the last question is asked when the time to act is over"

    cadence = story.patience.questions
    assert cadence.first / 2 <= pauses[0] <= cadence.first
    assert pauses[:6] == sorted(pauses[:6])
    assert max(pauses) <= cadence.longest
    assert len(pauses) < 2 * story.patience.action / cadence.longest + 10
    assert (story.row.state, story.row.due_at) == (State.REFUSED, None)


@pytest.mark.parametrize("kind", [Kind.UNKNOWN, Kind.NOT_SENT, Kind.ACTION_REQUIRED])
def test_a_question_that_settles_nothing_is_asked_again_and_changes_no_attempt(kind: Kind) -> None:
    story = required()
    attempts, ordinal = dict(story.attempts), story.row.ordinal
    asked(story, kind)
    assert (story.attempts, story.row.ordinal) == (attempts, ordinal)
    assert story.row.operation is Operation.ASK


def test_a_payer_who_has_authenticated_has_paid() -> None:
    story = asked(required(), Kind.CAPTURED)
    [captured] = story.heard(PaymentCaptured)
    assert captured.attempt == 1
    assert (story.row.operation, story.row.due_at) == (None, None)
    assert story.attempts[1].status is CallStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        (Kind.DECLINED, "payment_intent_authentication_failure", "payment_intent_authentication_failure"),
        (Kind.NOTHING_FOUND, "", "authentication_failed"),
        (Kind.FAILED, OBJECT_GONE, "authentication_expired"),
    ],
)
def test_a_payer_who_can_authenticate_no_more_is_asked_for_something_else(
    kind: Kind, code: str, said: str
) -> None:
    story = asked(required(), kind, code=code)
    [declined] = story.heard(PaymentDeclined)
    assert (declined.decline_code, declined.decline_class, declined.attempt) == (said, "needs_customer", 1)
    assert (story.row.state, story.row.operation) == (State.REFUSED, None)


def test_after_an_authentication_that_expired_the_next_attempt_makes_another_object() -> None:
    story = asked(required(), Kind.FAILED, code=OBJECT_GONE).capture(2)
    assert (story.row.provider_reference, story.row.objects) == (None, 1)


def test_the_same_attempt_is_answered_the_same_while_it_is_asked_about() -> None:
    story = asked(required()).capture(1)
    first, again = story.heard(PaymentActionRequired)
    assert first == again
    assert story.row.operation is Operation.ASK


def test_the_next_attempt_takes_the_place_of_the_question() -> None:
    story = required().capture(2, "card-2")
    assert (story.row.operation, story.row.ordinal) == (Operation.CAPTURE, 2)
    story.outcome(Kind.DECLINED, operation=Operation.ASK, ordinal=1)
    assert story.last is None


def test_a_late_next_attempt_ends_the_question_and_begins_nothing() -> None:
    story = required().capture(2, "card-2", late=True)
    assert (story.row.state, story.row.operation, story.row.due_at) == (State.HELD, None, None)


def test_a_cancellation_takes_the_place_of_the_question_and_cancels_the_object() -> None:
    story = required().cancel()
    assert (story.row.state, story.row.operation) == (State.CANCELLING, Operation.VOID)
    assert story.outcome(Kind.VOIDED).heard(PaymentCancelled)


def test_who_cannot_be_asked_is_not() -> None:
    story = Story().priced().created()
    story.row.gateway = story.row.reference_gateway = "of nobody"
    assert story.outcome(Kind.ACTION_REQUIRED).row.operation is None


def test_the_cadence_is_bounded_by_the_time_to_act() -> None:
    story = capturing()
    story.patience = Patience(action=timedelta(seconds=5))
    story.outcome(Kind.ACTION_REQUIRED)
    assert story.row.due_at == story.now + timedelta(seconds=5)
