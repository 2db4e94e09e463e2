"""What usage says, as admission reads it: every kind of quota event is a trigger of its own kind."""

from datetime import timedelta
from typing import Any

import pytest

from services.renewal.domain.asking import TRIGGER_KINDS, Trigger, trigger_of
from shared.contracts.quotas import (
    BucketExpiring,
    QuotaExhausted,
    QuotaExhaustionPredicted,
    QuotaMessage,
    QuotaThresholdReached,
)
from tests.unit.renewal.story import T0

HOUR = timedelta(hours=1)
SAID: dict[str, Any] = {
    "subscription_id": "sub-1",
    "cycle": 3,
    "remaining_bytes": 400,
    "granted_bytes": 1000,
    "lapsed_bytes": 50,
    "cycle_began_at": T0 - 9 * HOUR,
    "offended_imei": "490154203237518",
    "occurred_at": T0,
}
READ = Trigger(
    "sub-1",
    3,
    "exhausted",
    "00-trace",
    remaining_bytes=400,
    granted_bytes=1000,
    cycle_began_at=T0 - 9 * HOUR,
    occurred_at=T0,
    offended_imei="490154203237518",
    lapsed_bytes=50,
)


@pytest.mark.parametrize(
    ("message", "trigger"),
    [
        (QuotaExhausted(**SAID), READ),
        (QuotaThresholdReached(**SAID, threshold_bytes=500), READ._replace(kind="threshold")),
        (
            BucketExpiring(**SAID, expires_at=T0 + HOUR),
            READ._replace(kind="expiring", ends_at=T0 + HOUR),
        ),
        (
            QuotaExhaustionPredicted(**SAID, exhausted_at=T0 + 2 * HOUR),
            READ._replace(kind="predicted", ends_at=T0 + 2 * HOUR),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, QuotaMessage) else value.kind,
)
def test_a_quota_event_is_read_with_all_that_it_says(message: QuotaMessage, trigger: Trigger) -> None:
    assert trigger_of(message, "00-trace") == trigger


def test_there_is_a_kind_for_every_quota_event() -> None:
    assert set(TRIGGER_KINDS) == set(QuotaMessage.__subclasses__())
