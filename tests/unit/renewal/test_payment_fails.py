"""The payment does not go through: declines and failures in `requested`, `priced`, `awaiting_customer`."""

from datetime import timedelta

from services.renewal.domain.actions import CustomerRetries, Deadline, RetryDue
from services.renewal.domain.policy import ANY_OTHER, POLICY
from shared.contracts.payment_commands import CapturePayment
from shared.contracts.renewals import CustomerActionRequired, RenewalCancelled, RenewalFailed
from tests.unit.renewal.story import PRICE, T0, Says, Story, new, requested, terms

says = Says()


def test_what_it_would_have_cost_is_known_where_that_was_too_much() -> None:
    dear = says.rejected().model_copy(update={"amount_minor": 1200})
    story = new().when(dear)
    assert (story.state, story.renewal.amount_minor) == ("cancelling_payment", 1200)


def test_a_decline_moves_on_to_the_next_method_at_once() -> None:
    story = new("card-1", "card-2").when(says.priced(), says.declined("soft"))
    assert story.state == "priced"
    [command] = story.told(CapturePayment)
    assert (command.payment_method_id, command.attempt, command.amount_minor) == ("card-2", 2, PRICE)
    story.when(says.captured(attempt=2, method="card-2"), says.applied())
    assert story.state == "completed"
    assert story.renewal.payment_method_id == "card-2"


def test_a_hard_decline_of_the_last_method_fails_only_after_payment_says_it_holds_nothing() -> None:
    story = new("card-1").when(says.priced(), says.declined("hard"))
    assert story.state == "cancelling_payment"
    assert story.just_said == ["CancelPayment"]
    assert story.told(RenewalFailed) == []
    story.when(says.payment_cancelled())
    assert story.state == "failed"
    assert story.told(RenewalFailed)[0].reason == "declined_hard"


def test_a_soft_decline_of_the_last_method_is_tried_once_more_later_then_given_up() -> None:
    story = new("card-1").when(says.priced(), says.declined("soft"))
    assert story.state == "priced"
    assert story.said == []
    assert story.renewal.payment_attempt == 2
    story.when(RetryDue())
    [command] = story.told(CapturePayment)
    assert (command.attempt, command.payment_method_id) == (2, "card-1")
    story.when(says.declined("soft", attempt=2))
    assert story.state == "cancelling_payment"


def test_a_soft_decline_near_the_deadline_is_not_put_off_beyond_it() -> None:
    story = new("card-1").when(says.priced()).later(POLICY.deadline_seconds["customer"] - 20)
    story.when(says.declined("soft"))
    assert story.state == "cancelling_payment"


def test_a_decline_that_needs_the_customer_asks_them_to_choose_and_a_repeat_asks_nothing_more() -> None:
    story = new("card-1", "card-2").when(says.priced(), says.declined("needs_customer"))
    assert story.state == "awaiting_customer"
    [question] = story.told(CustomerActionRequired)
    assert question.action == "choose_payment_method"
    story.when(says.declined("needs_customer"))
    assert len(story.told(CustomerActionRequired)) == 1
    story.when(CustomerRetries("ana", "card-2"))
    assert story.state == "priced"
    [command] = story.told(CapturePayment)
    assert (command.payment_method_id, command.attempt) == ("card-2", 2)


def test_a_rule_asks_its_customer_only_when_no_method_is_left() -> None:
    story = Story(requested("card-1", "card-2", origin="rule"))
    by_rule = Says(terms("card-1", "card-2", origin="rule"))
    story.when(by_rule.priced(), by_rule.declined("needs_customer"))
    assert story.just_said == ["CapturePayment"]
    story.when(by_rule.declined("needs_customer", attempt=2, method="card-2"))
    assert story.state == "awaiting_customer"


def test_the_same_decline_again_is_an_older_attempts_and_changes_nothing() -> None:
    story = new("card-1", "card-2", "card-3").when(says.priced(), says.declined())
    before = story.renewal
    story.when(says.declined(), says.declined())
    assert story.renewal == before
    assert len(story.told(CapturePayment)) == 1


def test_a_decline_heard_before_the_price_waits_for_it_and_then_tries_the_next_method() -> None:
    story = new("card-1", "card-2").when(says.declined())
    assert story.state == "requested"
    assert story.said == []
    story.when(says.priced())
    assert story.state == "priced"
    [command] = story.told(CapturePayment)
    assert (command.payment_method_id, command.attempt) == ("card-2", 2)


def test_a_failed_attempt_is_tried_again_at_back_off() -> None:
    story = new().when(says.priced(), says.payment_failed())
    assert story.said == []
    first = story.waits_for["RetryDue"] - story.at
    story.when(RetryDue())
    assert story.told(CapturePayment)[-1].attempt == 2
    story.when(says.payment_failed(attempt=2))
    assert story.waits_for["RetryDue"] - story.at == 2 * first
    assert story.renewal.next_due_at is not None
    assert story.renewal.next_due_at <= story.waits_for["RetryDue"], "waking early only looks again"


def test_retry_after_wins_over_a_shorter_back_off() -> None:
    story = new().when(says.priced(), says.payment_failed(retry_after=77))
    assert story.waits_for["RetryDue"] - story.at == timedelta(seconds=77)


def test_spent_attempts_are_given_up_through_cancel_payment() -> None:
    story = new().when(says.priced())
    budget = POLICY.payment_retries[ANY_OTHER].budget
    assert budget is not None
    for attempt in range(1, budget + 1):
        story.when(says.payment_failed(attempt), RetryDue())
        assert story.state == "priced"
    story.when(says.payment_failed(budget + 1))
    assert story.state == "cancelling_payment"
    story.when(says.payment_cancelled())
    assert story.told(RenewalFailed)[0].reason == "payment_attempts_spent"


def test_attempts_that_never_reached_the_provider_spend_no_budget() -> None:
    story = new().when(says.priced())
    for attempt in range(1, 30):
        story.when(says.payment_failed(attempt, reached=False), RetryDue())
    assert story.state == "priced"
    assert story.renewal.spent == 0


def test_a_payment_that_needs_confirming_waits_for_the_payer_with_a_deadline() -> None:
    story = new().when(says.priced(), says.action_required())
    assert story.state == "awaiting_customer"
    [question] = story.told(CustomerActionRequired)
    assert (question.action, question.action_before) == ("confirm_payment", T0 + timedelta(minutes=10))
    assert story.waits_for == {"Deadline": T0 + timedelta(minutes=10)}
    story.when(Deadline(), says.payment_cancelled())
    assert story.state == "cancelled"
    assert story.told(RenewalCancelled)[0].reason == "deadline_passed"


def test_a_confirmed_payment_goes_on_by_itself() -> None:
    story = new().when(says.priced(), says.action_required(), says.captured(), says.applied())
    assert story.state == "completed"


def test_a_rejection_too_ends_only_after_payment_says_it_holds_nothing() -> None:
    story = new().when(says.rejected("price_changed"))
    assert story.just_said == ["CancelPayment"]
    story.when(says.payment_cancelled())
    assert story.told(RenewalFailed)[0].reason == "price_changed"


def test_a_payment_that_ends_unresolved_fails_and_is_flagged() -> None:
    story = new().when(says.priced(), says.payment_cancelled(unresolved=True))
    assert story.state == "failed"
    assert story.renewal.has_flag("unresolved")
