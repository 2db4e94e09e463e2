"""The ways of a renewal, told: given how it stands, when something comes in, what it says and becomes."""

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.renewal.domain.actions import (
    CustomerCancels,
    CustomerRetries,
    Deadline,
    DelayPromise,
    OperatorCancels,
    OperatorRefunds,
    OperatorReleases,
    OperatorResolves,
    OperatorRetries,
    RetryDue,
    Silence,
)
from services.renewal.domain.policy import POLICY
from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment, ResolvePayment
from shared.contracts.renewals import (
    CustomerActionRequired,
    RenewalCancelled,
    RenewalCompleted,
    RenewalDelayed,
    RenewalFailed,
    RenewalParked,
    RenewalRefunded,
    RenewalRequested,
)
from shared.contracts.topup_commands import ApplyTopUp, CancelTopUp, ResolveTopUp
from tests.unit.renewal.story import PRICE, T0, Says, Story, requested, terms

says = Says()


def new(*methods: str) -> Story:
    return Story(requested(*methods))


def captured(*methods: str) -> Story:
    return new(*methods).when(says.priced(), says.captured())


# -- the happy path ---------------------------------------------------------------------------------


def test_a_renewal_that_goes_well_needs_no_word_from_the_saga_but_the_last() -> None:
    story = new().when(says.priced(), says.captured(), says.applied())
    assert story.state == "completed"
    [completed] = story.said
    assert isinstance(completed, RenewalCompleted)
    assert (completed.amount_minor, completed.cycle) == (PRICE, 4)
    assert [(entry.message, entry.from_state, entry.to_state) for entry in story.history] == [
        ("RenewalPriced", "requested", "priced"),
        ("PaymentCaptured", "priced", "captured"),
        ("TopUpApplied", "captured", "completed"),
    ]
    assert [entry.version for entry in story.history] == [2, 3, 4]


def test_the_happy_path_never_moves_the_timer() -> None:
    story = new()
    due_at = story.renewal.next_due_at
    story.when(says.priced(), says.captured())
    assert story.renewal.next_due_at == due_at


@pytest.mark.parametrize("order", list(permutations(("priced", "captured", "applied"))), ids="-".join)
def test_any_order_of_the_happy_facts_completes(order: tuple[str, ...]) -> None:
    story = new().when(*(getattr(says, name)() for name in order))
    assert story.state == "completed"
    assert len(story.told(RenewalCompleted)) == 1
    assert len(story.said) == 1
    assert story.renewal.amount_minor == PRICE


@given(st.lists(st.sampled_from(("priced", "captured", "applied")), max_size=8), st.permutations(range(3)))
@settings(max_examples=200, deadline=None)
def test_repeats_in_any_order_change_nothing_about_the_end(repeats: list[str], order: list[int]) -> None:
    names = ["priced", "captured", "applied"]
    story = new().when(*(getattr(says, name)() for name in repeats))
    story.when(*(getattr(says, names[place])() for place in order))
    story.when(*(getattr(says, name)() for name in repeats))
    assert story.state == "completed"
    assert [type(message) for message in story.said] == [RenewalCompleted]
    assert story.renewal.captured_at is not None


# -- declines and failures of the payment ---------------------------------------------------------------


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
    budget = POLICY.payment_retry("provider_unavailable").budget
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


# -- the top-up -----------------------------------------------------------------------------------------


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


# -- giving up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], ["priced"], ["priced", "action_required"]])
def test_a_customer_cancels_before_the_capture(before: list[str]) -> None:
    story = new().when(*(getattr(says, name)() for name in before), CustomerCancels("ana"))
    assert story.just_said == ["CancelPayment"]
    story.when(says.payment_cancelled())
    assert story.state == "cancelled"
    assert story.told(RenewalCancelled)[0].reason == "customer_cancelled"


@pytest.mark.parametrize("why", [CustomerCancels("ana"), Deadline()], ids=["customer", "deadline"])
def test_a_capture_too_late_for_a_renewal_that_was_called_off_is_given_back(why: object) -> None:
    story = new().when(says.priced(), why, says.captured())
    assert story.state == "cancelling_top_up"
    assert story.just_said == ["CancelTopUp"]
    story.when(says.top_up_cancelled())
    assert story.just_said == ["RefundPayment"]
    story.when(says.refunded())
    assert story.state == "refunded"


def test_a_capture_too_late_after_a_decline_is_used() -> None:
    story = new("card-1").when(says.priced(), says.declined("hard"), says.captured())
    assert story.state == "captured"
    [command] = story.told(ApplyTopUp)
    assert command.attempt == 1
    assert command.act_before > story.at
    story.when(says.applied())
    assert story.state == "completed"


def test_a_late_capture_used_after_the_deadline_has_time_for_its_top_up() -> None:
    story = new("card-1").when(says.priced(), says.declined("hard")).later(3600)
    story.when(says.captured())
    assert story.state == "captured"
    assert story.waits_for["Deadline"] > story.at + timedelta(minutes=4)


def test_a_customer_who_cancels_what_is_failing_gets_a_late_capture_back() -> None:
    story = new("card-1").when(says.priced(), says.declined("hard"), CustomerCancels("ana"))
    assert story.just_said == []
    story.when(says.captured())
    assert story.state == "cancelling_top_up"


def test_cancelling_twice_says_it_once() -> None:
    story = new().when(says.priced(), CustomerCancels("ana"), CustomerCancels("ana"))
    assert len(story.told(CancelPayment)) == 1


def test_a_deadline_after_the_capture_cancels_the_top_up_first() -> None:
    story = captured().when(Deadline())
    assert (story.state, story.just_said) == ("cancelling_top_up", ["CancelTopUp"])


