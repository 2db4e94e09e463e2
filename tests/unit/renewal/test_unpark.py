"""An operator lets a parked renewal go on: from where, with which command, until when."""

from datetime import timedelta
from typing import Any

import pytest

from services.renewal.domain.actions import (
    CustomerCancels,
    OperatorCancels,
    OperatorRefunds,
    OperatorResolves,
    OperatorRetries,
)
from services.renewal.domain.policy import POLICY, Moment
from services.renewal.domain.renewal import Renewal, State, TopUpFinding
from services.renewal.domain.saga import decide
from tests.unit.renewal.story import T0
from tests.unit.renewal.test_matrix import AT, standing

NOW = Moment(AT, POLICY)


def parked(came_from: State | None, *, paid: bool, **more: Any) -> Renewal:
    """Parked, as it came from that state."""
    known: dict[str, Any] = {"parked_from": came_from, "parked_reason": "silence", "top_up": None, **more}
    return standing("parked")._replace(captured_at=T0 if paid else None, **known)


@pytest.mark.parametrize(
    ("came_from", "paid", "reason", "top_up", "state", "command"),
    [
        (None, False, None, None, "requested", "RenewalRequested"),
        ("requested", False, None, None, "requested", "RenewalRequested"),
        ("priced", False, None, None, "priced", "CapturePayment"),
        ("requested", True, None, None, "captured", "ApplyTopUp"),
        ("priced", True, None, None, "captured", "ApplyTopUp"),
        ("awaiting_customer", True, None, None, "captured", "ApplyTopUp"),
        ("captured", True, None, None, "captured", "ApplyTopUp"),
        ("captured", True, None, "rejected", "refunding", "RefundPayment"),
        ("captured", True, None, "cancelled", "refunding", "RefundPayment"),
        ("priced", True, None, "rejected", "refunding", "RefundPayment"),
        ("cancelling_payment", False, "customer_cancelled", None, "cancelling_payment", "CancelPayment"),
        ("cancelling_payment", False, "declined_hard", None, "cancelling_payment", "CancelPayment"),
        ("cancelling_payment", True, "customer_cancelled", None, "cancelling_top_up", "CancelTopUp"),
        ("cancelling_payment", True, "declined_hard", None, "captured", "ApplyTopUp"),
        ("cancelling_payment", True, "declined_hard", "rejected", "refunding", "RefundPayment"),
        ("cancelling_top_up", True, "deadline_passed", None, "cancelling_top_up", "CancelTopUp"),
        ("cancelling_top_up", True, "deadline_passed", "rejected", "cancelling_top_up", "CancelTopUp"),
        ("refunding", True, "deadline_passed", "rejected", "refunding", "RefundPayment"),
    ],
)
def test_it_goes_on_from_where_it_was_or_further(
    came_from: State | None,
    paid: bool,
    reason: str | None,
    top_up: TopUpFinding | None,
    state: State,
    command: str,
) -> None:
    decision = decide(
        parked(came_from, paid=paid, reason=reason, top_up=top_up), OperatorRetries("otto"), NOW
    )
    assert decision.renewal.state == state
    assert [type(said).__name__ for said in decision.says] == [command]


@pytest.mark.parametrize(
    ("came_from", "reason"), [("captured", None), ("priced", None), ("cancelling_payment", "declined_hard")]
)
def test_what_provisioning_does_not_know_it_is_not_asked_to_apply_again(
    came_from: State, reason: str | None
) -> None:
    """It would say the same and the renewal would be parked anew, with nothing done but a version more."""
    renewal = parked(came_from, paid=True, top_up="undetermined", reason=reason)
    decision = decide(renewal, OperatorRetries("otto"), NOW)
    assert (decision.renewal, decision.says) == (renewal, ())
    assert "has to be found out" in (decision.ignored or "")


@pytest.mark.parametrize(
    ("came_from", "reason"),
    [("cancelling_top_up", "declined_hard"), ("cancelling_payment", "deadline_passed")],
)
def test_the_carrier_is_asked_once_more_to_call_off_what_nobody_knows(came_from: State, reason: str) -> None:
    renewal = parked(came_from, paid=True, top_up="undetermined", reason=reason)
    decision = decide(renewal, OperatorRetries("otto"), NOW)
    assert decision.renewal.state == "cancelling_top_up"
    assert [type(said).__name__ for said in decision.says] == ["CancelTopUp"]


