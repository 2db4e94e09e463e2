"""Whatever comes in, in whatever order and however often: the saga's share of the design's promises holds."""

from collections.abc import Callable
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.renewal.domain.actions import (
    CustomerCancels,
    CustomerRetries,
    Deadline,
    DelayPromise,
    OperatorCancels,
    OperatorRefunds,
    OperatorResolves,
    OperatorRetries,
    RetryDue,
    Silence,
)
from services.renewal.domain.due import alarms
from services.renewal.domain.policy import POLICY
from services.renewal.domain.renewal import CLOSED
from shared.contracts.payment_commands import CapturePayment, RefundPayment
from shared.contracts.payments import PaymentCancelled
from shared.contracts.renewals import (
    RenewalCancelled,
    RenewalCompleted,
    RenewalFailed,
    RenewalRefunded,
    RenewalRequested,
)
from shared.contracts.topup_commands import ApplyTopUp
from shared.contracts.topups import TopUpApplied, TopUpCancelled, TopUpRejected
from tests.unit.renewal.story import Says, Story, requested

says = Says()
attempts = st.integers(1, 4)


def said(what: Callable[..., object]) -> st.SearchStrategy[object]:
    return st.builds(what)


ANYTHING = st.one_of(
    said(says.priced),
    said(says.rejected),
    st.builds(says.captured, attempts, st.sampled_from(("card-1", "card-2"))),
    st.builds(says.declined, st.sampled_from(("soft", "hard", "needs_customer")), attempts),
    st.builds(says.payment_failed, attempts, reached=st.booleans()),
    st.builds(says.action_required, attempts),
    st.builds(says.payment_cancelled, unresolved=st.booleans()),
    said(says.refunded),
    st.builds(says.refund_failed, attempts),
    st.builds(says.refund_rejected, st.sampled_from(("account_closed", "refund_returned")), attempts),
    said(says.surplus),
    said(says.disputed),
    said(says.applied),
    said(says.top_up_rejected),
    st.builds(says.top_up_failed, attempts, reached=st.booleans()),
    said(says.top_up_cancelled),
    st.builds(says.undetermined, attempts),
    *(st.just(timer()) for timer in (Silence, Deadline, DelayPromise, RetryDue)),
    st.sampled_from(
        (
            CustomerCancels("ana"),
            CustomerRetries("ana", "card-2"),
            OperatorRetries("otto"),
            OperatorCancels("otto"),
            OperatorRefunds("otto"),
            OperatorResolves("otto", "not_applied"),
        )
    ),
)


@given(st.lists(ANYTHING, max_size=40))
@settings(max_examples=1500, deadline=None)
def test_no_order_of_anything_breaks_what_the_saga_promises(messages: list[object]) -> None:
    story = Story(requested())
    heard: list[object] = []
    for message in messages:
        before = story.renewal
        story.when(message)
        heard.append(message)
        after, decision = story.renewal, story.last
        assert decision is not None
        if before.state in CLOSED:
            assert (after.state, decision.says) == (before.state, ()), "a closed renewal says nothing more"
        if any(isinstance(one, RefundPayment) for one in decision.says):
            assert any(isinstance(one, TopUpCancelled | TopUpRejected) for one in heard)
        if after.state in ("failed", "cancelled") and before.state != after.state:
            assert isinstance(message, PaymentCancelled), "no path ends without PaymentCancelled"
        if after.state == "completed" and before.state != after.state:
            assert isinstance(message, TopUpApplied)
        if after.state not in CLOSED:
            assert (after.next_due_at is None) == (after.state == "parked" and after.delayed)
            assert all(after.next_due_at <= alarm.at for alarm in alarms(after, POLICY) if after.next_due_at)
    ends = (RenewalCompleted, RenewalFailed, RenewalCancelled, RenewalRefunded)
    assert sum(isinstance(one, ends) for one in story.said) == (story.state in CLOSED)
    assert [entry.version for entry in story.history] == list(range(2, 2 + len(story.history)))
    # Only a question asked again has the id of the first: every other message is its own.
    ids = [one.event_id for one in story.said if not isinstance(one, RenewalRequested)]
    assert len(ids) == len(set(ids))


@given(st.lists(ANYTHING, max_size=40))
@settings(max_examples=500, deadline=None)
def test_attempts_never_fall_and_orders_are_for_the_current_one(messages: list[object]) -> None:
    story = Story(requested())
    for message in messages:
        before = story.renewal
        story.when(message)
        after, decision = story.renewal, story.last
        assert decision is not None
        assert after.payment_attempt - before.payment_attempt in (0, 1)
        assert after.top_up_attempt - before.top_up_attempt in (0, 1)
        assert after.refund_attempt - before.refund_attempt in (0, 1)
        for one in decision.says:
            if isinstance(one, CapturePayment):
                assert one.attempt == after.payment_attempt
                assert one.act_before > story.at
            if isinstance(one, ApplyTopUp):
                assert one.attempt == after.top_up_attempt
                assert one.act_before > story.at


@given(st.lists(ANYTHING, max_size=25))
@settings(max_examples=300, deadline=None)
def test_left_alone_every_renewal_closes_or_is_parked_within_the_sum_of_its_budgets(
    messages: list[object],
) -> None:
    """Nobody answers any more: only time passes."""
    story = Story(requested()).when(*messages)
    began = story.at
    for _ in range(500):
        waits = sorted(alarms(story.renewal, POLICY))
        if not waits:
            break
        story.at = max(story.at, waits[0].at)
        story.when(waits[0].timer)
    assert story.state == "parked" or story.state in CLOSED
    assert story.at - began < timedelta(days=3)
