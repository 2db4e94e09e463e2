"""What is only known to have been used between two moments, as a rate."""

from datetime import timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from services.usage.domain.burn import UNBURNT, WINDOW_SECONDS, burn_between, burn_more, burnt_bytes
from tests.unit.usage.test_balance import NOW

SECOND = timedelta(seconds=1)
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
