"""Bucket arithmetic, against a slow and obvious model."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.usage.domain.balance import (
    Balance,
    Granted,
    Taken,
    add_bucket,
    consume,
    top_up_bucket_id,
)
from services.usage.domain.triggers import Wants, take_due
from shared.contracts.fields import Stacking

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LATE = timedelta(days=2)


def top_up(
    cycle: int,
    size: int,
    stacking: Stacking = "extend",
    expires_at: datetime = NOW + 30 * DAY,
) -> Granted:
    return Granted(top_up_bucket_id(cycle), cycle, stacking, size, size, expires_at, NOW)


def before_recarga(bucket_id: str, size: int, remaining: int, expires_at: datetime) -> Granted:
    return Granted(bucket_id, 0, None, size, remaining, expires_at, NOW)


def as_sold(cycle: int, size: int, stacking: Stacking, sold_for: timedelta, at: datetime = NOW) -> Granted:
    """A top-up of which the carrier does not say when it ends."""
    name = top_up_bucket_id(cycle)
    return Granted(name, cycle, stacking, size, size, at + sold_for, at, int(sold_for.total_seconds()))


def add(balance: Balance, granted: Granted, now: datetime | None = None) -> Granted:
    """Added as it was applied, or `now`."""
    at = now or granted.began_at
    return add_bucket(balance, replace(granted, began_at=at), at, LATE)


def use(balance: Balance, size: int, at: datetime = NOW) -> Taken:
    """An instant's use of a carrier that writes overruns off."""
    return consume(balance, size, at, at, owes_overrun=False)


def with_top_ups(*grants: Granted) -> Balance:
    balance = Balance("sub-1")
    for granted in grants:
        add(balance, granted)
    return balance


def left(balance: Balance) -> dict[str, int]:
    return {bucket.bucket_id: bucket.remaining_bytes for bucket in balance.buckets}


# -- the obvious model: one byte at a time, from a list of (name, priority, expiry) ---------------


@dataclass
class Slow:
    name: str
    bytes_left: int
    lapses: datetime


def consume_slowly(buckets: list[Slow], size: int, at: datetime) -> int:
    """Bytes that nobody had."""
    overrun = 0
    for _ in range(size):
        usable = [bucket for bucket in buckets if bucket.bytes_left > 0 and bucket.lapses > at]
        if usable:
            min(usable, key=lambda bucket: (bucket.lapses, bucket.name)).bytes_left -= 1
        else:
            overrun += 1
    return overrun


seeds = st.lists(
    st.tuples(st.integers(0, 30), st.integers(-3, 3)), max_size=5
)  # (bytes, days from now until it lapses)
uses = st.lists(st.tuples(st.integers(0, 40), st.integers(-4, 4)), max_size=8)  # (bytes, days from now)


@given(seeds, uses)
def test_consumption_agrees_with_taking_one_byte_at_a_time(
    given_buckets: list[tuple[int, int]], used: list[tuple[int, int]]
) -> None:
    balance = Balance("sub-1")
    slow = []
    for number, (size, days) in enumerate(given_buckets):
        lapses = NOW + days * DAY
        add_bucket(balance, before_recarga(f"b{number}", 30, size, lapses), NOW, timedelta(days=99))
        slow.append(Slow(f"b{number}", size, lapses))
    overrun = 0
    for size, days in used:
        use(balance, size, NOW + days * DAY)
        overrun += consume_slowly(slow, size, NOW + days * DAY)
        assert left(balance) == {each.name: each.bytes_left for each in slow}
        assert balance.overrun_bytes == overrun
    assert balance.used_bytes == sum(size for size, _ in used)


@given(st.lists(st.integers(0, 500), max_size=20))
def test_bytes_are_neither_made_nor_lost(sizes: list[int]) -> None:
    balance = with_top_ups(top_up(1, 700), top_up(2, 300, "queue"))
    for size in sizes:
        use(balance, size, NOW)
    assert balance.remaining_bytes(NOW) == 1000 - sum(sizes) + balance.overrun_bytes
    assert (balance.overrun_bytes == 0) == (sum(sizes) <= 1000)


# -- stacking ---------------------------------------------------------------------------------------


def test_extend_adds_bytes_and_prolongs_what_is_left() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + 5 * DAY))
    use(balance, 60, NOW)
    add(balance, top_up(2, 500, "extend", NOW + 35 * DAY))
    assert balance.remaining_bytes(NOW + 20 * DAY) == 540
    use(balance, 50, NOW)
    assert left(balance) == {"top-up-1": 0, "top-up-2": 490}


def test_extend_never_shortens_what_is_left() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + 35 * DAY), top_up(2, 50, "extend", NOW + DAY))
    assert balance.remaining_bytes(NOW + 20 * DAY) == 100


def test_extend_does_not_revive_what_has_lapsed() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY))
    add(balance, top_up(2, 50, "extend", NOW + 35 * DAY), now=NOW + 2 * DAY)
    assert balance.remaining_bytes(NOW + 2 * DAY) == 50


