"""Operators find that an open capture took nothing: their word decides, the PSP's object may know better."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from services.payment.domain.calls import tried_for
from services.payment.domain.outcome import Kind
from services.payment.domain.payment import CallStatus, Decision, Operation, State
from shared.contracts.payments import PaymentCancelled, PaymentCaptured, SurplusRefunded
from tests.unit.payment.story import PRICE, Story, capturing


def called_off_unknown() -> Story:
    """A capture without an answer, whose object is being cancelled because the customer wants it."""
    return capturing().outcome(Kind.UNKNOWN).cancel()


def called_off_in_flight() -> Story:
    """A capture that somebody is sending, and that the customer does not want any more."""
    return capturing().cancel()


@pytest.mark.parametrize("called_off", [called_off_unknown, called_off_in_flight])
def test_what_operators_found_decides_and_the_object_is_cancelled_all_the_same(
    called_off: Callable[[], Story],
) -> None:
    story = called_off().resolve("not_captured")
    [answer] = story.heard(PaymentCancelled)
    assert (answer.unresolved, answer.reason) == (False, "customer_cancelled")
    row = story.row
    assert (row.state, row.decision, row.operation) == (State.CANCELLED, Decision.CANCELLED, Operation.VOID)
    assert (row.provider_reference, row.due_at, row.call_status) == ("pi_1", story.now, CallStatus.SENDING)
    assert row.resolve_before == story.now + story.patience.resolution
    assert story.attempts[row.ordinal].operation is Operation.VOID
    story.outcome(Kind.VOIDED)
    assert (story.row.operation, story.row.due_at) == (None, None), "nothing is left to ask"
    assert story.heard(PaymentCancelled) == [answer], "and nothing new to say"


def test_a_call_that_operators_settled_while_it_was_in_flight_is_followed_by_one_that_is_made_now() -> None:
    story = called_off_in_flight().resolve("not_captured")
    assert story.last is not None
    assert (story.last.begins, story.row.ordinal) == (True, 2)


def test_an_object_that_is_being_cancelled_when_operators_speak_goes_on_being_cancelled() -> None:
    story = called_off_unknown().claimed()
    under_way = (story.row.operation, story.row.ordinal, story.row.claim, story.row.due_at)
    story.resolve("not_captured")
    row = story.row
    assert (row.operation, row.ordinal, row.claim, row.due_at) == under_way
    assert story.last is not None
    assert not story.last.begins


@pytest.mark.parametrize("called_off", [called_off_unknown, called_off_in_flight])
def test_money_that_the_object_takes_after_operators_said_it_took_none_goes_back(
    called_off: Callable[[], Story],
) -> None:
    story = called_off().resolve("not_captured").outcome(Kind.FAILED, code="processing")
    assert story.row.operation is Operation.VOID
    story.outcome(Kind.CAPTURED)
    assert (story.row.operation, len(story.row.surplus)) == (Operation.SURPLUS, 1)
    story.outcome(Kind.REFUNDED)
    assert [said.amount_minor for said in story.heard(SurplusRefunded)] == [PRICE]
    assert story.heard(PaymentCaptured) == []
    assert len(story.heard(PaymentCancelled)) == 1


def test_where_nothing_can_be_called_off_the_call_that_operators_settled_goes_on() -> None:
    story = called_off_in_flight()
    story.row.gateway = story.row.reference_gateway = "of nobody"
    story.resolve("not_captured")
    assert (story.row.decision, story.row.operation) == (Decision.CANCELLED, Operation.CAPTURE)
    assert story.row.due_at is not None


def test_what_operators_found_twice_is_said_again_as_it_was() -> None:
    story = called_off_unknown().resolve("not_captured").resolve("not_captured")
    first, again = story.heard(PaymentCancelled)
    assert first == again
    assert story.row.operation is Operation.VOID


def test_an_attempt_that_operators_settled_leaves_its_object_to_what_follows() -> None:
    failed = capturing().outcome(Kind.UNKNOWN).resolve("not_captured")
    assert (failed.row.operation, failed.row.provider_reference, failed.row.objects) == (None, "pi_1", 0)
    settled = failed.row
    failed.capture(2)
    assert (failed.row.operation, failed.row.provider_reference) == (Operation.CAPTURE, "pi_1"), "the same"
    assert failed.row.ordinal == settled.ordinal + 1, "under another key"
    cancelled = capturing().outcome(Kind.UNKNOWN).resolve("not_captured").cancel()
    assert (cancelled.row.operation, cancelled.heard(PaymentCancelled)) == (Operation.VOID, [])


def test_what_was_called_off_and_never_learned_is_found_out_under_its_own_reason() -> None:
    story = capturing().cancel()
    for _ in range(2):
        story.later(seconds=121).outcome(Kind.UNKNOWN)
    story.resolve("not_captured")
    said = [(answer.unresolved, answer.reason) for answer in story.heard(PaymentCancelled)]
    assert said == [(True, "customer_cancelled"), (False, "customer_cancelled")]


def test_what_only_waits_for_its_gateway_has_not_been_tried() -> None:
    story = capturing().later(seconds=30)
    assert tried_for(story.row, story.now, story.patience) == timedelta(seconds=30)
    assert tried_for(replace(story.row, resolve_before=None), story.now, story.patience) == timedelta()


@pytest.mark.parametrize(("early", "is_seldom"), [(timedelta(microseconds=1), False), (timedelta(), True)])
def test_from_its_deadline_on_the_psp_is_asked_seldom_about_what_operators_settled(
    early: timedelta, is_seldom: bool
) -> None:
    story = called_off_unknown().resolve("not_captured").claimed()
    assert story.row.resolve_before is not None
    story.later(seconds=(story.row.resolve_before - story.now - early).total_seconds())
    story.outcome(Kind.FAILED, code="processing")
    assert story.row.due_at is not None
    assert (story.row.due_at - story.now > story.patience.longest_pause) is is_seldom
