"""How fast data is used: windows at their edges, and what was used at some time between two moments."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.usage.domain.burn import (
    UNBURNT,
    WINDOW_SECONDS,
    Burn,
    burn_between,
    burn_more,
    burn_record,
    burnt_bytes,
    exhausted_at,
    is_exhausted_within,
)
from tests.unit.usage.test_balance import NOW

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
WINDOW = WINDOW_SECONDS * SECOND
BEGIN = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
"""Of the window in which NOW lies: until 9."""
sizes = st.integers(0, 10**12)
ahead = st.integers(0, 4 * WINDOW_SECONDS)


def evenly(size: int, seconds: int, of: int) -> int:
    """What of `size` bytes in `seconds` fell into the last `of` of them."""
    return int(Fraction(size * min(of, seconds), seconds)) if seconds else size


@given(size=sizes, seconds=ahead, at=ahead)
def test_it_is_spread_evenly_over_both_windows_and_what_is_older_is_left_out(
    size: int, seconds: int, at: int
) -> None:
    until = NOW + at * SECOND
    burn = burn_between(UNBURNT, size, until - seconds * SECOND, until)
    elapsed = int(until.timestamp()) % WINDOW_SECONDS
    here = evenly(size, seconds, elapsed)
    assert burn.used_bytes == here
    assert burn.before_bytes == evenly(size, seconds, elapsed + WINDOW_SECONDS) - here


@given(parts=st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 900)), max_size=12))
def test_reports_one_after_the_other_lose_and_double_nothing(parts: list[tuple[int, int]]) -> None:
    """All of it lies in both windows, so all of it is in the rate."""
    burn, at = UNBURNT, NOW
    for size, seconds in parts:
        burn, at = burn_between(burn, size, at, at + seconds * SECOND), at + seconds * SECOND
    assert burn.used_bytes + burn.before_bytes == sum(size for size, _ in parts)


def test_at_one_moment_it_is_used_at_that_moment() -> None:
    assert burn_between(UNBURNT, 70, NOW, NOW) == burn_more(UNBURNT, 70, NOW)


def test_what_was_used_in_a_week_is_no_rate_of_the_last_hours() -> None:
    burn = burn_between(UNBURNT, 7 * 86_400, NOW - timedelta(days=7), NOW)
    assert burnt_bytes(burn, NOW) <= WINDOW_SECONDS


@pytest.mark.parametrize("hours", [0, 1, 3])
def test_a_record_of_at_most_a_window_counts_as_of_its_end(hours: int) -> None:
    assert burn_record(UNBURNT, 70, BEGIN - hours * HOUR, BEGIN) == burn_more(UNBURNT, 70, BEGIN)


def test_a_session_of_a_day_is_no_rate_of_the_last_hours() -> None:
    began_at = NOW - timedelta(days=1)
    burn = burn_record(UNBURNT, 86_400, began_at, NOW)
    assert burnt_bytes(burn, NOW) == WINDOW_SECONDS
    # Late, what is newer than it stays; and a clock that is ahead has it flow no longer than it did.
    newer = burn_more(UNBURNT, 5, NOW + 3 * HOUR)
    assert burn_record(newer, 86_400, began_at, NOW).used_bytes == 5
    assert burn_record(UNBURNT, 70, NOW + HOUR, NOW) == burn_more(UNBURNT, 70, NOW)


def test_what_was_used_in_the_second_before_a_window_begins_is_of_the_one_before() -> None:
    burn = burn_between(UNBURNT, 70, BEGIN - SECOND, BEGIN)
    assert (burn.used_bytes, burn.before_bytes) == (0, 70)


# -- windows at their edges -------------------------------------------------------------------------


def test_the_rate_is_all_of_this_window_and_of_the_one_before_what_lies_in_the_last_hours() -> None:
    burn = burn_more(burn_more(UNBURNT, 900, BEGIN - HOUR), 70, BEGIN)
    assert burnt_bytes(burn, BEGIN) == 900 + 70
    assert burnt_bytes(burn, BEGIN + HOUR) == 600 + 70
    assert burnt_bytes(burn, BEGIN + WINDOW - SECOND) == 70


def test_what_comes_late_counts_in_its_own_window_and_what_is_older_than_both_in_none() -> None:
    burn = burn_more(UNBURNT, 70, BEGIN)
    late = burn_more(burn, 30, BEGIN - SECOND)
    assert late == burn._replace(before_bytes=30)
    assert burn_more(late, 5, BEGIN - WINDOW) == burn._replace(before_bytes=35)
    assert burn_more(late, 5, BEGIN - WINDOW - SECOND) == late


def test_with_the_next_window_this_one_is_the_one_before_and_with_a_later_one_nothing_is() -> None:
    burn = burn_more(burn_more(UNBURNT, 900, BEGIN - SECOND), 70, BEGIN)
    assert burn_more(burn, 8, BEGIN + WINDOW) == Burn(burn.window + 1, 8, 70)
    assert burn_more(burn, 8, BEGIN + 2 * WINDOW) == Burn(burn.window + 2, 8, 0)


def test_a_rate_fades_while_nobody_uses_anything_and_a_clock_behind_loses_none_of_it() -> None:
    burn = burn_more(UNBURNT, 900, BEGIN + WINDOW - SECOND)
    rates = [burnt_bytes(burn, BEGIN + hours * HOUR) for hours in range(-1, 8)]
    assert rates == [900, 900, 900, 900, 900, 600, 300, 0, 0]


def test_what_lasts_ten_years_has_an_end_and_what_lasts_longer_has_none() -> None:
    burn = burn_more(UNBURNT, WINDOW_SECONDS, NOW)  # a byte a second
    ten_years = 3650 * 86_400
    assert exhausted_at(burn, ten_years, NOW) == NOW + timedelta(days=3650)
    assert exhausted_at(burn, ten_years + 1, NOW) is None
    assert exhausted_at(UNBURNT, 1, NOW) is None


@pytest.mark.parametrize("used_at", [NOW, BEGIN - SECOND])
def test_an_end_is_expected_within_as_many_seconds_as_there_are_bytes_for(used_at: datetime) -> None:
    """Whichever window it was used in; `now` is where the rate is a byte a second."""
    burn = burn_more(burn_more(UNBURNT, WINDOW_SECONDS, used_at), 0, BEGIN)
    assert is_exhausted_within(burn, 500, 500, BEGIN) is True
    assert is_exhausted_within(burn, 501, 500, BEGIN) is False
    assert is_exhausted_within(UNBURNT, 1, 10**6, BEGIN) is False


@given(used=sizes, before=sizes, left=sizes, seconds=st.integers(0, 10**6), at=st.integers(0, WINDOW_SECONDS))
def test_who_does_not_read_the_clock_says_the_same(
    used: int, before: int, left: int, seconds: int, at: int
) -> None:
    burn, now = burn_more(burn_more(UNBURNT, before, BEGIN - SECOND), used, BEGIN), BEGIN + at * SECOND
    ends_at = exhausted_at(burn, left, now)
    expected = ends_at is not None and ends_at <= now + seconds * SECOND
    assert is_exhausted_within(burn, left, seconds, now) is expected
