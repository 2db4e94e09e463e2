"""Which renewals an operator looks for, and where only the few open ones have to be looked at."""

from typing import Any

import pytest

from services.renewal.domain.renewal import CLOSED_STATES, OPEN_STATES
from services.renewal.operators.domain.filter import FILTERS, Filter


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
