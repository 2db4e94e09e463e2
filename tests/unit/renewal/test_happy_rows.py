"""Which renewals only got further, so that a fraction of their columns has to be written."""

from datetime import timedelta
from typing import Any

import pytest

from services.renewal.domain.renewal import only_went_on
from tests.unit.renewal.story import T0, requested

NOW = T0 + timedelta(seconds=1)
FURTHER = requested()._replace(
    state="priced", version=2, heard_at=NOW, amount_minor=900, granted="{}", priced_at=NOW
)


def test_the_happy_path_only_goes_on() -> None:
    assert only_went_on(requested(), FURTHER, NOW)
    captured = FURTHER._replace(state="captured", version=3, captured_at=NOW)
    assert only_went_on(FURTHER, captured, NOW)


@pytest.mark.parametrize(
    "different",
    [
        {"deadline_at": NOW},
        {"payment_method_id": "card-2"},
        {"next_due_at": NOW},
        {"reason": "declined_hard"},
        {"retry_at": NOW},
        {"asked": 1},
        {"delayed": True},
        {"top_up": "rejected"},
        {"flags": "disputed"},
    ],
)
def test_whose_stand_has_changed_is_written_in_full(different: dict[str, Any]) -> None:
    assert not only_went_on(requested(), FURTHER._replace(**different), NOW)


def test_who_was_heard_at_another_time_is_written_in_full() -> None:
    assert not only_went_on(requested(), FURTHER._replace(heard_at=T0), NOW)
