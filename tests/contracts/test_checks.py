"""Check digits, against their definition written out slowly."""

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.checks import luhn_digit, luhn_is_valid

DIGITS = st.text("0123456789", min_size=1, max_size=24)


def luhn_by_hand(digits: str) -> bool:
    """From the right, every second digit counts as the digit sum of its double; the sum ends in 0."""
    doubled = [int(one) * (1 + place % 2) for place, one in enumerate(reversed(digits))]
    return sum(sum(map(int, str(one))) for one in doubled) % 10 == 0


@given(DIGITS)
def test_the_luhn_digit_is_as_defined(digits: str) -> None:
    assert luhn_is_valid(digits) == luhn_by_hand(digits)
    assert [one for one in "0123456789" if luhn_is_valid(digits + one)] == [luhn_digit(digits)]


@given(st.text(max_size=20).filter(lambda text: not (text.isascii() and text.isdigit())))
def test_what_is_not_made_of_digits_is_never_valid(text: str) -> None:
    assert not luhn_is_valid(text)


def test_numbers_from_real_life_are_valid() -> None:
    assert all(map(luhn_is_valid, ("4242424242424242", "490154203237518", "8953010000000000018")))
    assert not luhn_is_valid("4242424242424241")
