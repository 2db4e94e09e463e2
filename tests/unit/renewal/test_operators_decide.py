"""`parked` and every operator's action: through the authority, never around it."""

import pytest

from services.renewal.domain.actions import (
    CustomerCancels,
    OperatorCancels,
    OperatorRefunds,
    OperatorResolves,
    OperatorRetries,
    RetryDue,
    Silence,
)
from services.renewal.domain.policy import POLICY
from shared.contracts.payment_commands import RefundPayment, ResolvePayment
from shared.contracts.topup_commands import CancelTopUp, ResolveTopUp
from tests.unit.renewal.story import Says, Story, captured, new

says = Says()


def undetermined() -> Story:
    return captured().when(says.undetermined())


@pytest.mark.parametrize(
    ("found", "then", "end"),
    [("applied", says.applied(), "completed"), ("not_applied", says.top_up_rejected(), "refunding")],
)
def test_an_operator_resolves_through_the_authority(found: str, then: object, end: str) -> None:
    story = undetermined().when(OperatorResolves("otto", found))  # type: ignore[arg-type]
    assert story.state == "parked", "only the authority's fact moves it"
    [command] = story.told(ResolveTopUp)
    assert (command.decision, command.decided_by) == (found, "otto")
    story.when(then)
    assert story.state == end


def test_an_operator_resolves_a_payment_through_payment() -> None:
    story = new().when(says.priced(), CustomerCancels("ana"))
    budget = POLICY.patience["cancelling_payment"].budget or 0
    story.when(*[Silence()] * (budget + 1), OperatorResolves("otto", "not_captured"))
    assert story.told(ResolvePayment)[0].decision == "not_captured"
    story.when(says.payment_cancelled())
    assert story.state == "cancelled"


def test_an_operator_refunds_only_after_provisioning_has_promised() -> None:
    story = undetermined().when(OperatorRefunds("otto"))
    assert (story.state, story.just_said) == ("cancelling_top_up", ["CancelTopUp"])
    story.when(says.top_up_cancelled())
    assert story.just_said == ["RefundPayment"]


@pytest.mark.parametrize(
    "paid",
    [
        captured(),
        undetermined(),
        captured().when(says.top_up_rejected(), says.refund_rejected()),
        new().when(says.priced(), says.refunded(), says.undetermined()),
    ],
    ids=["captured", "top-up unknown", "refund hangs", "refunded elsewhere before its capture was seen"],
)
def test_where_money_was_taken_one_operator_cancels_nothing(paid: Story) -> None:
    """That gives money back, which takes two: `refund`."""
    before, said = paid.renewal, len(paid.said)
    paid.when(OperatorCancels("otto"))
    assert (paid.renewal, len(paid.said)) == (before, said)
    assert paid.last is not None
    assert paid.last.ignored is not None
    assert "takes two" in paid.last.ignored


def test_a_customer_may_call_off_alone_what_they_have_paid() -> None:
    story = captured().when(CustomerCancels("ana"))
    assert (story.state, story.just_said) == ("cancelling_top_up", ["CancelTopUp"])


def test_an_operator_cancels_what_is_parked_unpaid() -> None:
    unpaid = new("card-1").when(says.priced(), says.declined("hard"))
    unpaid.when(*[Silence()] * ((POLICY.patience["cancelling_payment"].budget or 0) + 1))
    assert unpaid.state == "parked"
    assert unpaid.when(OperatorCancels("otto")).just_said == ["CancelPayment"]


def test_an_applied_top_up_is_refunded_by_no_single_operator() -> None:
    story = captured().when(says.applied(), OperatorRefunds("otto"))
    assert story.state == "completed"
    assert story.last is not None
    assert story.last.ignored is not None
    assert "two operators" in story.last.ignored


def test_retrying_what_was_parked_in_silence_asks_the_same_attempt() -> None:
    story = captured().when(says.top_up_rejected())
    budget = POLICY.patience["refunding"].budget or 0
    story.when(*[Silence()] * (budget + 1))
    assert story.state == "parked"
    story.when(OperatorRetries("otto"))
    assert story.told(RefundPayment)[-1].attempt == 1


def test_a_capture_seen_while_parked_is_recorded_and_used_when_retried() -> None:
    story = new("card-1").when(says.priced(), says.declined("hard"))
    story.when(*[Silence()] * ((POLICY.patience["cancelling_payment"].budget or 0) + 1), says.captured())
    assert story.state == "parked"
    assert story.renewal.captured_at is not None
    story.when(OperatorRetries("otto"))
    assert (story.state, story.just_said) == ("captured", ["ApplyTopUp"])


def test_every_change_leaves_one_line_and_versions_have_no_gap() -> None:
    story = new("card-1").when(
        says.priced(),
        says.declined("soft"),
        RetryDue(),
        says.captured(2),
        says.top_up_rejected(),
        says.refunded(),
    )
    assert [entry.version for entry in story.history] == list(range(2, 8))
    assert story.history[1].detail == "soft: do_not_honor"
    assert {type(message).__name__ for message in story.said} == {
        "CapturePayment",
        "RefundPayment",
        "RenewalRefunded",
    }
    assert CancelTopUp not in {type(message) for message in story.said}
