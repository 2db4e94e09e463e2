"""What is to be expected at the present rate, and which trigger comes first."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.usage.domain.balance import Balance
from services.usage.domain.burn import burn_more
from services.usage.domain.forecast import Expected, Forecast, forecast
from services.usage.domain.triggers import Wants, take_due
from tests.unit.usage.test_balance import DAY, NOW, add, top_up, use, with_top_ups

HOUR = timedelta(hours=1)
SILENT = Wants(None)


def burning(size: int, granted: int = 10_000, expires_at: datetime = NOW + 30 * DAY) -> Balance:
    """Of what was granted, so much was used within the last three hours."""
    balance = with_top_ups(top_up(1, granted, expires_at=expires_at))
    use(balance, size)
    balance.burn = burn_more(balance.burn, size, NOW)
    return balance


def test_at_rest_only_the_lapse_is_to_come() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY))
    assert forecast(balance, NOW, SILENT) == Forecast(
        100, 0, None, NOW + DAY, Expected("exhausted", NOW + DAY)
    )


def test_at_this_rate_it_ends_before_it_lapses() -> None:
    assert forecast(burning(6_000), NOW, SILENT) == Forecast(
        4_000, 6_000, NOW + 2 * HOUR, NOW + 30 * DAY, Expected("exhausted", NOW + 2 * HOUR)
    )


@pytest.mark.parametrize(
    ("wants", "expected"),
    [
        (Wants(10), Expected("threshold_reached", NOW + 1.5 * HOUR)),
        (Wants(None, 2_000), Expected("threshold_reached", NOW + HOUR)),
        (Wants(None, None, 1_800), Expected("predicted", NOW + 1.5 * HOUR)),
        (Wants(None, None, 3 * 3_600), Expected("predicted", NOW)),
        (Wants(None, None, None, 30 * 86_400 - 600), Expected("expiring", NOW + timedelta(seconds=600))),
        (Wants(None, None, None, 31 * 86_400), Expected("expiring", NOW)),
        (Wants(10, None, 1_800), Expected("threshold_reached", NOW + 1.5 * HOUR)),
        (Wants(0), Expected("threshold_reached", NOW + 2 * HOUR)),
    ],
)
def test_the_first_of_what_is_wanted_is_next(wants: Wants, expected: Expected) -> None:
    assert forecast(burning(6_000), NOW, wants).next_trigger == expected


def test_a_bucket_that_lapses_may_bring_the_threshold() -> None:
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + DAY), top_up(2, 100, "queue", NOW + 9 * DAY))
    wants = Wants(None, 150)
    assert forecast(balance, NOW, wants).next_trigger == Expected("threshold_reached", NOW + DAY)
    assert forecast(balance, NOW, Wants(None, 100)).next_trigger == Expected("threshold_reached", NOW + DAY)
    assert forecast(balance, NOW, Wants(None, 99)).next_trigger == Expected(
        "threshold_reached", NOW + 9 * DAY
    )


def test_what_holds_already_and_was_not_said_is_expected_now() -> None:
    at_rest = with_top_ups(top_up(1, 100))
    assert forecast(at_rest, NOW, Wants(None, 100)).next_trigger == Expected("threshold_reached", NOW)
    below = burning(9_500)
    assert forecast(below, NOW, Wants(10)).next_trigger == Expected("threshold_reached", NOW)


def test_what_was_said_in_this_cycle_is_not_to_come() -> None:
    balance = burning(9_500)
    assert [each.kind for each in take_due(balance, NOW, Wants(10))] == ["threshold_reached"]
    following = forecast(balance, NOW, Wants(10)).next_trigger
    assert following is not None
    assert following.kind == "exhausted"
    use(balance, 500)
    assert forecast(balance, NOW, Wants(10, None, 60, 60)) == Forecast(
        0, 9_500, None, None, Expected("exhausted", NOW)
    )
    take_due(balance, NOW, Wants(10))
    assert forecast(balance, NOW, Wants(10, None, 60, 60)).next_trigger is None


def test_nothing_is_said_of_what_was_never_measured() -> None:
    assert forecast(Balance("sub-1"), NOW, Wants(10)) == Forecast(0, 0, None, None, None)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), min_size=1, max_size=4),
    st.integers(0, 100),
    st.integers(1, 100),
)
def test_without_use_the_next_trigger_comes_when_it_is_forecast(
    made: list[tuple[int, int]], percent: int, hours: int
) -> None:
    balance = Balance("sub-1")
    for cycle, (size, lapse_hours) in enumerate(made, start=1):
        add(balance, top_up(cycle, size, "queue", NOW + lapse_hours * HOUR))
    wants = Wants(percent, None, None, hours * 3_600)
    take_due(balance, NOW, wants)
    following = forecast(balance, NOW, wants).next_trigger
    if following is None:
        assert take_due(balance, NOW + 999 * DAY, wants) == []
        return
    assert following.at > NOW
    assert take_due(balance, following.at - timedelta(microseconds=1), wants) == []
    assert following.kind in {each.kind for each in take_due(balance, following.at, wants)}
