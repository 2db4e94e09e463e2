"""Commands at the edges: on the very instant, out of turn, of something else."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest

from services.payment.domain.calls import call_of
from services.payment.domain.commands import Circumstances, Command, fold_command
from services.payment.domain.outcome import OBJECT_GONE, Kind
from services.payment.domain.payment import Change, Decision, Operation, Payment, State
from shared.contracts.message import Grant
from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment, ResolvePayment
from shared.contracts.payments import (
    PaymentAttemptFailed,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    RefundRejected,
)
from tests.unit.payment.story import (
    METHODS,
    NOON,
    PRICE,
    RENEWAL,
    TERMS,
    Story,
    captured,
    capturing,
    declined,
)

HEAD: dict[str, Any] = {"renewal_id": RENEWAL, "subscription_id": "sub-1", "version": 1, "terms": TERMS}
BY_NOON = HEAD | {"act_before": NOON}
CAPTURE = CapturePayment(
    **BY_NOON,
    amount_minor=PRICE,
    currency="USD",
    grant=Grant(data_bytes=2**30, validity_seconds=86_400, product_code="cu1"),
    attempt=2,
    payment_method_id="card-2",
)
CANCEL = CancelPayment(**BY_NOON, attempt=3, reason="customer_cancelled")
REFUND = RefundPayment(**BY_NOON, attempt=1, reason="top_up_rejected")
Finding = Literal["captured", "not_captured", "refunded"]
TOO_LATE = NOON + timedelta(microseconds=1)


def told(payment: Payment | None, command: Command, at: datetime = NOON) -> Change | None:
    return fold_command(payment, command, Circumstances(at, METHODS, Story().patience, "00-trace"))


def resolved(payment: Payment, decision: Finding, at: datetime = NOON) -> Change | None:
    return told(payment, ResolvePayment(**BY_NOON, decision=decision, decided_by="olga"), at)


def test_the_first_command_opens_the_row_as_it_says_and_begins_until_the_very_instant() -> None:
    change = told(None, CAPTURE)
    assert change is not None
    assert (change.payment.traceparent, change.payment.attempt, change.begins) == ("00-trace", 2, True)
    held = told(None, CAPTURE, TOO_LATE)
    assert held is not None
    assert (held.payment.state, held.payment.attempt, held.begins) == (State.HELD, 2, False)
    assert (held.payment.payment_method_id, held.payment.gateway) == ("card-2", None)


def test_a_further_attempt_begins_until_the_very_instant() -> None:
    refused = declined().row
    begun, held = told(refused, CAPTURE), told(refused, CAPTURE, TOO_LATE)
    assert begun is not None
    assert begun.begins
    assert held is not None
    assert (held.payment.state, held.payment.attempt, held.begins) == (State.HELD, 2, False)
    again = told(held.payment, CAPTURE, TOO_LATE)
    assert again is None
    later = told(held.payment, CAPTURE.model_copy(update={"attempt": 3}), TOO_LATE)
    assert later is not None
    assert (later.payment.state, later.payment.attempt) == (State.HELD, 3)


def test_a_refund_begins_until_the_very_instant() -> None:
    change = told(captured().row, REFUND)
    assert change is not None
    assert change.begins
    assert told(captured().row, REFUND, TOO_LATE) is None


def test_the_smallest_price_is_paid_and_given_back_like_any_other() -> None:
    story = Story(amount_minor=1).priced().created().outcome(Kind.CAPTURED).refund()
    assert [one.operation for one in story.attempts.values()] == [Operation.CAPTURE, Operation.REFUND]


def test_a_price_of_nothing_is_captured_at_once() -> None:
    story = Story(amount_minor=0).priced()
    assert (story.row.state, story.row.decision) == (State.CAPTURED, Decision.CAPTURED)
    assert (story.attempts, story.transfers) == ({}, {})


def test_a_tombstone_keeps_the_attempt_that_it_was_asked_for() -> None:
    change = told(None, CANCEL)
    assert change is not None
    [said] = change.messages
    assert isinstance(said, PaymentCancelled)
    assert (said.attempt, change.payment.attempt, change.payment.traceparent) == (3, 3, "00-trace")
    assert told(None, CANCEL, TOO_LATE) is None


def test_a_method_that_nobody_knows_is_declined_by_that_name() -> None:
    [said] = Story().capture(method="nowhere").heard(PaymentDeclined)
    assert (said.decline_code, said.payment_method_id) == ("method_unknown", "nowhere")


def test_an_operator_s_finding_counts_until_the_very_instant() -> None:
    unknown = capturing().outcome(Kind.UNKNOWN).row
    change = resolved(unknown, "captured")
    assert change is not None
    assert change.payment.decision is Decision.CAPTURED
    assert resolved(unknown, "captured", TOO_LATE) is None


@pytest.mark.parametrize("finding", ["captured", "not_captured"])
def test_an_operator_s_finding_about_what_is_decided_is_answered_with_the_decision(finding: Finding) -> None:
    story = captured()
    change = resolved(story.row, finding)
    assert change is not None
    assert (change.payment, change.messages) == (story.row, tuple(story.heard(PaymentCaptured)))
    cancelled = Story().cancel()
    change = resolved(cancelled.row, finding)
    assert change is not None
    assert change.messages == tuple(cancelled.heard(PaymentCancelled))


@pytest.mark.parametrize("finding", ["captured", "not_captured", "refunded"])
def test_an_operator_s_finding_about_nothing_changes_nothing(finding: Finding) -> None:
    assert resolved(declined().row, finding) is None


def test_money_taken_at_another_gateway_is_remembered_there() -> None:
    story = capturing().fact(Kind.CAPTURED, gateway="second", reference="pi_9", currency="USD")
    row = story.row
    assert (row.gateway, row.reference_gateway, row.provider_reference) == ("second", "second", "pi_9")


def test_an_object_that_is_gone_is_forgotten_whole() -> None:
    row = capturing().outcome(Kind.FAILED, code=OBJECT_GONE).row
    assert (row.provider_reference, row.reference_gateway, row.objects) == (None, None, 1)


def test_surplus_without_a_name_is_surplus() -> None:
    story = captured().fact(Kind.CAPTURED, gateway="second", amount_minor=5, currency="USD")
    assert [held.reference for held in story.row.surplus] == [""]


def test_a_refund_told_while_a_surplus_goes_back_ends_the_payment() -> None:
    story = captured()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_1", amount_minor=PRICE, currency="USD")
    assert (story.row.state, story.row.operation) == (State.REFUNDED, Operation.SURPLUS)


def test_a_wallet_s_turn_of_another_call_is_no_turn() -> None:
    story = Story(wallet_minor=PRICE).capture(method="purse")
    assert story.wallet(operation=Operation.REFUND).last is None
    assert story.row == replace(story.row, decision=None)


def test_who_cancels_while_the_object_is_called_off_already_is_told_when_it_is() -> None:
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN)
    assert (story.row.operation, story.row.cancel_wanted) == (Operation.VOID, None)
    story.cancel()
    assert (story.row.state, story.row.cancel_wanted) == (State.CANCELLING, "customer_cancelled")
    story.outcome(Kind.VOIDED)
    assert [said.reason for said in story.heard(PaymentCancelled)] == ["customer_cancelled"]


def test_a_price_of_nothing_is_given_back_at_once_and_said_with_its_attempt() -> None:
    story = Story(amount_minor=0).priced().refund(2)
    [said] = story.heard(PaymentRefunded)
    assert (said.attempt, said.amount_minor, story.row.refund_attempt) == (2, 0, 2)
    assert (story.row.state, story.transfers) == (State.REFUNDED, {})


@pytest.mark.parametrize(
    ("code", "seconds", "said"),
    [
        ("pending", 86_399.999, []),
        ("pending", 86_400, ["unknown"]),
        ("cannot_be_asked", 119.999, []),
        ("cannot_be_asked", 120, ["unknown"]),
        ("gateway_not_configured", 120, ["unknown"]),
    ],
)
def test_on_the_instant_of_its_deadline_an_unknown_refund_is_rejected(
    code: str, seconds: float, said: list[str]
) -> None:
    story = captured().refund().later(seconds=seconds).outcome(Kind.UNKNOWN, code=code)
    assert [answer.reason for answer in story.heard(RefundRejected)] == said


def test_what_was_not_found_had_reached_the_provider() -> None:
    [said] = capturing().outcome(Kind.NOTHING_FOUND).heard(PaymentAttemptFailed)
    assert (said.reached_provider, said.retry_after_seconds) == (True, None)


def test_an_object_is_called_off_where_it_is() -> None:
    row = replace(capturing().row, gateway="second", operation=Operation.VOID)
    call = call_of(row, RENEWAL, None, 0.0)
    assert (call.gateway, call.reference) == ("sandbox", "pi_1")
    assert (call.token, call.was_sent, call.is_bulk, call.cancel_wanted) == (None, False, False, False)
    with pytest.raises(ValueError, match="no call is under way"):
        call_of(declined().row, RENEWAL, None, 0.0)
