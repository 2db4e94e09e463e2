"""To the instant: when a bucket lapses, what is prolonged, closed or marked, and who is emptied first."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.usage.domain.balance import Balance, Taken, consume
from shared.contracts.fields import Stacking
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


def noted(balance: Balance) -> list[tuple[str, str, int]]:
    return [(event.bucket_id, event.kind, event.size) for event in balance.events]


def test_a_bucket_lapses_at_its_instant_and_not_before() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY))
    assert balance.remaining_bytes(NOW + DAY - timedelta(microseconds=1)) == 100
    assert balance.remaining_bytes(NOW + DAY) == 0


def test_a_record_that_begins_as_a_bucket_lapses_is_an_overrun() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY))
    use(balance, 10, NOW + DAY)
    assert (left(balance), balance.overrun_bytes) == ({"top-up-1": 100}, 10)


def test_what_one_bucket_has_not_got_is_taken_from_the_next_and_it_is_known_which_gave_what() -> None:
    balance = with_top_ups(top_up(1, 100), top_up(2, 100, "queue"), top_up(3, 100, "queue"))
    assert use(balance, 130) == Taken((("top-up-1", 100), ("top-up-2", 30)), 0)
    assert use(balance, 200) == Taken((("top-up-2", 70), ("top-up-3", 100)), 30)


def test_a_new_bucket_begins_its_cycle_and_is_noted() -> None:
    balance = with_top_ups(top_up(1, 100))
    [bucket] = balance.buckets
    assert (bucket.priority, balance.cycle, balance.cycle_began_at) == (1, 1, NOW)
    assert noted(balance) == [("top-up-1", "granted", 100)]


def test_what_is_prolonged_or_replaced_is_noted_with_what_is_lost() -> None:
    prolonged = with_top_ups(top_up(1, 100, expires_at=NOW + DAY), top_up(2, 100, "extend", NOW + 2 * DAY))
    assert ("top-up-1", "prolonged", 0) in noted(prolonged)
    replaced = with_top_ups(top_up(1, 100))
    use(replaced, 30)
    add(replaced, top_up(2, 100, "replace"))
    assert ("top-up-1", "replaced", -70) in noted(replaced)


@pytest.mark.parametrize(
    ("stacking", "until"), [("extend", 35 * DAY), ("queue", 35 * DAY), ("replace", 31 * DAY)]
)
def test_what_was_sold_lasts_from_the_end_of_what_is_left_or_from_now_where_it_replaces_that(
    stacking: Stacking, until: timedelta
) -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + 5 * DAY))
    granted = add(balance, as_sold(2, 100, stacking, 30 * DAY, NOW + DAY))
    assert granted.expires_at == NOW + until
    assert balance.expires_at(NOW + DAY) == NOW + until


@pytest.mark.parametrize(("used", "lapses_at"), [(100, NOW + 5 * DAY), (0, NOW + DAY)])
def test_where_nothing_is_left_what_was_sold_lasts_from_when_it_was_applied(
    used: int, lapses_at: datetime
) -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=lapses_at))
    use(balance, used)
    add(balance, as_sold(2, 100, "extend", 30 * DAY, NOW + 2 * DAY))
    assert balance.expires_at(NOW + 2 * DAY) == NOW + 32 * DAY


def test_what_the_carrier_says_of_an_end_is_not_moved_by_a_top_up_that_comes_late() -> None:
    balance = with_top_ups(as_sold(2, 100, "queue", 10 * DAY))
    balance.buckets[0].end(NOW + 20 * DAY)
    add(balance, as_sold(1, 100, "queue", 5 * DAY))
    assert {each.bucket_id: each.expires_at for each in balance.buckets} == {
        "top-up-1": NOW + 5 * DAY,
        "top-up-2": NOW + 20 * DAY,
    }


def test_a_top_up_that_comes_late_shortens_what_was_added_to_what_it_replaced() -> None:
    balance = with_top_ups(as_sold(1, 100, "extend", 10 * DAY), as_sold(3, 100, "queue", 30 * DAY))
    balance.events.clear()
    add(balance, as_sold(2, 100, "replace", 5 * DAY))
    assert noted(balance) == [
        ("top-up-1", "replaced", -100),
        ("top-up-2", "granted", 100),
        ("top-up-3", "shortened", 0),
    ]
    assert balance.expires_at(NOW) == NOW + 35 * DAY


def test_where_overrun_is_written_off_a_late_record_takes_nothing_from_what_was_bought_since() -> None:
    balance = with_top_ups(top_up(1, 100))
    add(balance, top_up(2, 100, "queue"), now=NOW + DAY)
    assert use(balance, 130, NOW + DAY - timedelta(microseconds=1)) == Taken((("top-up-1", 100),), 30)
    assert use(balance, 130, NOW + DAY) == Taken((("top-up-2", 100),), 30)


def test_a_record_that_flowed_into_the_time_of_a_top_up_takes_from_it() -> None:
    balance = with_top_ups(top_up(1, 100))
    add(balance, top_up(2, 100, "queue"), now=NOW + DAY)
    taken = consume(balance, 130, NOW, NOW + DAY, owes_overrun=False)
    assert taken == Taken((("top-up-1", 100), ("top-up-2", 30)), 0)


def test_what_later_records_took_of_an_old_bucket_is_there_for_a_late_one_in_the_next() -> None:
    balance = with_top_ups(top_up(1, 100))
    add(balance, top_up(2, 100, "queue"), now=NOW + DAY)
    use(balance, 40, NOW + 2 * DAY)
    assert use(balance, 130, NOW) == Taken((("top-up-1", 60), ("top-up-2", 40)), 30)
    assert use(balance, 5, NOW) == Taken((), 5)


def test_data_from_before_recarga_was_there_whenever_something_was_used() -> None:
    balance = with_top_ups(before_recarga("old", 100, 60, NOW + DAY))
    assert use(balance, 70, NOW - 9 * DAY) == Taken((("old", 60),), 10)


def test_what_lasts_as_long_already_is_not_noted_again() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY), top_up(2, 100, "extend", NOW + DAY))
    assert [kind for _, kind, _ in noted(balance)] == ["granted", "granted"]


def test_an_overrun_is_written_off_or_paid_by_the_next_bucket_as_the_carrier_wants() -> None:
    written_off = with_top_ups(top_up(1, 100))
    consume(written_off, 130, NOW, NOW, owes_overrun=False)
    add(written_off, top_up(2, 100, "queue"))
    assert (written_off.remaining_bytes(NOW), written_off.overrun_bytes) == (100, 30)
    owed = with_top_ups(top_up(1, 100))
    consume(owed, 130, NOW, NOW, owes_overrun=True)
    assert owed.owed_bytes == 30
    add(owed, top_up(2, 100, "queue"))
    assert (owed.remaining_bytes(NOW), owed.overrun_bytes, owed.owed_bytes) == (70, 30, 0)
    assert ("top-up-2", "paid_overrun", -30) in noted(owed)


def test_what_a_bucket_cannot_pay_is_owed_on() -> None:
    balance = with_top_ups(top_up(1, 100))
    consume(balance, 250, NOW, NOW, owes_overrun=True)
    add(balance, top_up(2, 100, "queue"))
    assert (balance.remaining_bytes(NOW), balance.owed_bytes) == (0, 50)


def test_a_bucket_that_lapses_as_the_next_one_comes_is_not_prolonged() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY))
    add(balance, top_up(2, 50, "extend", NOW + 30 * DAY), now=NOW + DAY)
    assert balance.remaining_bytes(NOW + DAY) == 50


def test_data_of_the_same_cycle_from_before_is_not_stacked_upon() -> None:
    mine = replace(before_recarga("from-before", 100, 100, NOW + DAY), cycle=1)
    balance = with_top_ups(mine, top_up(1, 50, "extend", NOW + 30 * DAY))
    assert balance.remaining_bytes(NOW + DAY) == 50
    late = with_top_ups(top_up(1, 50, "extend", NOW + 30 * DAY), mine)
    assert late.remaining_bytes(NOW + DAY) == 50


def test_what_extends_a_queued_bucket_is_taken_after_it_and_before_what_is_queued_next() -> None:
    balance = with_top_ups(
        top_up(1, 10),
        top_up(2, 10, "queue"),
        top_up(3, 10, "extend", NOW + 60 * DAY),
        top_up(4, 10, "queue", NOW + 20 * DAY),
    )
    use(balance, 25, NOW)
    assert list(left(balance).values()) == [0, 0, 5, 10]
    assert [bucket.bucket_id for bucket in balance.buckets] == [
        "top-up-1",
        "top-up-2",
        "top-up-3",
        "top-up-4",
    ]


def test_an_extension_alone_has_the_place_of_its_cycle() -> None:
    balance = with_top_ups(top_up(7, 10), top_up(8, 10, "queue"))
    assert [bucket.priority for bucket in balance.buckets] == [7, 8]


@pytest.mark.parametrize(
    ("ago", "is_over"), [(LATE - timedelta(microseconds=1), False), (LATE, True), (LATE + DAY, True)]
)
def test_a_bucket_is_over_once_no_late_record_can_concern_it(ago: timedelta, is_over: bool) -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW))
    add(balance, top_up(2, 10, "queue", NOW + 40 * DAY), now=NOW + ago)
    assert ("top-up-1" in left(balance)) is not is_over


def test_an_empty_bucket_is_over_with_its_cycle_and_not_before() -> None:
    balance = with_top_ups(top_up(1, 100))
    use(balance, 100, NOW)
    assert left(balance) == {"top-up-1": 0}
    add(balance, top_up(2, 10, "queue"))
    assert left(balance) == {"top-up-2": 10}
