"""The carrier does not top up: what `captured`, `cancelling_top_up` and states before the capture do."""

from services.renewal.domain.actions import CustomerCancels, RetryDue
from services.renewal.domain.policy import POLICY
from shared.contracts.payment_commands import RefundPayment
from shared.contracts.renewals import RenewalRefunded
from shared.contracts.topup_commands import ApplyTopUp
from tests.unit.renewal.story import PRICE, Says, captured, new

says = Says()


def test_a_rejected_top_up_gives_the_money_back() -> None:
    story = captured().when(says.top_up_rejected())
    assert story.state == "refunding"
    assert story.just_said == ["RefundPayment"]
    story.when(says.refunded())
    assert story.state == "refunded"
    [refunded] = story.told(RenewalRefunded)
    assert (refunded.amount_minor, refunded.reason) == (PRICE, "top_up_rejected")


def test_a_rejection_heard_before_the_capture_is_remembered_until_it_is_seen() -> None:
    story = new().when(says.priced(), says.top_up_rejected())
    assert story.state == "priced"
    assert story.said == []
    story.when(says.captured())
    assert story.state == "refunding"
    assert story.just_said == ["RefundPayment"]


def test_an_undetermined_top_up_heard_before_the_capture_is_parked_once_it_is_seen() -> None:
    story = new().when(says.undetermined(), says.priced(), says.captured())
    assert story.state == "parked"
    assert story.renewal.parked_from == "captured"


def test_failed_top_ups_are_tried_again_then_cancelled_then_refunded() -> None:
    story = captured()
    budget = POLICY.top_up_retry("carrier_unavailable").budget
    assert budget is not None
    for attempt in range(1, budget + 1):
        story.when(says.top_up_failed(attempt), RetryDue())
        assert story.told(ApplyTopUp)[-1].attempt == attempt + 1
    story.when(says.top_up_failed(budget + 1))
    assert story.state == "cancelling_top_up"
    assert story.just_said == ["CancelTopUp"]
    assert story.told(RefundPayment) == [], "no refund before provisioning has promised to apply nothing"
    story.when(says.top_up_cancelled(), says.refunded())
    assert story.told(RenewalRefunded)[0].reason == "top_up_attempts_spent"


def test_a_top_up_applied_while_it_is_being_cancelled_completes() -> None:
    story = captured().when(CustomerCancels("ana"), says.applied())
    assert story.state == "completed"
    assert story.renewal.reason is None
    assert story.told(RefundPayment) == []


def test_a_top_up_applied_while_the_money_goes_back_is_an_alarm_and_the_refund_goes_on() -> None:
    story = captured().when(says.top_up_rejected(), says.applied())
    assert story.state == "refunding"
    assert story.last is not None
    assert story.last.alarm
    story.when(says.refunded())
    assert story.state == "refunded"
    assert story.renewal.has_flag("promise_broken")
