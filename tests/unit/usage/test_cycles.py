"""Which cycle it is and what it granted, and of which time a late record may take."""

from dataclasses import replace
from datetime import timedelta

from services.usage.domain.balance import Balance, Granted, Taken, end_as_sold
from services.usage.domain.triggers import Wants, take_due
from tests.unit.usage.test_balance import (
    DAY,
    LATE,
    NOW,
    add,
    as_sold,
    before_recarga,
    left,
    top_up,
    use,
    with_top_ups,
)
from tests.unit.usage.test_buckets import noted

HOUR = timedelta(hours=1)


def with_two_times() -> Balance:
    """A hundred bytes since now, a hundred more since tomorrow."""
    balance = with_top_ups(top_up(1, 100))
    add(balance, top_up(2, 100, "queue"), now=NOW + DAY)
    return balance


def of_cycle(cycle: int, size: int, remaining: int) -> Granted:
    """Data from before Recarga that belongs to a cycle of it."""
    return replace(before_recarga("from-before", size, remaining, NOW + 9 * DAY), cycle=cycle)


def test_an_open_bucket_is_found_by_its_name() -> None:
    balance = with_top_ups(top_up(1, 100), top_up(2, 50, "queue"))
    found = balance.bucket("top-up-2")
    assert found is not None
    assert (found.bucket_id, found.remaining_bytes) == ("top-up-2", 50)
    assert balance.bucket("top-up-3") is None


# -- late records -----------------------------------------------------------------------------------


def test_of_a_bucket_that_is_closed_nobody_knows_what_was_borrowed_so_a_late_record_takes_nothing() -> None:
    balance = with_two_times()
    use(balance, 100, NOW + 2 * DAY)
    assert left(balance) == {"top-up-1": 0, "top-up-2": 100}
    add(balance, top_up(3, 100, "queue"), now=NOW + 3 * DAY)
    assert use(balance, 50, NOW) == Taken((), 50)
    assert left(balance) == {"top-up-2": 100, "top-up-3": 100}


def test_what_was_taken_of_a_bucket_in_its_own_time_is_not_borrowed() -> None:
    balance = with_two_times()
    use(balance, 100, NOW + HOUR)
    use(balance, 40, NOW + 2 * DAY)
    assert use(balance, 30, NOW + HOUR) == Taken((), 30)
    assert left(balance) == {"top-up-1": 0, "top-up-2": 60}


def test_what_ended_as_a_bucket_began_borrows_of_the_older_one() -> None:
    balance = with_two_times()
    use(balance, 40, NOW + DAY)
    assert use(balance, 130, NOW) == Taken((("top-up-1", 60), ("top-up-2", 40)), 30)


# -- what was sold, and what it is stacked upon ---------------------------------------------------------


def test_what_replaces_lasts_from_when_it_was_applied_whatever_is_left() -> None:
    left_until = [NOW + 9 * DAY, NOW + 5 * DAY]
    assert end_as_sold("replace", NOW, 86_400, left_until) == NOW + DAY
    assert end_as_sold("queue", NOW, 86_400, left_until) == NOW + 10 * DAY
    assert end_as_sold("extend", NOW, 86_400, []) == NOW + DAY


def test_data_from_before_is_emptied_first_even_where_it_lasts_longest() -> None:
    balance = with_top_ups(
        before_recarga("old", 100, 100, NOW + 30 * DAY), top_up(1, 100, "queue", NOW + 10 * DAY)
    )
    use(balance, 60)
    assert left(balance) == {"old": 40, "top-up-1": 100}


def test_a_top_up_replaces_what_is_older_and_no_data_of_its_own_cycle() -> None:
    balance = with_top_ups(top_up(1, 100), of_cycle(2, 70, 70), top_up(2, 40, "replace"))
    assert left(balance) == {"from-before": 70, "top-up-2": 40}


def test_data_of_the_same_cycle_does_not_make_a_top_up_a_late_one() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + 5 * DAY), of_cycle(2, 50, 50))
    use(balance, 150)
    # Nothing is left, so it lasts from when it is applied.
    assert add(balance, as_sold(2, 100, "queue", 30 * DAY)).expires_at == NOW + 30 * DAY


# -- what is noted where a bucket is closed -----------------------------------------------------------


def test_a_top_up_that_comes_after_its_replacement_is_noted_as_replaced_at_once() -> None:
    balance = with_top_ups(top_up(2, 40, "replace"))
    balance.events.clear()
    add(balance, top_up(1, 100))
    assert noted(balance) == [("top-up-1", "granted", 100), ("top-up-1", "replaced", -100)]
    assert left(balance) == {"top-up-2": 40}


def test_what_is_closed_is_noted_as_emptied_or_as_lapsed_with_what_was_left() -> None:
    balance = with_top_ups(top_up(1, 100), top_up(2, 100, "queue", expires_at=NOW))
    use(balance, 100, NOW - HOUR)
    use(balance, 100, NOW)
    balance.events.clear()
    add(balance, top_up(3, 10, "queue", NOW + 40 * DAY), now=NOW + LATE)
    closed = [event for event in noted(balance) if event[1] != "granted"]
    assert closed == [("top-up-1", "emptied", 0), ("top-up-2", "lapsed", -100)]


# -- the cycle ----------------------------------------------------------------------------------------


def test_a_cycle_grants_the_sum_of_its_buckets_and_begins_with_the_first() -> None:
    for first, second in ((NOW, NOW + HOUR), (NOW + HOUR, NOW)):
        balance = Balance("sub-1")
        add(balance, of_cycle(1, 300, 20), now=first)
        add(balance, top_up(1, 500, "queue"), now=second)
        assert (balance.cycle, balance.granted_bytes, balance.cycle_began_at) == (1, 800, NOW)


def test_what_was_said_in_a_cycle_is_not_said_again_because_it_grants_more() -> None:
    wants = Wants(50)
    balance = with_top_ups(top_up(1, 1000))
    use(balance, 600)
    assert [each.kind for each in take_due(balance, NOW, wants)] == ["threshold_reached"]
    add(balance, of_cycle(1, 10, 10))
    assert take_due(balance, NOW, wants) == []
