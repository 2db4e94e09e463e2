"""Who is live: by a stable share of all, the narrowest one, or by name; never what was in shadow before."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.renewal.cut_over.domain.cohort import (
    EVERYTHING_LIVE,
    Cohort,
    Share,
    bucket,
    is_live,
    share_of,
)

NAMES = [f"sub-{number:06d}" for number in range(1_000)]
percentages = st.integers(min_value=0, max_value=100)


def live(cohort: Cohort, brand: str = "ola", carrier: str = "cubacel") -> set[str]:
    return {name for name in NAMES if is_live(cohort, name, brand, carrier)}


def test_everything_is_live_where_nobody_ever_set_anything() -> None:
    assert len(live(EVERYTHING_LIVE)) == len(NAMES)


@pytest.mark.parametrize("percent", [1, 10, 50, 99])
def test_a_percentage_is_about_that_many(percent: int) -> None:
    assert abs(len(live(Cohort(percent))) - percent * 10) <= 50


def test_none_and_all_are_exact() -> None:
    assert not live(Cohort(0))
    assert live(Cohort(100)) == set(NAMES)


@settings(deadline=None, max_examples=25)
@given(lower=percentages, higher=percentages)
def test_whoever_is_live_stays_so_when_the_percentage_rises(lower: int, higher: int) -> None:
    lower, higher = sorted((lower, higher))
    assert live(Cohort(lower)) <= live(Cohort(higher))


def test_a_bucket_is_the_same_for_ever() -> None:
    # Another hash would move subscriptions in and out in the middle of a cut-over.
    assert [bucket(name) for name in ("sub-000001", "sub-000002", "sub-000003")] == [61, 31, 12]


@pytest.mark.parametrize(
    ("brand", "carrier", "percent"),
    [("ola", "cubacel", 40), ("ola", "etecsa", 20), ("luz", "cubacel", 30), ("luz", "etecsa", 10)],
)
def test_the_narrowest_share_holds(brand: str, carrier: str, percent: int) -> None:
    shares = [Share("ola", None, 20), Share(None, "cubacel", 30), Share("ola", "cubacel", 40)]
    assert share_of(Cohort(10, shares), brand, carrier) == percent


@pytest.mark.parametrize("brand_first", [True, False])
def test_a_carriers_share_is_narrower_than_a_brands(brand_first: bool) -> None:
    shares = [Share("ola", None, 20), Share(None, "cubacel", 30)]
    cohort = Cohort(10, shares if brand_first else shares[::-1])
    assert share_of(cohort, "ola", "cubacel") == 30


def test_who_is_named_is_live_or_in_shadow_whatever_the_percentage() -> None:
    assert is_live(Cohort(0, listed=True), NAMES[0], "ola", "cubacel")
    assert not is_live(Cohort(100, listed=False), NAMES[0], "ola", "cubacel")


def test_what_was_judged_in_shadow_is_never_charged_afterwards() -> None:
    assert not is_live(Cohort(100, was_shadow=True), NAMES[0], "ola", "cubacel")
    assert not is_live(Cohort(0, listed=True, was_shadow=True), NAMES[0], "ola", "cubacel")
