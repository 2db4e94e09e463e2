"""A row of the policy as it is read: what it allows in tries and in time, for every step that can fail."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renewal.domain.actions import RetryDue
from services.renewal.domain.policy import ANY_OTHER, POLICY, SOFT_DECLINE, Backoff, Moment, Retry, WhenSpent
from services.renewal.domain.retries import Failed, failed_again, failures, next_try, not_failed_yet
from shared.contracts.payments import PaymentAttemptFailed, RefundAttemptFailed
from tests.unit.renewal.story import T0, Says, Story, captured, new, requested

says = Says()
MICROSECOND = timedelta(microseconds=1)
NOW = Moment(T0, POLICY)


def row(
    deadline_seconds: float | None, when_spent: WhenSpent = "give_up", budget: int | None = None
) -> Retry:
    """Ten seconds between any two tries."""
    return Retry(budget, Backoff(10, 1, 10, jitter=0), when_spent, deadline_seconds)


@pytest.mark.parametrize(
    ("began_at", "retry_at"), [(T0, T0 + timedelta(seconds=10)), (T0 - MICROSECOND, None)]
)
def test_a_row_allows_a_try_at_its_last_instant_and_none_after_it(
    began_at: datetime, retry_at: datetime | None
) -> None:
    assert next_try(row(10), Failed(1, 1), began_at, NOW) == retry_at


def test_without_a_deadline_or_a_known_beginning_no_time_is_too_long() -> None:
    long_ago = T0 - timedelta(days=9)
    assert next_try(row(None), Failed(1, 1), long_ago, NOW) == T0 + timedelta(seconds=10)
    assert next_try(row(1), Failed(1, 1), None, NOW) == T0 + timedelta(seconds=10)


@pytest.mark.parametrize(("spent", "is_spent"), [(2, False), (3, True)])
def test_a_budget_is_what_it_allows_to_fail(spent: int, is_spent: bool) -> None:
    assert (next_try(row(None, budget=2), Failed(spent, spent), T0, NOW) is None) is is_spent


def test_what_a_provider_asks_to_wait_counts_for_the_deadline_too() -> None:
    assert next_try(row(30), Failed(1, 1), T0, NOW, retry_after_seconds=30) == T0 + timedelta(seconds=30)
    assert next_try(row(30), Failed(1, 1), T0, NOW, retry_after_seconds=31) is None


def test_where_a_provider_asks_for_nothing_the_back_off_alone_counts() -> None:
    quick = Retry(None, Backoff(0.25, 1, 1, jitter=0))
    assert next_try(quick, Failed(1, 1), T0, NOW) == T0 + timedelta(seconds=0.25)


ROWS = st.sampled_from([ANY_OTHER, "rate_limited", SOFT_DECLINE, "a:b"])


@given(st.lists(st.tuples(ROWS, st.booleans()), max_size=30))
def test_every_row_counts_for_itself(failed: list[tuple[str, bool]]) -> None:
    renewal = requested()
    for row_name, reached in failed:
        renewal, told = failed_again(renewal, row_name, reached_provider=reached)
        assert told == failures(renewal)[row_name]
    for row_name in {name for name, _ in failed}:
        times = [reached for name, reached in failed if name == row_name]
        assert failures(renewal)[row_name] == Failed(len(times), sum(times))
    assert renewal.spent == sum(reached for _, reached in failed)
    assert failures(not_failed_yet(renewal)) == {}


@pytest.mark.parametrize(
    ("spent", "words"),
    [(2, None), (3, "*:2:2 rate_limited:1:0"), (0, "soft_decline:1:1"), (5, "rate_limited:2:2")],
    ids=["from before the words", "one more", "begun anew", "more of several"],
)
def test_what_an_older_version_has_counted_is_believed(spent: int, words: str | None) -> None:
    renewal = requested()._replace(spent=spent, failures=words)
    assert failures(renewal) == ({ANY_OTHER: Failed(spent, spent)} if spent else {})
    again, failed = failed_again(renewal, ANY_OTHER, reached_provider=True)
    assert (again.spent, failed) == (spent + 1, Failed(spent + 1, spent + 1))
    assert failures(again) == {ANY_OTHER: failed}


def test_a_soft_decline_is_counted_under_the_word_that_rows_keep() -> None:
    """Another word for it would begin every count anew that a row has."""
    story = new("card-1").when(says.priced(), says.declined("soft"))
    assert story.renewal.failures == "soft_decline:1:1"


def payment_failed(attempt: int, reason: str) -> PaymentAttemptFailed:
    return says.payment_failed(attempt).model_copy(update={"reason": reason})


def test_what_failed_for_one_reason_takes_nothing_from_another() -> None:
    """A soft decline after connections that broke: its own budget, its own first delay."""
    story = new("card-1").when(says.priced())
    for attempt in (1, 2, 3):
        story.when(says.payment_failed(attempt), RetryDue())
    story.when(says.declined("soft", 4))
    assert story.state == "priced"
    soft = POLICY.soft_decline_retries["customer"]
    assert story.waits_for["RetryDue"] - story.at == timedelta(seconds=soft.backoff.seconds(0, 0.5))
    story.when(RetryDue(), says.payment_failed(5))
    fourth = POLICY.payment_retries[ANY_OTHER].backoff.seconds(3, 0.5)
    assert story.waits_for["RetryDue"] - story.at == timedelta(seconds=fourth), "they go on where they were"
    story.when(RetryDue(), says.declined("soft", 6))
    assert story.state == "cancelling_payment", "its own budget is one"


def test_another_card_begins_with_the_first_delay() -> None:
    story = new("card-1", "card-2").when(says.priced())
    for attempt in (1, 2, 3):
        story.when(says.payment_failed(attempt), RetryDue())
    story.when(says.declined("hard", 4), says.payment_failed(5))
    first = POLICY.payment_retries[ANY_OTHER].backoff.seconds(0, 0.5)
    assert story.waits_for["RetryDue"] - story.at == timedelta(seconds=first)


@pytest.mark.parametrize("reached", [True, False])
def test_a_provider_that_is_asked_too_fast_ends_no_renewal_before_its_deadline(reached: bool) -> None:
    story = new().when(says.priced())
    attempt = 0
    while story.waits_for["Deadline"] > story.at:
        attempt += 1
        failed = payment_failed(attempt, "rate_limited").model_copy(update={"reached_provider": reached})
        story.when(failed).later(60).when(RetryDue())
        assert story.state == "priced"
    assert attempt < 65, "a minute apart at the end"


def paying(deadline_seconds: float) -> Story:
    """The price is seen at T0 + 1 s."""
    story = new("card-1")
    story.policy = replace(
        POLICY,
        payment_retries={ANY_OTHER: row(deadline_seconds)},
        soft_decline_retries={
            "customer": row(deadline_seconds, "next_step"),
            "rule": row(None, "next_step"),
        },
    )
    return story.when(says.priced())


@pytest.mark.parametrize(("deadline_seconds", "state"), [(11, "priced"), (10.9, "cancelling_payment")])
def test_a_payments_time_begins_with_the_price(deadline_seconds: float, state: str) -> None:
    story = paying(deadline_seconds).when(says.payment_failed())
    assert story.state == state
    assert story.renewal.reason == (None if state == "priced" else "payment_attempts_spent")


@pytest.mark.parametrize(("deadline_seconds", "state"), [(11, "requested"), (10.9, "cancelling_payment")])
def test_where_no_price_is_seen_a_payments_time_begins_with_the_request(
    deadline_seconds: float, state: str
) -> None:
    story = new("card-1")
    story.policy = replace(POLICY, payment_retries={ANY_OTHER: row(deadline_seconds)})
    assert story.when(says.payment_failed()).state == state


@pytest.mark.parametrize(("deadline_seconds", "state"), [(11, "priced"), (10.9, "cancelling_payment")])
def test_a_decline_that_may_wait_no_longer_takes_the_next_step(deadline_seconds: float, state: str) -> None:
    story = paying(deadline_seconds).when(says.declined("soft"))
    assert story.state == state
    assert story.history[-1].reason == ("retry_later" if state == "priced" else "give_up")


@pytest.mark.parametrize(("deadline_seconds", "state"), [(11, "captured"), (10.9, "cancelling_top_up")])
def test_a_top_ups_time_begins_with_the_capture(deadline_seconds: float, state: str) -> None:
    story = captured()  # captured at T0 + 2 s, which is when the story is told of it
    story.policy = replace(POLICY, top_up_retries={ANY_OTHER: row(deadline_seconds)})
    story.when(says.top_up_failed())
    assert story.state == state
    assert story.renewal.reason == (None if state == "captured" else "top_up_attempts_spent")


def refund_failed(reason: str, attempt: int = 1) -> RefundAttemptFailed:
    return says.refund_failed(attempt).model_copy(update={"reason": reason})


@pytest.mark.parametrize("reason", ["slow", "quick", "another"])
def test_a_refund_is_tried_as_long_as_the_row_of_its_failure_says(reason: str) -> None:
    """Counted from when it was asked for, whatever the row for every other reason says."""
    rows = {ANY_OTHER: row(60, "park"), "slow": row(3600, "park"), "quick": row(20, "park")}
    story = captured()
    story.policy = replace(POLICY, refund_retries=rows)
    story.when(says.top_up_rejected())
    asked_at, attempt = story.at, 1
    while story.when(refund_failed(reason, attempt)).state == "refunding":
        story.when(RetryDue()).later(8)
        attempt += 1
    assert (story.state, story.renewal.parked_reason) == ("parked", "refund_attempts_spent")
    allowed = {"slow": 3600, "quick": 20, "another": 60}[reason]
    since = (story.at - asked_at).total_seconds()
    assert since + 10 > allowed >= since, "the next try would have come after the row's deadline"


def test_a_refund_without_a_deadline_is_no_policy() -> None:
    endless = {**POLICY.refund_retries, "slow": row(None, "park")}
    with pytest.raises(ValueError, match="a deadline of its own"):
        replace(POLICY, refund_retries=endless)
