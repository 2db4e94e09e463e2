"""What a rule may still charge, against a slow and obvious model: every charge, every window, one by one."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.renewal.rules.domain.rule import Limits
from services.renewal.rules.domain.spending import Charge, NoRoom, Room, room
from tests.unit.renewal.story import T0

HOURS = st.integers(0, 24 * 40)
AMOUNTS = st.integers(1, 50)
CAPS = st.none() | st.integers(1, 100)
CHARGES = st.lists(
    st.builds(
        lambda hours, amount, currency: Charge(T0 - timedelta(hours=hours), amount, currency),
        HOURS,
        AMOUNTS,
        st.sampled_from(["USD", "USD", "EUR"]),
    ),
    max_size=12,
)
LIMITS = st.builds(
    lambda **given: Limits(payment_method_ids=("card-1",), currency="USD", **given),
    cap_amount_minor=AMOUNTS,
    cap_day_minor=CAPS,
    cap_period_minor=CAPS,
    period_days=st.integers(1, 31),
    max_renewals=st.none() | st.integers(1, 5),
    cool_down_seconds=st.sampled_from([0, 0, 1800, 3600 * 30]),
)
GIVEN = st.integers(0, 24 * 40).map(lambda hours: T0 - timedelta(hours=hours))


def within(limits: Limits, charges: Sequence[Charge], at: datetime, given_at: datetime, amount: int) -> bool:
    """Whether charging so much then keeps every limit; looked at limit by limit."""
    for charge in charges:
        if at < charge.at + timedelta(seconds=limits.cool_down_seconds):
            return False
    begun = len([charge for charge in charges if charge.at >= given_at])
    if limits.max_renewals is not None and begun + 1 > limits.max_renewals:
        return False
    for cap, days in ((limits.cap_day_minor, 1), (limits.cap_period_minor, limits.period_days)):
        if cap is None:
            continue
        spent = amount
        for charge in charges:
            if charge.currency == "USD" and charge.at > at - timedelta(days=days):
                spent += charge.amount_minor
        if spent > cap:
            return False
    return amount <= limits.cap_amount_minor


@given(LIMITS, CHARGES, AMOUNTS, GIVEN)
def test_the_room_is_the_most_that_keeps_every_limit(
    limits: Limits, charges: list[Charge], consent: int, given_at: datetime
) -> None:
    found = room(limits, consent, given_at, charges, T0)
    allowed = [amount for amount in range(1, consent + 1) if within(limits, charges, T0, given_at, amount)]
    if isinstance(found, Room):
        assert found.amount_minor == max(allowed)
        assert found.amount_minor <= consent
    else:
        assert not allowed


@given(LIMITS, CHARGES, AMOUNTS, GIVEN)
def test_what_there_is_no_room_for_has_room_when_it_is_said_and_not_a_second_before(
    limits: Limits, charges: list[Charge], consent: int, given_at: datetime
) -> None:
    found = room(limits, consent, given_at, charges, T0)
    if not isinstance(found, NoRoom):
        return
    if found.until is None:
        assert found.reason == "max_number"
        return
    assert found.until > T0
    alone: dict[str, Any] = {"cool_down_seconds": 0, "cap_day_minor": None, "cap_period_minor": None}
    name = {"cool_down": "cool_down_seconds"}.get(found.reason, f"{found.reason}_minor")
    only = limits.model_copy(update=alone | {"max_renewals": None, name: getattr(limits, name)})
    assert within(only, charges, found.until, given_at, 1)
    assert not within(only, charges, found.until - timedelta(seconds=1), given_at, 1)


@given(LIMITS, CHARGES, AMOUNTS, GIVEN)
def test_what_is_under_way_counts_so_that_nothing_is_ever_spent_twice(
    limits: Limits, charges: list[Charge], consent: int, given_at: datetime
) -> None:
    """Admitting as often as there is room never breaks a cap, whatever each takes in the end."""
    spent = list(charges)
    for _ in range(5):
        found = room(limits, consent, given_at, spent, T0)
        if isinstance(found, NoRoom):
            break
        assert within(limits, spent, T0, given_at, found.amount_minor)
        spent.append(Charge(T0, found.amount_minor, "USD"))


# -- at the edges -------------------------------------------------------------------------------------

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


def left(charges: Sequence[Charge], given_at: datetime = T0 - DAY, **caps: Any) -> Room | NoRoom:
    """Of a consent to 100 a charge, by a rule that allows as much."""
    says: dict[str, Any] = {"payment_method_ids": ("card-1",), "cap_amount_minor": 100, "currency": "USD"}
    limits = Limits(**says | caps)
    return room(limits, 100, given_at, charges, T0)


def test_what_was_charged_a_whole_day_ago_counts_for_the_day_no_more() -> None:
    day_ago = Charge(T0 - DAY, 30, "USD")
    assert left([day_ago], cap_day_minor=50) == Room(50, "cap_day")
    assert left([day_ago._replace(at=T0 - DAY + SECOND)], cap_day_minor=50) == Room(20, "cap_day")


def test_there_is_room_again_only_once_something_can_be_charged() -> None:
    charges = [Charge(T0 - 2 * HOUR, 50, "USD"), Charge(T0 - HOUR, 100, "USD")]
    assert left(charges, cap_day_minor=100) == NoRoom("cap_day", T0 - HOUR + DAY)
    assert left(charges, cap_day_minor=101) == NoRoom("cap_day", T0 - 2 * HOUR + DAY)


def test_what_was_charged_in_the_moment_of_the_consent_stands_on_it() -> None:
    charge = Charge(T0 - DAY, 30, "USD")
    assert left([charge], max_renewals=1) == NoRoom("max_number", None)
    assert left([charge], T0 - DAY + SECOND, max_renewals=1) == Room(100, "consent")


def test_the_cool_down_is_over_at_its_end() -> None:
    assert left([Charge(T0 - HOUR, 30, "USD")], cool_down_seconds=3600) == Room(100, "consent")
    assert left([Charge(T0 - HOUR + SECOND, 30, "USD")], cool_down_seconds=3600) == NoRoom(
        "cool_down", T0 + SECOND
    )


def test_of_equal_limits_the_one_that_somebody_can_be_asked_to_raise_is_named() -> None:
    assert left([], cap_amount_minor=100, cap_day_minor=100) == Room(100, "consent")
    assert left([], cap_amount_minor=90, cap_day_minor=90, cap_period_minor=90) == Room(90, "cap_charge")
    assert left([], cap_day_minor=90, cap_period_minor=90) == Room(90, "cap_day")
