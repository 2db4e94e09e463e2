"""The carrier does not top up: what `captured`, `cancelling_top_up` and states before the capture do."""

from collections.abc import Callable

import pytest

from services.renewal.domain.actions import (
    CustomerCancels,
    OperatorRefunds,
    OperatorRetries,
    RetryDue,
    Silence,
)
from services.renewal.domain.policy import ANY_OTHER, POLICY
from shared.contracts.payment_commands import RefundPayment
from shared.contracts.renewals import RenewalRefunded
from shared.contracts.topup_commands import ApplyTopUp, CancelTopUp
from tests.unit.renewal.story import PRICE, Says, Story, captured, new

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
    budget = POLICY.top_up_retries[ANY_OTHER].budget
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


def silent_for_too_long() -> Story:
    """Parked while it was being called off, before anything was heard."""
    questions = POLICY.patience["cancelling_top_up"].budget or 0
    return captured().when(CustomerCancels("ana"), *[Silence()] * (questions + 1))


@pytest.mark.parametrize(
    ("begun", "then"),
    [
        (captured, [says.undetermined(), OperatorRefunds("ana", approver="ben")]),
        (captured, [CustomerCancels("ana"), says.undetermined(), OperatorRetries("otto")]),
        (silent_for_too_long, [OperatorRefunds("ana", approver="ben")]),
        (silent_for_too_long, [OperatorRetries("otto")]),
        (silent_for_too_long, [says.undetermined(), OperatorRetries("otto")]),
        (new, [says.priced(), says.undetermined(), says.refunded()]),
    ],
    ids=[
        "refunded by two",
        "retried",
        "refunded unheard",
        "retried unheard",
        "retried",
        "given back elsewhere",
    ],
)
def test_what_was_not_known_before_it_was_called_off_anew_parks_nothing(
    begun: Callable[[], Story], then: list[object]
) -> None:
    story = begun().when(*then)
    assert story.state == "cancelling_top_up"
    [*_, command] = story.told(CancelTopUp)
    assert command.attempt == 2
    before = story.renewal
    story.when(says.undetermined())
    assert (story.renewal, story.just_said) == (before, [])
    story.when(says.undetermined(command.attempt))
    assert (story.state, story.renewal.top_up) == ("parked", "undetermined"), "nor does the calling off know"


def test_a_stubborn_carrier_is_asked_under_a_further_attempt_each_time() -> None:
    story = captured().when(says.undetermined(), OperatorRefunds("ana", approver="ben"))
    story.when(says.undetermined(2), OperatorRetries("otto"), says.undetermined(2), Silence())
    assert story.state == "cancelling_top_up"
    assert [command.attempt for command in story.told(CancelTopUp)] == [2, 3, 3], "silence raises nothing"
    story.when(says.top_up_cancelled())
    assert story.state == "refunding", "a final answer counts whichever attempt it names"


def test_an_attempt_that_is_tried_again_is_not_parked_by_what_nobody_knew_of_the_one_before() -> None:
    story = captured().when(says.top_up_failed(), RetryDue(), says.undetermined())
    assert story.state == "captured"
    assert story.when(says.undetermined(2)).state == "parked"


def test_what_is_called_off_for_the_first_time_is_no_further_attempt() -> None:
    story = captured().when(CustomerCancels("ana"))
    assert story.told(CancelTopUp)[0].attempt == 1
    assert story.when(says.undetermined()).state == "parked"