def test_a_rejection_remembered_while_cancelling_the_payment_refunds_a_late_capture() -> None:
    story = new().when(says.priced(), CustomerCancels("ana"), says.top_up_cancelled(), says.captured())
    assert story.state == "refunding"


# -- time -----------------------------------------------------------------------------------------------


def test_silence_before_the_price_asks_the_same_question_with_the_same_id() -> None:
    story = new().when(Silence(), Silence())
    first, second = story.told(RenewalRequested)
    assert first.event_id == second.event_id
    assert story.state == "requested"


def test_silence_repeats_the_command_of_the_same_attempt() -> None:
    story = new().when(says.priced(), says.declined(), Silence())
    assert [command.attempt for command in story.told(CapturePayment)] == [2, 2]
    story = captured().when(Silence(), Silence())
    assert [command.attempt for command in story.told(ApplyTopUp)] == [1, 1]
    assert len({command.event_id for command in story.told(ApplyTopUp)}) == 2


def test_patience_grows_with_every_question_and_starts_anew_in_the_next_state() -> None:
    story = new().when(says.priced())
    first = story.waits_for["Silence"] - story.at
    story.when(Silence())
    assert story.waits_for["Silence"] - story.at == 2 * first
    story.when(says.captured())
    assert story.waits_for["Silence"] - story.at == first


@pytest.mark.parametrize(
    ("way", "state"),
    [
        ([says.priced(), CustomerCancels("ana")], "cancelling_payment"),
        ([says.priced(), says.captured(), CustomerCancels("ana")], "cancelling_top_up"),
        ([says.priced(), says.captured(), says.top_up_rejected()], "refunding"),
    ],
)
def test_silence_while_giving_up_asks_again_and_is_parked_in_the_end(way: list[object], state: str) -> None:
    story = new().when(*way)
    budget = POLICY.patience[story.renewal.state].budget
    assert budget is not None
    for _ in range(budget):
        story.when(Silence())
        assert (story.state, len(story.just_said)) == (state, 1)
    story.when(Silence())
    assert story.state == "parked"
    assert story.told(RenewalParked)[0].reason == f"silence_{state}"
    assert story.waits_for == {}
    assert story.renewal.next_due_at is None


def test_a_delay_is_told_once() -> None:
    story = captured().when(DelayPromise(), DelayPromise())
    [delayed] = story.told(RenewalDelayed)
    assert delayed.promised_by == T0 + timedelta(seconds=POLICY.promise_seconds)
    assert "DelayPromise" not in story.waits_for


# -- refunds --------------------------------------------------------------------------------------------


def test_a_failed_refund_is_tried_again_for_a_day_and_then_parked() -> None:
    story = captured().when(says.top_up_rejected())
    attempt = 1
    while story.state == "refunding" and attempt < 100:
        story.when(says.refund_failed(attempt))
        if story.state == "refunding":
            story.at = story.waits_for["RetryDue"]
            story.when(RetryDue())
            attempt += 1
            assert story.told(RefundPayment)[-1].attempt == attempt
    assert story.state == "parked"
    assert timedelta(hours=22) < story.at - T0 < timedelta(hours=25)


def test_a_rejected_refund_is_parked_and_an_operator_may_try_the_next_attempt() -> None:
    story = captured().when(says.top_up_rejected(), says.refund_rejected())
    assert story.told(RenewalParked)[0].reason == "refund_rejected"
    story.when(says.top_up_rejected())
    assert story.state == "parked", "the same answer again sends no second refund"
    story.when(OperatorRetries("otto"))
    assert story.state == "refunding"
    assert story.told(RefundPayment)[-1].attempt == 2


def test_a_refund_that_fails_later_stays_refunded_with_an_alarm() -> None:
    story = captured().when(says.top_up_rejected(), says.refunded(), says.refund_rejected())
    assert story.state == "refunded"
    assert story.renewal.has_flag("refund_failed_later")
    assert story.last is not None
    assert story.last.alarm


def test_money_given_back_elsewhere_stops_the_top_up_and_ends_refunded() -> None:
    story = captured().when(says.refunded())
    assert (story.state, story.just_said) == ("cancelling_top_up", ["CancelTopUp"])
    story.when(says.top_up_cancelled(), says.refunded())
    assert story.state == "refunded"
    assert story.renewal.has_flag("refunded_elsewhere")


def test_a_surplus_and_a_dispute_are_recorded_wherever_it_stands() -> None:
    story = captured().when(says.surplus(), says.surplus(), says.surplus(2), says.applied(), says.disputed())
    assert story.state == "completed"
    assert story.renewal.flags.split() == ["surplus_refunded_1", "surplus_refunded_2", "disputed"]
    assert story.told(RenewalCompleted)[0].version == story.history[-2].version


# -- operators ------------------------------------------------------------------------------------------


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


def test_an_operator_cancels_what_is_parked_as_far_as_it_has_come() -> None:
    assert undetermined().when(OperatorCancels("otto")).just_said == ["CancelTopUp"]
    refund = captured().when(says.top_up_rejected(), says.refund_rejected(), OperatorCancels("otto"))
    assert refund.state == "parked"


@pytest.mark.parametrize("outcome", ["completed", "refunded", "failed", "cancelled"])
def test_an_operator_releases_as_decided_with_name_and_note(outcome: str) -> None:
    story = undetermined().when(OperatorReleases("otto", outcome, "seen at the carrier"))  # type: ignore[arg-type]
    assert story.state == outcome
    assert story.history[-1].detail == "by otto: seen at the carrier"
    assert len(story.just_said) == 1


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