def test_queue_waits_even_where_it_expires_first() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + 30 * DAY), top_up(2, 100, "queue", NOW + 10 * DAY))
    use(balance, 70, NOW)
    assert left(balance) == {"top-up-1": 30, "top-up-2": 100}
    use(balance, 70, NOW)
    assert left(balance) == {"top-up-1": 0, "top-up-2": 60}


def test_replace_takes_the_place_of_what_is_left() -> None:
    balance = with_top_ups(top_up(1, 100), top_up(2, 40, "replace"))
    assert left(balance) == {"top-up-2": 40}


def test_a_bucket_that_lapsed_still_takes_a_late_record_from_before_its_end() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY))
    use(balance, 30, NOW)
    use(balance, 30, NOW + 2 * DAY)
    assert (left(balance), balance.overrun_bytes) == ({"top-up-1": 70}, 30)


def test_buckets_that_are_over_are_closed_when_the_next_one_comes() -> None:
    balance = with_top_ups(top_up(1, 100), top_up(2, 100, expires_at=NOW + DAY))
    use(balance, 150, NOW)
    add(balance, top_up(3, 10, "queue", NOW + 40 * DAY), now=NOW + DAY + LATE)
    assert set(left(balance)) == {"top-up-3"} | {
        bucket.bucket_id for bucket in balance.buckets if bucket.remaining_bytes
    }


stackings: st.SearchStrategy[Stacking] = st.sampled_from(("extend", "queue", "replace"))


@given(st.lists(st.tuples(stackings, st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4))
def test_what_is_left_does_not_depend_on_the_order_in_which_top_ups_arrive(
    kinds: list[tuple[Stacking, int, int]],
) -> None:
    top_ups = [
        top_up(cycle, size, stacking, NOW + days * DAY)
        for cycle, (stacking, size, days) in enumerate(kinds, start=1)
    ]
    ends = set()
    for order in permutations(top_ups):
        balance = with_top_ups(*order)
        ends.add(
            (
                balance.cycle,
                balance.granted_bytes,
                balance.replaced_cycle,
                tuple(sorted((each.bucket_id, each.remaining_bytes) for each in balance.buckets)),
                tuple(balance.remaining_bytes(NOW + days * DAY) for days in range(10)),
            )
        )
    assert len(ends) == 1


# -- triggers ---------------------------------------------------------------------------------------


WANTS = Wants(threshold_percent=10)


def said(balance: Balance) -> list[tuple[str, int]]:
    return [(trigger.kind, trigger.message.cycle) for trigger in take_due(balance, NOW, WANTS)]


@pytest.mark.parametrize(
    ("used", "kinds"),
    [
        (0, []),
        (899, []),
        (900, ["threshold_reached"]),
        (999, ["threshold_reached"]),
        (1000, ["threshold_reached", "exhausted"]),
        (5000, ["threshold_reached", "exhausted"]),
    ],
)
def test_the_threshold_is_a_tenth_of_what_the_cycle_granted(used: int, kinds: list[str]) -> None:
    balance = with_top_ups(top_up(3, 1000))
    use(balance, used, NOW)
    assert [kind for kind, _ in said(balance)] == kinds


def test_no_trigger_while_another_bucket_waits() -> None:
    balance = with_top_ups(top_up(1, 1000), top_up(2, 1000, "queue"))
    use(balance, 1000, NOW)
    assert said(balance) == []
    use(balance, 950, NOW)
    assert said(balance) == [("threshold_reached", 2)]


def test_no_trigger_for_what_was_never_measured() -> None:
    balance = Balance("sub-1")
    use(balance, 10**9, NOW)
    assert said(balance) == []


def test_an_older_top_up_that_comes_late_does_not_change_the_threshold() -> None:
    balance = with_top_ups(top_up(5, 1000), top_up(4, 50))
    assert (balance.cycle, balance.granted_bytes) == (5, 1000)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("use"), st.integers(0, 120)),
        st.tuples(st.just("top_up"), st.integers(1, 6)),
    ),
    max_size=25,
)


@given(steps)
def test_each_kind_is_said_once_per_cycle_as_soon_as_it_holds(taken: list[tuple[str, int]]) -> None:
    balance = Balance("sub-1")
    heard: set[tuple[str, int]] = set()
    for what, number in taken:
        if what == "use":
            use(balance, number)
        elif top_up_bucket_id(number) not in left(balance):
            add(balance, top_up(number, 100))
        new = said(balance)
        assert heard.isdisjoint(new)
        heard.update(new)
        remaining = balance.remaining_bytes(NOW)
        if balance.granted_bytes and remaining <= WANTS.threshold(balance.granted_bytes):
            assert ("threshold_reached", balance.cycle) in heard
        if balance.granted_bytes and not remaining:
            assert ("exhausted", balance.cycle) in heard
        assert all(cycle == balance.cycle for _, cycle in new)
