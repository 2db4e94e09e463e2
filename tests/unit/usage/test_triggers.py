"""What is said of a balance that runs out, word for word."""

from services.usage.domain.balance import Balance
from services.usage.domain.triggers import Trigger, due
from shared.contracts.fields import MAX_BYTES
from shared.contracts.quotas import QuotaExhausted, QuotaThresholdReached
from tests.unit.usage.test_balance import NOW, top_up, with_top_ups


def test_a_trigger_is_said_by_its_kind_with_what_is_left() -> None:
    reached = Trigger("sub-1", 3, "threshold_reached", 70, 100)
    assert reached.message(NOW) == QuotaThresholdReached(
        subscription_id="sub-1", cycle=3, remaining_bytes=70, occurred_at=NOW, threshold_bytes=100
    )
    exhausted = Trigger("sub-1", 3, "exhausted", 0, 100)
    assert exhausted.message(NOW) == QuotaExhausted(
        subscription_id="sub-1", cycle=3, remaining_bytes=0, occurred_at=NOW
    )


def test_what_is_due_says_of_whom_of_which_cycle_and_of_how_much() -> None:
    balance = with_top_ups(top_up(4, 1000))
    balance.buckets[0].remaining_bytes = 60
    assert due(balance, NOW) == [Trigger("sub-1", 4, "threshold_reached", 60, 100)]


def test_more_than_a_message_can_hold_is_said_as_the_most_it_can() -> None:
    balance = Balance("sub-1", cycle=1, threshold_bytes=MAX_BYTES * 2)
    bucket = top_up(1, MAX_BYTES + 5)
    balance.buckets.append(bucket)
    assert due(balance, NOW) == [Trigger("sub-1", 1, "threshold_reached", MAX_BYTES, MAX_BYTES)]