def test_it_has_time_again() -> None:
    late = parked("captured", paid=True, deadline_at=T0)
    after = decide(late, OperatorRetries("otto"), NOW).renewal
    assert after.deadline_at == AT + timedelta(seconds=POLICY.late_capture_seconds)
    assert after.refund_before == AT + timedelta(seconds=POLICY.refund_seconds)
    far = parked("captured", paid=True, deadline_at=AT + timedelta(days=1))
    assert decide(far, OperatorRetries("otto"), NOW).renewal.deadline_at == far.deadline_at


@pytest.mark.parametrize(
    ("reason", "attempt"),
    [("refund_rejected", 2), ("refund_attempts_spent", 2), ("silence_refunding", 1), (None, 1)],
)
def test_only_after_a_known_negative_the_refund_is_another_attempt(reason: str | None, attempt: int) -> None:
    renewal = parked("refunding", paid=True, top_up="rejected", parked_reason=reason)
    assert decide(renewal, OperatorRetries("otto"), NOW).renewal.refund_attempt == attempt


@pytest.mark.parametrize("top_up", ["rejected", "cancelled"])
def test_what_is_known_not_to_be_applied_is_paid_back_at_once(top_up: TopUpFinding) -> None:
    renewal = parked("captured", paid=True, top_up=top_up, parked_reason="refund_rejected")
    decision = decide(renewal, OperatorRefunds("otto"), NOW)
    assert (decision.renewal.state, decision.renewal.refund_attempt) == ("refunding", 2)
    assert decision.history is not None
    assert (decision.history.reason, decision.history.detail) == ("operator_refunded", "by otto")


@pytest.mark.parametrize("came_from", ["captured", "cancelling_top_up", "refunding"])
def test_one_operator_cancels_nothing_that_is_paid_though_its_capture_was_not_seen(came_from: State) -> None:
    decision = decide(parked(came_from, paid=False), OperatorCancels("otto"), NOW)
    assert decision.says == ()
    assert "takes two" in (decision.ignored or "")


FINDINGS: tuple[Any, ...] = ("applied", "not_applied", "captured", "not_captured", "refunded")


@pytest.mark.parametrize(
    ("came_from", "paid", "top_up", "fitting"),
    [
        ("captured", True, "undetermined", {"applied", "not_applied"}),
        ("captured", True, None, {"applied", "not_applied"}),
        ("cancelling_top_up", True, "undetermined", {"applied", "not_applied"}),
        ("cancelling_top_up", True, None, {"applied", "not_applied"}),
        ("cancelling_top_up", False, "undetermined", {"applied", "not_applied"}),
        ("cancelling_top_up", False, "rejected", set()),
        ("cancelling_payment", False, None, {"captured", "not_captured"}),
        ("cancelling_payment", False, "rejected", {"captured", "not_captured"}),
        (
            "cancelling_payment",
            False,
            "undetermined",
            {"captured", "not_captured", "applied", "not_applied"},
        ),
        ("cancelling_payment", True, "undetermined", {"applied", "not_applied"}),
        ("cancelling_payment", True, None, set()),
        ("refunding", True, "rejected", {"refunded"}),
        ("refunding", True, "cancelled", {"refunded"}),
    ],
)
def test_only_what_is_unknown_can_be_found_out(
    came_from: State, paid: bool, top_up: TopUpFinding | None, fitting: set[str]
) -> None:
    """Anything else would be approved by two people, and then dropped by the authority without a word."""
    renewal = parked(came_from, paid=paid, top_up=top_up)
    for found in FINDINGS:
        decision = decide(renewal, OperatorResolves("otto", found), NOW)
        assert len(decision.says) == (found in fitting), found
        if found not in fitting:
            assert decision.renewal == renewal
            assert all(fits in (decision.ignored or "") for fits in fitting)


def test_who_calls_off_what_is_given_up_is_written_down() -> None:
    renewal = standing("cancelling_payment")._replace(reason="declined_hard")
    decision = decide(renewal, CustomerCancels("ana"), NOW)
    assert decision.renewal.reason == "customer_cancelled"
    assert decision.history is not None
    assert (decision.history.reason, decision.history.detail) == ("customer_cancelled", "by ana")
