"""Which renewals an operator looks for, and where only the few open ones have to be looked at."""

import re
from pathlib import Path
from typing import Any

import pytest

from services.renewal.domain.renewal import CLOSED_STATES, OPEN_STATES
from services.renewal.operators.domain.filter import CASES, FILTERS, Filter, cases_of
from tests.unit.renewal.operators.renewals import a_renewal


@pytest.mark.parametrize(
    ("conditions", "takes_only_open"),
    [
        ({}, False),
        ({"brand": "ola", "older_than_seconds": 60.0}, False),
        ({"is_open": True}, True),
        ({"is_open": False}, False),
        ({"is_open": True, "state": ("failed",)}, True),
        ({"is_open": False, "state": ("parked",)}, False),
        ({"state": ("parked",)}, True),
        ({"state": OPEN_STATES}, True),
        ({"state": ("failed",)}, False),
        ({"state": CLOSED_STATES}, False),
        ({"state": ("parked", "failed")}, False),
    ],
)
def test_only_open_ones_are_looked_at_where_nothing_closed_can_match(
    conditions: dict[str, Any], takes_only_open: bool
) -> None:
    assert Filter(**conditions).takes_only_open is takes_only_open


def test_every_condition_of_a_filter_can_be_named_over_http() -> None:
    """In the order in which they stand, so that an answer lists them as the page does."""
    assert [{"open": "is_open"}.get(name, name) for name in FILTERS] == list(Filter._fields)


@pytest.mark.parametrize(
    ("flags", "cases"),
    [
        ("", []),
        ("disputed surplus_refunded_1 released", []),
        ("unresolved", ["unresolved"]),
        ("refund_failed_later disputed", ["refund_returned"]),
        ("promise_broken unresolved", ["unresolved", "promise_broken"]),
        ("unresolved_settled", []),
    ],
)
def test_what_a_person_has_to_look_into_is_told_by_the_flags(flags: str, cases: list[str]) -> None:
    assert cases_of(a_renewal("failed", flags=flags)) == cases


def test_the_index_and_the_archive_know_the_same_cases() -> None:
    """A renewal with one is found by the index, and stays where that finds it until it is settled."""
    renewal = Path(__file__).parents[4] / "services" / "renewal"
    [index] = renewal.glob("migrations/*_renewals_with_a_case.sql")
    operators = renewal / "operators"
    for page in (index, renewal / "archive.sql", operators / "search.sql", operators / "bulk.sql"):
        listed = re.search(
            r"string_to_array\(flags, ' '\) && '\{([a-z_,]+)\}'", page.read_text(encoding="utf-8")
        )
        assert listed is not None, page
        assert set(listed[1].split(",")) == set(CASES.values()), page
