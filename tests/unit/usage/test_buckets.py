"""To the instant: when a bucket lapses, what is prolonged, closed or marked, and who is emptied first."""

from datetime import timedelta

import pytest

from services.usage.domain.balance import Balance, Bucket, consume
from tests.unit.usage.test_balance import DAY, LATE, NOW, add, before_recarga, left, top_up, with_top_ups


def stored(*buckets: Bucket) -> Balance:
    """A balance as it is read: nothing is new or changed."""
    balance = with_top_ups(*buckets)
    for bucket in balance.buckets:
        bucket.is_new = bucket.is_changed = False
    return balance


def changed(balance: Balance) -> set[str]:
    return {bucket.bucket_id for bucket in balance.buckets if bucket.is_changed}


def test_a_bucket_lapses_at_its_instant_and_not_before() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY))
    assert balance.remaining_bytes(NOW + DAY - timedelta(microseconds=1)) == 100
    assert balance.remaining_bytes(NOW + DAY) == 0


def test_a_record_that_begins_as_a_bucket_lapses_is_an_overrun() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY))
    consume(balance, 10, NOW + DAY)
    assert (left(balance), balance.overrun_bytes) == ({"top-up-1": 100}, 10)


def test_only_buckets_that_gave_bytes_are_marked_as_changed() -> None:
    balance = stored(top_up(1, 100), top_up(2, 100, "queue"), top_up(3, 100, "queue"))
    consume(balance, 130, NOW)
    assert changed(balance) == {"top-up-1", "top-up-2"}


def test_a_new_bucket_is_marked_as_such_and_knows_when_it_came() -> None:
    balance = Balance("sub-1")
    assert add(balance, top_up(1, 100)) is True
    [bucket] = balance.buckets
    assert (bucket.is_new, bucket.created_at, bucket.priority) == (True, NOW, 1)
    assert add(balance, top_up(1, 100)) is False


def test_a_bucket_as_it_is_read_is_neither_new_nor_changed_and_has_no_place_of_its_own() -> None:
    bucket = top_up(1, 100)
    assert (bucket.is_new, bucket.is_changed, bucket.priority) == (False, False, 0)


def test_what_is_prolonged_or_replaced_is_marked_as_changed() -> None:
    prolonged = stored(top_up(1, 100, expires_at=NOW + DAY))
    add(prolonged, top_up(2, 100, "extend", NOW + 2 * DAY))
    assert changed(prolonged) == {"top-up-1"}
    replaced = stored(top_up(1, 100))
    add(replaced, top_up(2, 100, "replace"))
    assert changed(replaced) == {"top-up-1"}


def test_a_bucket_that_lapses_as_the_next_one_comes_is_not_prolonged() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY))
    add(balance, top_up(2, 50, "extend", NOW + 30 * DAY), now=NOW + DAY)
    assert balance.remaining_bytes(NOW + DAY) == 50


def test_data_of_the_same_cycle_from_before_is_not_stacked_upon() -> None:
    mine = before_recarga("from-before", 100, 100, NOW + DAY)
    mine.cycle = 1
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
    consume(balance, 25, NOW)
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
    consume(balance, 100, NOW)
    assert left(balance) == {"top-up-1": 0}
    add(balance, top_up(2, 10, "queue"))
    assert left(balance) == {"top-up-2": 10}
