"""When a night ends, against a clock that is looked at every minute."""

import zoneinfo
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renewal.rules.domain.quiet_hours import awake_at, quiet_until
from services.renewal.rules.domain.rule import QuietHours

ZONES = (
    "UTC",
    "America/Havana",
    "Europe/Madrid",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/New_York",
    "Antarctica/Troll",
)
HOURS = st.integers(0, 23)
NIGHTS = st.builds(
    lambda hours, zone: QuietHours(from_hour=hours[0], to_hour=hours[1], zone=zone),
    st.tuples(HOURS, HOURS).filter(lambda hours: hours[0] != hours[1]),
    st.sampled_from(ZONES),
)
# Around the changes of clocks of 2026, where the nights are of unusual length, and any other time.
CHANGES = [
    datetime(2026, month, day, tzinfo=UTC)
    for month, day in ((3, 8), (3, 29), (4, 4), (10, 3), (10, 25), (11, 1))
]
INSTANTS = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-3000, 3000)
)


def is_quiet(night: QuietHours, instant: datetime) -> bool:
    hour = instant.astimezone(ZoneInfo(night.zone)).hour
    hours = [(night.from_hour + passed) % 24 for passed in range((night.to_hour - night.from_hour) % 24)]
    return hour in hours


@given(NIGHTS, INSTANTS)
def test_a_night_ends_at_the_first_minute_that_is_not_in_it(night: QuietHours, instant: datetime) -> None:
    found = quiet_until(night, instant)
    if not is_quiet(night, instant):
        assert found is None
        assert awake_at(night, instant) == instant
        return
    minute = instant
    while is_quiet(night, minute):
        minute += timedelta(minutes=1)
    assert found == awake_at(night, instant) == minute


HAVANA, NEW_YORK, TROLL = "America/Havana", "America/New_York", "Antarctica/Troll"


@pytest.mark.parametrize(
    ("night", "zone", "now", "end"),
    [
        ((22, 7), HAVANA, "2026-06-10 21:59:59.999999", None),
        ((22, 7), HAVANA, "2026-06-10 22:00:00", "2026-06-11 07:00:00"),
        ((22, 7), HAVANA, "2026-06-11 03:14:15.926535", "2026-06-11 07:00:00"),
        ((22, 7), HAVANA, "2026-06-11 07:00:00", None),
        ((1, 5), HAVANA, "2026-06-11 00:59:59", None),
        ((1, 5), HAVANA, "2026-06-11 01:00:00", "2026-06-11 05:00:00"),
        ((1, 5), HAVANA, "2026-06-11 05:00:00", None),
        # Midnight comes twice where clocks go back, elsewhere one o'clock: the first one ends the night.
        ((22, 0), HAVANA, "2026-10-31 23:30:00", "2026-11-01 00:00:00"),
        ((22, 1), NEW_YORK, "2026-11-01 00:30:00", "2026-11-01 01:00:00"),
        # Where they go back by two hours one of them is night again, after the end that came before it.
        ((1, 2), TROLL, "2026-10-25 01:30:00", "2026-10-25 02:00:00"),
        ((1, 2), TROLL, "2026-10-25 01:30:00+00:00", "2026-10-25 02:00:00+00:00"),
    ],
)
def test_a_night_goes_from_the_first_hour_to_before_the_second_and_ends_on_the_hour(
    night: tuple[int, int], zone: str, now: str, end: str | None
) -> None:
    quiet = QuietHours(from_hour=night[0], to_hour=night[1], zone=zone)
    there = ZoneInfo(zone)
    found = quiet_until(quiet, _there(now, there))
    ends = None if end is None else _there(end, there).astimezone(UTC)
    assert found == ends


def _there(text: str, zone: ZoneInfo) -> datetime:
    """Local time; with an offset where it comes twice."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=zone) if at.tzinfo is None else at


def test_without_quiet_hours_it_is_never_night() -> None:
    assert quiet_until(None, CHANGES[0]) is None


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "America", ""])
def test_a_zone_that_there_is_not_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="zone"):
        QuietHours(from_hour=22, to_hour=7, zone=zone)


def test_a_whole_day_of_quiet_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing would ever be charged"):
        QuietHours(from_hour=7, to_hour=7, zone="UTC")


def test_a_machine_without_time_zones_of_its_own_knows_the_nights_of_havana() -> None:
    night = QuietHours(from_hour=21, to_hour=8, zone="America/Havana")
    own = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()
    try:
        until = quiet_until(night, datetime(2026, 7, 1, 3, tzinfo=UTC))
    finally:
        zoneinfo.reset_tzpath(own)
        ZoneInfo.clear_cache()
    assert until == datetime(2026, 7, 1, 12, tzinfo=UTC)
