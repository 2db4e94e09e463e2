"""When a price holds, and which prices may be scheduled, changed and withdrawn."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.prices.domain.schedule import (
    MAX_SCHEDULED,
    Price,
    PriceRefused,
    price_in_force,
    schedule,
    withdraw,
)

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NOTICE = timedelta(minutes=5)
LEAD = timedelta(seconds=5)
HOUR = timedelta(hours=1)


def price(price_id: str, amount: int, starts: timedelta, currency: str = "USD") -> Price:
    return Price("cuba-1gb", price_id, currency, amount, NOW + starts)


def refusal(prices: list[Price], wanted: Price) -> str:
    with pytest.raises(PriceRefused) as refused:
        schedule(prices, wanted, NOW, NOTICE)
    assert refused.value.detail
    return refused.value.reason


FIRST = price("p-1", 1000, -HOUR)


@pytest.mark.parametrize("starts", [-24 * HOUR, timedelta(0), timedelta(seconds=1), HOUR])
def test_the_very_first_price_may_begin_at_any_time(starts: timedelta) -> None:
    wanted = price("p-1", 1000, starts)
    assert schedule([], wanted, NOW, NOTICE) == wanted


def test_a_later_price_begins_at_least_five_minutes_ahead() -> None:
    assert refusal([FIRST], price("p-2", 900, NOTICE - timedelta(microseconds=1))) == "price-too-soon"
    assert refusal([FIRST], price("p-2", 900, -24 * HOUR)) == "price-too-soon"
    wanted = price("p-2", 900, NOTICE)
    assert schedule([FIRST], wanted, NOW, NOTICE) == wanted


def test_the_first_price_in_another_currency_is_a_first_price() -> None:
    wanted = price("p-2", 900, timedelta(0), "EUR")
    assert schedule([FIRST], wanted, NOW, NOTICE) == wanted


def test_the_same_price_again_changes_nothing_even_when_it_is_withdrawn() -> None:
    assert schedule([FIRST], FIRST, NOW, NOTICE) is None
    withdrawn, _ = withdraw([FIRST], "p-1", NOW, LEAD)
    assert schedule([withdrawn], FIRST, NOW, NOTICE) is None


def test_a_price_in_force_cannot_be_changed() -> None:
    assert refusal([FIRST], replace(FIRST, amount_minor=1)) == "price-in-force"
    soon = price("p-2", 900, timedelta(minutes=4))
    assert refusal([FIRST, soon], replace(soon, amount_minor=1)) == "price-in-force"


def test_a_price_well_ahead_can_be_changed() -> None:
    ahead = price("p-2", 900, HOUR)
    wanted = replace(ahead, amount_minor=950, effective_from=NOW + 2 * HOUR)
    assert schedule([FIRST, ahead], wanted, NOW, NOTICE) == wanted


def test_a_price_can_be_changed_up_to_the_notice_that_it_needs() -> None:
    ahead = price("p-2", 900, NOTICE)
    wanted = replace(ahead, amount_minor=950)
    assert schedule([FIRST, ahead], wanted, NOW, NOTICE) == wanted


def test_a_withdrawn_price_cannot_be_changed() -> None:
    ahead, _ = withdraw([price("p-2", 900, HOUR)], "p-2", NOW, LEAD)
    assert refusal([FIRST, ahead], price("p-2", 950, HOUR)) == "price-withdrawn"


def test_two_prices_never_begin_at_the_same_moment_unless_one_is_withdrawn() -> None:
    ahead = price("p-2", 900, HOUR)
    assert refusal([FIRST, ahead], price("p-3", 950, HOUR)) == "price-overlaps"
    withdrawn, _ = withdraw([ahead], "p-2", NOW, LEAD)
    assert schedule([FIRST, withdrawn], price("p-3", 950, HOUR), NOW, NOTICE) is not None


def test_the_number_of_waiting_prices_is_bounded() -> None:
    waiting = [price(f"w-{number}", 900, HOUR * number) for number in range(1, MAX_SCHEDULED + 1)]
    assert refusal([FIRST, *waiting], price("p-2", 900, 9999 * HOUR)) == "too-many-prices"
    assert schedule([FIRST, *waiting[1:]], price("p-2", 900, 9999 * HOUR), NOW, NOTICE) is not None
    begins = price("p-0", 900, timedelta(0))
    assert schedule([begins, *waiting[1:]], price("p-2", 900, 9999 * HOUR), NOW, NOTICE) is not None
    assert MAX_SCHEDULED == 100


def test_a_refusal_says_its_reason_and_what_to_do_wherever_it_is_shown() -> None:
    assert str(PriceRefused("price-too-soon", "Choose a later one.")) == "price-too-soon: Choose a later one."


def test_a_withdrawn_price_holds_for_requests_made_before_its_withdrawal_only() -> None:
    wrong = price("p-2", 1, -timedelta(minutes=1))
    withdrawn, is_new = withdraw([FIRST, wrong], "p-2", NOW, LEAD)
    assert is_new
    just_before = NOW + LEAD - timedelta(microseconds=1)
    assert price_in_force([FIRST, withdrawn], just_before) == withdrawn
    assert price_in_force([FIRST, withdrawn], NOW + LEAD) == FIRST
    assert withdraw([FIRST, withdrawn], "p-2", NOW + HOUR, LEAD) == (withdrawn, False)


def test_an_unknown_price_cannot_be_withdrawn() -> None:
    with pytest.raises(PriceRefused, match="price-not-found"):
        withdraw([FIRST], "p-9", NOW, LEAD)


# -- against the obvious model: walk the time line --------------------------------------------------

listed = st.lists(
    st.tuples(st.integers(0, 20), st.one_of(st.none(), st.integers(0, 25))),
    max_size=6,
    unique_by=lambda pair: pair[0],
)


@given(listed, st.integers(-1, 27))
def test_the_price_in_force_is_the_one_that_began_last_and_is_not_withdrawn(
    given_prices: list[tuple[int, int | None]], minute: int
) -> None:
    prices = [
        replace(
            price(f"p-{begins}", begins + 1, timedelta(minutes=begins)),
            withdrawn_from=None if withdrawn is None else NOW + timedelta(minutes=withdrawn),
        )
        for begins, withdrawn in given_prices
    ]
    found = price_in_force(prices, NOW + timedelta(minutes=minute))
    expected = None
    for begins, withdrawn in sorted(given_prices, key=lambda pair: pair[0]):
        if begins <= minute and (withdrawn is None or minute < withdrawn):
            expected = f"p-{begins}"
    assert (found.price_id if found else None) == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-10, 30), st.integers(0, 30)), max_size=12))
def test_no_history_of_changes_alters_the_price_of_the_past(
    changes: list[tuple[int, int, int]],
) -> None:
    """Whatever is asked for, minute by minute: once a request could have been priced, its price stays."""
    prices: list[Price] = []
    answered: dict[int, Price] = {}
    for minute, (number, starts, what) in enumerate(changes):
        now = NOW + timedelta(minutes=minute)
        wanted = replace(price(f"p-{number}", starts + 100, timedelta(minutes=starts)))
        try:
            if what == 0:
                written: Price | None = withdraw(prices, wanted.price_id, now, LEAD)[0]
            else:
                written = schedule(prices, wanted, now, NOTICE)
        except PriceRefused:
            written = None
        if written is not None:
            prices = [each for each in prices if each.price_id != written.price_id] + [written]
        for earlier, then in answered.items():
            again = price_in_force(prices, NOW + timedelta(minutes=earlier))
            assert again is not None
            assert (again.price_id, again.amount_minor) == (then.price_id, then.amount_minor)
        found = price_in_force(prices, now)
        if found is not None:
            answered[minute] = found
