"""Which usage records can be true."""

from datetime import UTC, datetime, timedelta

import pytest

from services.usage.domain.records import Bounds, refusal
from shared.contracts.usage_records import UsageRecorded

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
BOUNDS = Bounds(max_bytes=1000, max_ahead=timedelta(hours=1), days=35)


@pytest.mark.parametrize(
    ("up", "down", "started", "ended", "reason"),
    [
        (500, 500, -60, 0, None),
        (501, 500, -60, 0, "too_large"),
        (0, 0, 0, 0, None),
        (1, 1, 0, -1, "ends_before_start"),
        (1, 1, 0, 60, None),
        (1, 1, 0, 61, "in_future"),
        (1, 1, -60 * 24 * 365, 0, None),
        (1, 1, -60 * 24 * 365, -60 * 24 * 34 - 60 * 8, None),
        (1, 1, -60 * 24 * 365, -60 * 24 * 34 - 60 * 8 - 1, "too_old"),
    ],
)
def test_a_record_is_refused_only_where_it_cannot_be_true(
    up: int, down: int, started: int, ended: int, reason: str | None
) -> None:
    record = UsageRecorded(
        source="cubacel",
        record_id="r-1",
        iccid="8953010000000000018",
        bytes_up=up,
        bytes_down=down,
        started_at=NOW + timedelta(minutes=started),
        ended_at=NOW + timedelta(minutes=ended),
    )
    assert refusal(record, BOUNDS, NOW) == reason
