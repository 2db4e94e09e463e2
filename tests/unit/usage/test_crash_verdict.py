"""The verdict on a crash run notices a single byte, record or renewal too much or too little."""

import json
from typing import Any

import pytest

from tests.crash_usage.recomputation import expected
from tests.crash_usage.verdict import unexplained, wrong_renewals, wrong_totals

END = expected(145, 100, 50, 10)
OPEN = [["top-up-1", 1, "queue", 1, 5, 0], ["top-up-2", 2, "queue", 2, 50, 0]]
FOUND: dict[str, Any] = {"used_bytes": 145, "owed_bytes": 0, "cycle": 2, "open_buckets": json.dumps(OPEN)}
ALLOCATED = {("s", "before"): 100, ("s", "top-up-1"): 25, ("s", ""): 20}
PAID = {("s", "top-up-1"): 20}


def renewal(cycle: int, **changes: Any) -> dict[str, Any]:
    row = {"subscription_id": "s", "cycle": cycle, "dunning_try": 1, "state": "completed", "caller": "rule"}
    return row | changes


def test_what_is_as_the_file_says_is_right() -> None:
    assert list(wrong_totals("s", END, FOUND)) == []
    assert list(unexplained("s", END, ALLOCATED, PAID)) == []
    assert list(wrong_renewals({"s": END}, [renewal(0), renewal(1)])) == []


@pytest.mark.parametrize(
    "change",
    [
        {"used_bytes": 146},
        {"owed_bytes": 1},
        {"cycle": 1},
        {"open_buckets": json.dumps([OPEN[0], [*OPEN[1][:4], 49, 0]])},
        {"open_buckets": json.dumps(OPEN[1:])},
        {"open_buckets": json.dumps([["before", 0, None, 0, 1, 0], *OPEN])},
    ],
)
def test_a_byte_too_much_or_too_little_is_noticed(change: dict[str, Any]) -> None:
    assert list(wrong_totals("s", END, FOUND | change))


@pytest.mark.parametrize(
    ("allocated", "paid"),
    [
        (ALLOCATED | {("s", "before"): 99}, PAID),
        (ALLOCATED | {("s", ""): 21}, PAID),
        (ALLOCATED, {}),
        (ALLOCATED, PAID | {("s", "top-up-2"): 1}),
    ],
)
def test_a_byte_that_nothing_explains_is_noticed(
    allocated: dict[tuple[str, str], int], paid: dict[tuple[str, str], int]
) -> None:
    assert list(unexplained("s", END, allocated, paid))


@pytest.mark.parametrize(
    "rows",
    [
        [renewal(0)],
        [renewal(0), renewal(1), renewal(1)],
        [renewal(0), renewal(1), renewal(1, state="failed")],
        [renewal(0), renewal(1), renewal(2)],
        [renewal(0), renewal(1, caller="ana")],
    ],
)
def test_a_renewal_too_much_or_too_little_is_noticed(rows: list[dict[str, Any]]) -> None:
    assert list(wrong_renewals({"s": END}, rows))
