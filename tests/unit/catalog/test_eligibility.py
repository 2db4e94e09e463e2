"""Whether a device is fit for an eSIM, and what to do where it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.devices.domain.eligibility import Device, judge, tac_of, version_number

PHONE = Device("35824005", "Acme", "One", True)
BRICK = Device("49015420", "Acme", "Brick", False)


@pytest.mark.parametrize(
    ("device", "version", "minimum", "reason"),
    [
        (PHONE, "17.4.1", "16", None),
        (PHONE, "16", "16.0.0", None),
        (PHONE, "15.9", "16", "system_too_old"),
        (PHONE, "9", "10", "system_too_old"),
        (PHONE, "17", None, "platform_unknown"),
        (BRICK, "17", "16", "esim_unsupported"),
        (None, "17", "16", "device_unknown"),
    ],
)
def test_the_answer_says_why_not_and_what_to_do(
    device: Device | None, version: str, minimum: str | None, reason: str | None
) -> None:
    verdict = judge(device, "ios", version, minimum)
    assert verdict.reason == reason
    assert verdict.fits == (reason is None)
    assert verdict.explanation
    assert verdict.next_action


@pytest.mark.parametrize(
    ("version", "number"),
    [("0", (0,)), ("0.0", (0,)), ("17.0.1", (17, 0, 1)), ("17.0.0", (17,)), ("17.4.0", (17, 4))],
)
def test_trailing_zeros_of_a_version_say_nothing(version: str, number: tuple[int, ...]) -> None:
    assert version_number(version) == number


def test_the_tac_is_the_first_eight_digits() -> None:
    assert tac_of("490154203237518") == "49015420"


@pytest.mark.parametrize(
    "version", ["", ".", "1.", ".1", "1..2", "a", "1a", "-1", "1_0", " 1", "１", "1" * 7]
)
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match="numbers and dots"):
        version_number(version)


parts = st.lists(st.integers(0, 30), min_size=1, max_size=5)


@given(parts, parts)
def test_versions_compare_part_by_part(one: list[int], other: list[int]) -> None:
    padded = [each + [0] * (5 - len(each)) for each in (one, other)]
    texts = [".".join(map(str, each)) for each in (one, other)]
    assert (version_number(texts[0]) < version_number(texts[1])) == (padded[0] < padded[1])
