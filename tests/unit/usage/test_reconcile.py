"""What the carrier says, beside ours: example by example, then against a slow and obvious model."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.usage.domain.balance import Balance, Granted
from services.usage.domain.burn import UNBURNT, burnt_bytes
from services.usage.domain.reconcile import AHEAD, Around, Bounds, Compared, Reported, reconcile, refusal
from tests.unit.usage.test_balance import DAY, NOW, add, before_recarga, left, top_up, use, with_top_ups

HOUR = timedelta(hours=1)
BOUNDS = Bounds(oldest=2 * DAY, settle=timedelta(seconds=30))
GRANTS = {f"top-up-{cycle}": top_up(cycle, 100) for cycle in (1, 2, 3)}


def compare(
    balance: Balance,
    remaining: int,
    *,
    taken: dict[str, int] | None = None,
    tolerance: int = 0,
    expires_at: datetime | None = None,
    at: datetime = NOW,
    untaken: int = 0,
    granted: dict[str, Granted] = GRANTS,
    since: datetime | None = None,
) -> Compared:
    around = Around(granted, taken or {}, untaken, since)
    return reconcile(balance, Reported(remaining, expires_at, at), around, tolerance)


def three_buckets(used: int = 0) -> Balance:
    balance = with_top_ups(top_up(1, 100), top_up(2, 100, "queue"), top_up(3, 100, "queue"))
    use(balance, used)
    balance.events.clear()
    return balance


def noted(balance: Balance) -> list[tuple[str, str, int]]:
    return [(event.bucket_id, event.kind, event.size) for event in balance.events]


# -- examples ---------------------------------------------------------------------------------------


def test_what_the_carrier_has_less_is_taken_from_the_first_and_noted() -> None:
    balance = three_buckets()
    assert compare(balance, 170) == Compared(170, 300, -130, -130, 0, is_taken_over=True)
    assert list(left(balance).values()) == [0, 70, 100]
    assert noted(balance) == [("top-up-1", "reconciled", -100), ("top-up-2", "reconciled", -30)]
    assert balance.reported_at == NOW


def test_what_the_carrier_has_more_is_given_back_to_the_last_that_was_taken_from() -> None:
    balance = three_buckets(used=150)
    assert compare(balance, 220) == Compared(220, 150, 70, 70, 0, is_taken_over=True)
    assert list(left(balance).values()) == [20, 100, 100]
    assert noted(balance) == [("top-up-1", "reconciled", 20), ("top-up-2", "reconciled", 50)]


@pytest.mark.parametrize(
    ("reported", "untaken", "burnt"),
    [(240, 0, 60), (240, 25, 35), (240, 60, 0), (240, 70, 0), (300, 0, 0)],
)
def test_what_no_record_told_of_was_used_since_the_last_report(
    reported: int, untaken: int, burnt: int
) -> None:
    balance = three_buckets()
    compare(balance, reported, untaken=untaken, since=NOW - HOUR / 2)
    assert burnt_bytes(balance.burn, NOW) == burnt


def test_each_byte_of_a_report_is_used_once_and_what_is_given_back_never_was() -> None:
    balance = three_buckets()
    for minutes, reported in ((10, 250), (20, 250), (30, 280), (40, 230)):
        at = NOW + timedelta(minutes=minutes)
        compare(balance, reported, at=at, since=at - timedelta(minutes=10))
    assert balance.burn.used_bytes + balance.burn.before_bytes == 50 + 50


def test_one_byte_that_no_record_told_of_was_used_and_no_byte_moves_no_window() -> None:
    balance = three_buckets()
    compare(balance, 299, since=NOW - HOUR / 2)
    assert burnt_bytes(balance.burn, NOW) == 1
    before = balance.burn
    compare(balance, 299, at=NOW + 3 * HOUR, since=NOW)
    assert balance.burn == before


def test_what_nobody_says_that_the_carrier_counts_itself_is_nothing() -> None:
    assert reconcile(three_buckets(), Reported(300, None, NOW), Around(GRANTS, {}), 0).drift_bytes == 0


def test_where_we_count_a_report_says_nothing_of_the_rate() -> None:
    balance = three_buckets()
    compare(balance, 240)
    assert balance.burn == UNBURNT


def test_no_bucket_ever_has_more_than_it_was_granted() -> None:
    balance = three_buckets(used=10)
    assert compare(balance, 1000) == Compared(1000, 290, 710, 10, 700, is_taken_over=True)
    assert balance.remaining_bytes(NOW) == 300


def test_data_from_before_recarga_has_room_up_to_what_was_sold() -> None:
    granted = before_recarga("old", 100, 40, NOW + DAY)
    balance = with_top_ups(granted)
    assert compare(balance, 500, granted={"old": granted}) == Compared(
        500, 40, 460, 60, 400, is_taken_over=True
    )


def test_what_was_taken_since_is_part_of_what_was_there() -> None:
    balance = three_buckets(used=150)
    # 30 of the 150 flowed after the report.
    assert compare(balance, 170, taken={"top-up-2": 30}) == Compared(
        170, 180, -10, -10, 0, is_taken_over=True
    )
    assert list(left(balance).values()) == [0, 40, 100]


def test_room_is_counted_as_of_the_report() -> None:
    balance = three_buckets(used=100)
    assert compare(balance, 350, taken={"top-up-1": 60}).corrected_bytes == 40
    assert list(left(balance).values()) == [40, 100, 100]


def test_what_was_taken_since_from_a_bucket_that_is_closed_was_there_too() -> None:
    balance = three_buckets()
    assert compare(balance, 350, taken={"gone": 50}) == Compared(350, 350, 0, 0, 0, is_taken_over=True)


def test_a_top_up_after_the_report_is_not_compared_but_pays_what_is_missing() -> None:
    balance = with_top_ups(top_up(1, 100))
    later = Granted("top-up-2", 2, "queue", 100, 100, NOW + 30 * DAY, NOW + HOUR)
    add(balance, later)
    use(balance, 90)
    granted = {"top-up-1": top_up(1, 100), "top-up-2": later}
    # 60 were left then, and 90 were used since: 30 of those are of the top-up.
    result = compare(balance, 60, taken={"top-up-1": 90}, granted=granted)
    assert result == Compared(60, 100, -40, -40, 0, is_taken_over=True)
    assert left(balance) == {"top-up-1": 0, "top-up-2": 70}


def test_what_nobody_had_any_more_is_told() -> None:
    balance = with_top_ups(top_up(1, 100))
    use(balance, 100)
    assert compare(balance, 60, taken={"top-up-1": 100}) == Compared(60, 100, -40, 0, -40, is_taken_over=True)


@pytest.mark.parametrize(
    ("remaining", "is_taken_over"), [(291, False), (290, False), (289, True), (310, False), (300, False)]
)
def test_a_difference_of_the_tolerance_is_only_measured(remaining: int, is_taken_over: bool) -> None:
    balance = three_buckets()
    result = compare(balance, remaining, tolerance=10)
    assert (result.drift_bytes, result.is_taken_over) == (remaining - 300, is_taken_over)
    assert result.unplaced_bytes == 0
    assert balance.remaining_bytes(NOW) == (remaining if is_taken_over else 300)
    assert balance.reported_at == (NOW if is_taken_over else None)
    assert bool(balance.events) is is_taken_over


def test_what_the_carrier_counts_itself_is_no_drift() -> None:
    balance = three_buckets()
    assert compare(balance, 250, untaken=60) == Compared(250, 300, 10, -50, 0, is_taken_over=True)


def test_the_expiry_moves_with_the_carriers_word() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + 2 * DAY), top_up(2, 100, "queue", NOW + 9 * DAY))
    balance.events.clear()
    compare(balance, 200, expires_at=NOW + 5 * DAY)
    assert [bucket.expires_at for bucket in balance.buckets] == [NOW + 2 * DAY, NOW + 5 * DAY]
    assert noted(balance) == [("top-up-2", "reconciled", 0)]
    compare(balance, 200, expires_at=NOW + 7 * DAY)
    assert [bucket.expires_at for bucket in balance.buckets] == [NOW + 2 * DAY, NOW + 7 * DAY]
    compare(balance, 200, expires_at=NOW + DAY)
    assert [bucket.expires_at for bucket in balance.buckets] == [NOW + DAY, NOW + DAY]


def test_the_expiry_moves_within_the_tolerance_too_and_what_stays_is_not_noted() -> None:
    balance = three_buckets()
    compare(balance, 299, tolerance=5, expires_at=NOW + 30 * DAY)
    assert balance.events == []
    compare(balance, 299, tolerance=5, expires_at=NOW + 31 * DAY)
    assert noted(balance) == [(f"top-up-{cycle}", "reconciled", 0) for cycle in (1, 2, 3)]


def test_what_lapsed_here_lives_on_where_the_carrier_says_so() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW - HOUR))
    assert compare(balance, 80, expires_at=NOW + DAY) == Compared(80, 100, -20, -20, 0, is_taken_over=True)
    assert balance.remaining_bytes(NOW) == 80


def test_what_had_lapsed_by_then_is_not_compared() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW), top_up(2, 100, "queue"))
    assert compare(balance, 90) == Compared(90, 100, -10, -10, 0, is_taken_over=True)
    assert list(left(balance).values()) == [100, 90]


def test_a_moved_expiry_keeps_the_order_of_consumption() -> None:
    one, two = before_recarga("b", 9, 9, NOW + DAY), before_recarga("a", 9, 9, NOW + 2 * DAY)
    balance = with_top_ups(two, one)
    assert [bucket.bucket_id for bucket in balance.buckets] == ["b", "a"]
    compare(balance, 18, expires_at=NOW + HOUR, granted={"b": one, "a": two})
    assert [bucket.bucket_id for bucket in balance.buckets] == ["a", "b"]


# -- which reports are looked at ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "last_at", "verdict"),
    [
        (NOW, None, None),
        (NOW + timedelta(minutes=5), None, None),
        (NOW + timedelta(minutes=5, microseconds=1), None, "in_future"),
        (NOW + AHEAD + timedelta(microseconds=1), None, "in_future"),
        (NOW - 2 * DAY, None, None),
        (NOW - 2 * DAY - timedelta(microseconds=1), None, "too_old"),
        (NOW, NOW - timedelta(microseconds=1), None),
        (NOW, NOW, "stale"),
        (NOW, NOW + HOUR, "stale"),
    ],
)
def test_a_report_is_looked_at_if_it_is_news(at: datetime, last_at: datetime | None, verdict: object) -> None:
    assert refusal(at, last_at, [], BOUNDS, NOW) == verdict


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(-31, "stale"), (-30, "stale"), (-29, "unsettled"), (29, "unsettled"), (30, None)],
)
def test_a_report_around_a_top_up_is_passed_over(seconds: int, verdict: object) -> None:
    assert refusal(NOW + timedelta(seconds=seconds), None, [top_up(1, 100)], BOUNDS, NOW) == verdict


def test_without_a_margin_a_report_has_the_top_up_of_its_moment() -> None:
    at_once = Bounds(oldest=DAY, settle=timedelta())
    assert refusal(NOW, None, [top_up(1, 100)], at_once, NOW) is None
    assert refusal(NOW - timedelta(microseconds=1), None, [top_up(1, 100)], at_once, NOW) == "stale"


def test_a_report_of_before_the_last_of_several_top_ups_is_looked_at() -> None:
    newer = Granted("top-up-2", 2, "extend", 100, 100, NOW + DAY, NOW)
    older = Granted("top-up-1", 1, "extend", 100, 100, NOW + DAY, NOW - DAY)
    assert refusal(NOW - HOUR, None, [newer, older], BOUNDS, NOW) is None


# -- against the obvious model: a heap of single bytes, each with its bucket ---------------------------


@dataclass
class Heap:
    """A bucket as the number of bytes that are in it, and how many may be."""

    name: str
    here: int
    room: int


def reconcile_slowly(heaps: list[Heap], theirs: int) -> int:
    """One byte at a time, from the front or to the back; how many found no place."""
    unplaced = 0
    while sum(heap.here for heap in heaps) + unplaced > theirs:
        fullest = next((heap for heap in heaps if heap.here > 0), None)
        if fullest is None:
            unplaced -= 1
        else:
            fullest.here -= 1
            fullest.room += 1
    while sum(heap.here for heap in heaps) + unplaced < theirs:
        last = next((heap for heap in reversed(heaps) if heap.room > 0), None)
        if last is None:
            unplaced += 1
        else:
            last.here += 1
            last.room -= 1
    return unplaced


sizes = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12)), min_size=1, max_size=4)


@given(sizes, st.integers(0, 60))
def test_reconciling_agrees_with_moving_one_byte_at_a_time(made: list[tuple[int, int]], theirs: int) -> None:
    grants = [
        before_recarga(f"b{number}", size, min(size, rest), NOW + (number + 1) * DAY)
        for number, (size, rest) in enumerate(made)
    ]
    balance = with_top_ups(*grants)
    heaps = [
        Heap(each.bucket_id, each.initial_bytes, each.granted_bytes - each.initial_bytes) for each in grants
    ]
    ours = sum(heap.here for heap in heaps)
    result = compare(balance, theirs, granted={each.bucket_id: each for each in grants})
    assert result.unplaced_bytes == reconcile_slowly(heaps, theirs)
    assert left(balance) == {heap.name: heap.here for heap in heaps}
    assert result.drift_bytes == theirs - ours == result.corrected_bytes + result.unplaced_bytes


moves = st.lists(
    st.one_of(
        st.tuples(st.just("use"), st.integers(0, 30)),
        st.tuples(st.just("report"), st.integers(0, 120)),
        st.tuples(st.just("top_up"), st.integers(1, 30)),
    ),
    max_size=15,
)


@given(moves, st.integers(0, 5))
def test_a_reports_word_holds_and_events_explain_every_byte(
    steps: list[tuple[str, int]], tolerance: int
) -> None:
    """Without lapses: whatever happens, granted + events - used is what is left, bucket by bucket."""
    balance = Balance("sub-1")
    granted: dict[str, Granted] = {}
    used: dict[str, int] = {}
    for cycle, (what, number) in enumerate(steps, start=1):
        if what == "use":
            for bucket_id, part in use(balance, number).buckets:
                used[bucket_id] = used.get(bucket_id, 0) + part
        elif what == "top_up":
            brought = top_up(cycle, number, "queue")
            granted[brought.bucket_id] = brought
            add(balance, brought)
        else:
            before = balance.remaining_bytes(NOW)
            result = compare(balance, number, tolerance=tolerance, granted=granted)
            assert result.ours_bytes == before
            after = balance.remaining_bytes(NOW)
            assert after == (number - result.unplaced_bytes if result.is_taken_over else before)
            assert result.is_taken_over or abs(number - before) <= tolerance
        for bucket in balance.buckets:
            noted_bytes = sum(e.size for e in balance.events if e.bucket_id == bucket.bucket_id)
            assert bucket.remaining_bytes == noted_bytes - used.get(bucket.bucket_id, 0)
            assert 0 <= bucket.remaining_bytes <= granted[bucket.bucket_id].granted_bytes
