"""One eSIM, one device: what is told of usage from another one than the bound, and what is not."""

from datetime import timedelta

import pytest

from services.usage.domain.balance import Balance
from services.usage.domain.device import offended_binding, offended_imei
from tests.unit.usage.test_balance import NOW

BOUND = "490154203237518"
OTHER = "356938035643809"
INSTANT = timedelta(microseconds=1)


def bound(foreign_imei: str | None = None) -> Balance:
    """A subscription whose device was bound now."""
    return Balance("sub-1", bound_imei=BOUND, bound_at=NOW, foreign_imei=foreign_imei)


def test_usage_by_another_device_is_told_with_the_one_that_is_bound() -> None:
    assert offended_binding(bound(), OTHER, NOW + INSTANT) == BOUND


def test_usage_by_the_bound_device_offends_nobody() -> None:
    assert offended_binding(bound(), BOUND, NOW) is None


@pytest.mark.parametrize(
    ("imei", "is_same"),
    [
        ("490154203237510", True),  # a zero, or nothing known, in the place of the check digit
        ("4901542032375177", True),  # with a software version of two digits (IMEISV)
        ("49015420323751", True),
        ("490154203237508", False),  # another serial number, of one digit
        ("490154303237518", False),  # another type, with the same beginning
    ],
)
def test_a_device_is_told_apart_by_its_type_and_serial_number_alone(imei: str, *, is_same: bool) -> None:
    assert offended_binding(bound(), imei, NOW) == (None if is_same else BOUND)


def test_a_device_that_was_told_of_is_not_told_again_but_a_third_one_is() -> None:
    assert offended_binding(bound(foreign_imei=OTHER), OTHER, NOW) is None
    assert offended_binding(bound(foreign_imei=OTHER), "353490069873319", NOW) == BOUND


def test_what_began_before_the_binding_is_not_held_against_it() -> None:
    assert offended_binding(bound(), OTHER, NOW - INSTANT) is None
    assert offended_binding(bound(), OTHER, NOW) == BOUND


def test_a_binding_of_which_nobody_knows_since_when_holds_always() -> None:
    since_ever = Balance("sub-1", bound_imei=BOUND)
    assert offended_binding(since_ever, OTHER, NOW - timedelta(days=999)) == BOUND


def test_nothing_is_told_where_no_device_is_bound_or_none_is_known() -> None:
    assert offended_binding(Balance("sub-1"), OTHER, NOW) is None
    assert offended_binding(bound(), None, NOW) is None


def test_the_offended_device_is_the_bound_one_while_the_mark_is_there() -> None:
    assert offended_imei(bound(foreign_imei=OTHER)) == BOUND
    assert offended_imei(bound()) is None
