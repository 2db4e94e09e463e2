"""How fast data is used: a sliding window over two fixed ones, in whole bytes."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

WINDOW_SECONDS: Final = 3 * 3600
"""Long enough for a film and the silence after it, short enough to notice a hotspot."""
FARTHEST_DAYS: Final = 3650
_WINDOW: Final = timedelta(seconds=WINDOW_SECONDS)


class Burn(NamedTuple):
    """Bytes used in the window of that number (windows since 1970), and in the one before it."""

    window: int = 0
    used_bytes: int = 0
    before_bytes: int = 0


UNBURNT: Final = Burn()


def burn_more(burn: Burn, size: int, at: datetime) -> Burn:
    """With `size` bytes that were used up `at` that moment. Older than both windows, it changes nothing."""
    window = _seconds(at) // WINDOW_SECONDS
    if window == burn.window:
        return Burn(window, burn.used_bytes + size, burn.before_bytes)
    if window == burn.window + 1:
        return Burn(window, size, burn.used_bytes)
    if window > burn.window:
        return Burn(window, size, 0)
    if window == burn.window - 1:
        return Burn(burn.window, burn.used_bytes, burn.before_bytes + size)
    return burn


def burn_between(burn: Burn, size: int, since: datetime, until: datetime) -> Burn:
    """With `size` bytes of which only is known that they were used between these: as if evenly.

    What was used before both windows of `until` is left out: a rate is not raised by what is long ago.
    """
    seconds = _seconds(until) - _seconds(since)
    if seconds <= 0:
        return burn_more(burn, size, until)
    elapsed = _seconds(until) % WINDOW_SECONDS
    here = size * min(elapsed, seconds) // seconds
    before = size * min(elapsed + WINDOW_SECONDS, seconds) // seconds - here
    burn = burn_more(burn, before, until - timedelta(seconds=elapsed + 1))
    return burn_more(burn, here, until)


def burn_record(burn: Burn, size: int, started_at: datetime, ended_at: datetime) -> Burn:
    """With a record's `size` bytes, as of its end; what flowed for longer than a window, evenly.

    A session of a day told at its end is no rate of the last hours.
    """
    if ended_at - started_at > _WINDOW:
        return burn_between(burn, size, started_at, ended_at)
    return burn_more(burn, size, ended_at)


def burnt_bytes(burn: Burn, now: datetime) -> int:
    """Bytes used in the WINDOW_SECONDS before `now`, as if the earlier window had been used evenly."""
    seconds = _seconds(now)
    window, elapsed = divmod(seconds, WINDOW_SECONDS)
    left = WINDOW_SECONDS - elapsed
    if window == burn.window:
        return burn.used_bytes + burn.before_bytes * left // WINDOW_SECONDS
    if window == burn.window + 1:
        return burn.used_bytes * left // WINDOW_SECONDS
    return burn.used_bytes if window < burn.window else 0


def exhausted_at(burn: Burn, remaining_bytes: int, now: datetime) -> datetime | None:
    """When nothing will be left at the present rate; None where that is never, or in many years."""
    rate = burnt_bytes(burn, now)
    if not rate:
        return None
    seconds = remaining_bytes * WINDOW_SECONDS // rate
    return now + timedelta(seconds=seconds) if seconds <= FARTHEST_DAYS * 86_400 else None


def is_exhausted_within(burn: Burn, remaining_bytes: int, seconds: int, now: datetime) -> bool:
    """Whether nothing will be left so many seconds from now, at the present rate."""
    # Nearly everybody has enough even if both windows' use were the rate: then nobody reads the clock.
    if remaining_bytes * WINDOW_SECONDS >= (burn.used_bytes + burn.before_bytes) * (seconds + 1):
        return False
    ends_at = exhausted_at(burn, remaining_bytes, now)
    return ends_at is not None and ends_at <= now + timedelta(seconds=seconds)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
