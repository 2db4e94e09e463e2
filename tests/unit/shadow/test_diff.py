"""What is told of a charge that both systems made."""

from datetime import UTC, datetime, timedelta

import pytest

from deploy.local.shadow.diff import Line, Ours, Totals, fields_of, matched
from deploy.local.shadow.shelf import Charged

AT = datetime(2026, 10, 5, 12, tzinfo=UTC)
OURS = Ours(AT, "exhausted", "", "cu-1gb", 1200, 1500, "USD")
THEIRS = Charged(AT + timedelta(hours=1), 1200, "USD", "cu-1gb")


def result(ours: Ours = OURS, theirs: Charged = THEIRS) -> str:
    return matched("sub-1", ours, theirs).result


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (OURS, THEIRS, "both"),
        (OURS, THEIRS._replace(offering_id="cu-5gb"), "other_offering"),
        (OURS, THEIRS._replace(amount_minor=1100), "other_amount"),
        (OURS, THEIRS._replace(currency="EUR"), "other_amount"),
        (OURS, THEIRS._replace(amount_minor=1100, offering_id="cu-5gb"), "other_amount"),
        (OURS._replace(amount_minor=None), THEIRS._replace(amount_minor=1100), "both"),
        (OURS._replace(amount_minor=None), THEIRS._replace(offering_id="cu-5gb"), "other_offering"),
    ],
)
def test_the_same_amount_for_something_else_is_a_difference(ours: Ours, theirs: Charged, told: str) -> None:
    assert result(ours, theirs) == told


def test_a_difference_of_offerings_is_in_the_sum() -> None:
    line = matched("sub-1", OURS, THEIRS._replace(offering_id="cu-5gb"))
    totals = Totals()
    totals.add([line])
    assert "other_offering          1   USD ours 1200 theirs 1200" in list(totals.told())
    assert isinstance(line, Line)
    assert fields_of(line)[1:3] == ("other_offering", "exhausted")
