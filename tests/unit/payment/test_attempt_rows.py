"""What is written of each call: it outlives the decision, and operators and reconciliation read it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.payment.domain.capabilities import GATEWAYS
from services.payment.domain.outcome import OBJECT_GONE, Kind
from services.payment.domain.payment import (
    AttemptRow,
    CallStatus,
    Decision,
    Operation,
    State,
    attempt_row,
    begun_row,
    call_key,
    object_key,
)
from shared.contracts.message import deterministic_id
from tests.unit.payment.story import PRICE, RENEWAL, Story, captured, capturing, declined

CARD = ("card-1", "sandbox")


def row(ordinal: int, operation: Operation, status: CallStatus, **more: str | None) -> AttemptRow:
    """The row of a call with the first card."""
    key = call_key(RENEWAL, operation, "card-1", ordinal)
    return AttemptRow(ordinal, operation, "card-1", "sandbox", key, status, **more)


def test_a_call_is_written_before_it_is_made() -> None:
    story = Story().priced()
    assert story.attempts == {1: row(1, Operation.CAPTURE, CallStatus.SENDING)}


@pytest.mark.parametrize(
    ("kind", "code", "status", "written"),
    [
        (Kind.CAPTURED, "ignored", CallStatus.SUCCEEDED, "captured"),
        (Kind.DECLINED, "lost_card", CallStatus.DECLINED, "lost_card"),
        (Kind.ACTION_REQUIRED, "ignored", CallStatus.DECLINED, "action_required"),
        (Kind.FAILED, "http_400", CallStatus.FAILED, "http_400"),
        (Kind.NOTHING_FOUND, "ignored", CallStatus.FAILED, "nothing_found"),
        (Kind.UNKNOWN, "http_500", CallStatus.UNKNOWN, "http_500"),
    ],
)
def test_what_became_of_a_capture_is_written(kind: Kind, code: str, status: CallStatus, written: str) -> None:
    story = capturing().outcome(kind, code=code)
    reference = "pi_1" if kind is Kind.CAPTURED else None
    expected = row(1, Operation.CAPTURE, status, code=written, reference=reference)
    assert story.attempts == {1: expected}


def test_an_unknown_capture_is_looked_at_again() -> None:
    story = capturing().outcome(Kind.UNKNOWN)
    assert (story.row.call_status, story.row.operation) == (CallStatus.UNKNOWN, Operation.CAPTURE)


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (Kind.REFUNDED, None, CallStatus.SUCCEEDED),
        (Kind.FAILED, "http_400", CallStatus.FAILED),
        (Kind.REJECTED, "charge_disputed", CallStatus.FAILED),
        (Kind.UNKNOWN, "http_500", CallStatus.UNKNOWN),
    ],
)
def test_what_became_of_a_refund_is_written(kind: Kind, code: str | None, status: CallStatus) -> None:
    story = captured().refund().outcome(kind, code=code or "", reference="re_7")
    assert story.attempts[2] == row(2, Operation.REFUND, status, code=code, reference="re_7")
    states = {Kind.FAILED: State.REFUND_FAILED, Kind.REJECTED: State.REFUND_REJECTED}
    states |= {Kind.REFUNDED: State.REFUNDED, Kind.UNKNOWN: State.REFUNDING}
    assert story.row.state is states[kind]


def test_what_became_of_a_surplus_is_written() -> None:
    story = captured()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    assert story.attempts[2] == row(2, Operation.SURPLUS, CallStatus.SENDING)
    story.outcome(Kind.REFUNDED)
    assert story.attempts[2] == row(2, Operation.SURPLUS, CallStatus.SUCCEEDED, reference="re_2")


def test_of_a_surplus_that_was_partly_refunded_the_call_under_way_is_written_off() -> None:
    story = captured()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_2", amount_minor=300, reference="re_x")
    assert story.attempts[2] == row(2, Operation.SURPLUS, CallStatus.FAILED, code="partly_refunded")
    assert story.attempts[3] == row(3, Operation.SURPLUS, CallStatus.SENDING)


def test_a_capture_that_was_called_off_and_had_worked_is_written_as_surplus() -> None:
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN).later(seconds=121).outcome(Kind.UNKNOWN)
    assert story.row.operation is Operation.VOID
    story.outcome(Kind.CAPTURED)
    assert story.attempts[1] == row(
        1, Operation.CAPTURE, CallStatus.SUCCEEDED, code="surplus", reference="pi_1"
    )
    assert story.attempts[3].operation is Operation.SURPLUS


def test_a_void_that_worked_ends_both_calls() -> None:
    story = capturing().outcome(Kind.UNKNOWN).cancel().outcome(Kind.VOIDED)
    assert story.attempts == {
        1: row(1, Operation.CAPTURE, CallStatus.FAILED, code="voided"),
        2: row(2, Operation.VOID, CallStatus.SUCCEEDED),
    }


def test_a_void_that_worked_after_an_unresolved_end_ends_both_calls() -> None:
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN).later(seconds=121).outcome(Kind.UNKNOWN)
    story.outcome(Kind.VOIDED)
    assert (story.row.state, story.row.operation) == (State.CANCELLED, None)
    assert [one.status for one in story.attempts.values()] == [CallStatus.FAILED, CallStatus.SUCCEEDED]


@pytest.mark.parametrize(
    ("kind", "code", "status", "written"),
    [
        (Kind.DECLINED, "lost_card", CallStatus.DECLINED, "lost_card"),
        (Kind.FAILED, "http_400", CallStatus.FAILED, "http_400"),
        (Kind.NOTHING_FOUND, "", CallStatus.FAILED, "nothing_found"),
        (Kind.UNKNOWN, "http_500", CallStatus.UNKNOWN, "http_500"),
    ],
)
def test_a_capture_that_is_not_wanted_any_more_is_written_and_its_object_called_off(
    kind: Kind, code: str, status: CallStatus, written: str
) -> None:
    story = capturing().cancel().outcome(kind, code=code)
    assert story.attempts == {
        1: row(1, Operation.CAPTURE, status, code=written),
        2: row(2, Operation.VOID, CallStatus.SENDING),
    }


def test_where_the_object_is_gone_nothing_is_called_off() -> None:
    story = capturing().cancel().outcome(Kind.FAILED, code=OBJECT_GONE)
    assert (story.row.state, story.row.operation) == (State.CANCELLED, None)
    assert story.row.cancel_wanted == "customer_cancelled"
    assert story.attempts == {1: row(1, Operation.CAPTURE, CallStatus.FAILED, code=OBJECT_GONE)}


@pytest.mark.parametrize(("seconds", "operation"), [(119.999, Operation.CAPTURE), (120, Operation.VOID)])
def test_on_the_instant_of_its_deadline_an_unknown_capture_is_called_off(
    seconds: float, operation: Operation
) -> None:
    story = capturing().later(seconds=seconds).outcome(Kind.UNKNOWN)
    assert story.row.operation is operation


def test_on_the_instant_of_its_deadline_what_was_not_called_off_is_decided_and_written() -> None:
    story = capturing().outcome(Kind.UNKNOWN).cancel().later(seconds=119.999)
    story.outcome(Kind.UNKNOWN, code="http_500")
    assert story.row.decision is None
    story.later(seconds=0.001).outcome(Kind.UNKNOWN, code="http_502", reference="pi_1")
    assert story.row.decision is Decision.CANCELLED
    expected = row(2, Operation.VOID, CallStatus.UNKNOWN, code="http_502", reference="pi_1")
    assert story.attempts[2] == expected


@pytest.mark.parametrize(
    ("kind", "code", "status", "written", "ordinal"),
    [
        (Kind.FAILED, "http_400", CallStatus.FAILED, "http_400", 3),
        (Kind.UNKNOWN, "", CallStatus.UNKNOWN, "unknown", 2),
        (Kind.NOT_SENT, "", CallStatus.UNKNOWN, "not_sent", 2),
    ],
)
def test_a_void_that_did_not_work_is_written_and_tried_again(
    kind: Kind, code: str, status: CallStatus, written: str, ordinal: int
) -> None:
    story = capturing().outcome(Kind.UNKNOWN).cancel().outcome(kind, code=code, reference="pi_1")
    assert story.attempts[2] == row(2, Operation.VOID, status, code=written, reference="pi_1")
    assert (story.row.ordinal, story.row.operation) == (ordinal, Operation.VOID)


def test_where_nothing_can_be_called_off_the_capture_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GATEWAYS, "sandbox", replace(GATEWAYS["sandbox"], can_cancel=False))
    story = capturing().cancel().outcome(Kind.UNKNOWN)
    assert (story.row.operation, story.row.decision) == (Operation.CAPTURE, None)
    story.later(seconds=121).outcome(Kind.UNKNOWN)
    assert (story.row.operation, story.row.decision) == (Operation.CAPTURE, Decision.CANCELLED)


def test_what_is_cancelled_before_it_is_confirmed_is_written_as_cancelled() -> None:
    story = Story().priced().cancel()
    assert story.attempts == {1: row(1, Operation.CAPTURE, CallStatus.FAILED, code="cancelled")}


def test_a_decision_by_an_operator_is_written_as_such() -> None:
    story = capturing().outcome(Kind.UNKNOWN).resolve("captured")
    assert story.attempts[1] == row(
        1, Operation.CAPTURE, CallStatus.SUCCEEDED, code="resolved_by_operator", reference="pi_1"
    )
    story = capturing().outcome(Kind.UNKNOWN).resolve("not_captured")
    assert story.attempts[1] == row(1, Operation.CAPTURE, CallStatus.FAILED, code="resolved_by_operator")


def test_a_wallet_s_calls_are_written_too() -> None:
    story = Story(wallet_minor=PRICE).capture(method="purse").wallet()
    assert (story.attempts[1].status, story.attempts[1].gateway) == (CallStatus.SUCCEEDED, "wallet")
    story.refund().wallet()
    assert (story.attempts[2].status, story.attempts[2].operation) == (CallStatus.SUCCEEDED, Operation.REFUND)


def test_after_a_refund_the_surplus_that_waited_is_begun_and_written() -> None:
    story = captured().refund()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    story.outcome(Kind.REFUNDED)
    assert story.last is not None
    assert story.last.begins
    assert [one.operation for one in story.last.attempts] == [Operation.REFUND, Operation.SURPLUS]


def test_the_keys_are_what_they_have_always_been() -> None:
    """A key that changes with a deployment is another call at the gateway."""
    assert object_key("sandbox", RENEWAL, 2) == deterministic_id(RENEWAL, "create", "sandbox", 2)
    assert call_key(RENEWAL, "capture", "card-1", 3) == deterministic_id(RENEWAL, "capture", "card-1", 3)


@pytest.mark.parametrize(("hours", "minutes"), [(0, 5), (1, 5), (2, 5), (48, 120), (24, 60)])
def test_a_key_is_not_trusted_for_the_last_part_of_its_memory(hours: int, minutes: int) -> None:
    known = replace(GATEWAYS["sandbox"], key_memory=timedelta(hours=hours))
    assert known.key_margin.total_seconds() == minutes * 60


def test_of_no_call_nothing_is_written() -> None:
    row = declined().row
    assert row.operation is None
    with pytest.raises(ValueError, match="no call is under way"):
        begun_row(row)
    with pytest.raises(ValueError, match="no call is under way"):
        attempt_row(row, CallStatus.SUCCEEDED)
