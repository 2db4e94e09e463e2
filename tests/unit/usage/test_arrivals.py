"""What becomes of each record of a batch, given what came before."""

from datetime import UTC, datetime, timedelta

import pytest

from services.usage.domain.arrivals import Arrived, Batch
from services.usage.domain.records import Bounds, contents, record_key
from shared.contracts.usage_records import UsageRecorded

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOUNDS = Bounds(max_bytes=10**9, max_ahead=timedelta(hours=1), days=3)


def record(name: str, size: int = 5, ended_at: datetime = NOW) -> UsageRecorded:
    return UsageRecorded(
        source="cubacel",
        record_id=name,
        iccid="8953010000000000018",
        bytes_up=0,
        bytes_down=size,
        started_at=ended_at - timedelta(minutes=5),
        ended_at=ended_at,
    )


def batch(*records: UsageRecorded) -> Batch:
    return Batch([Arrived(each, None) for each in records], BOUNDS, NOW)


def test_of_the_same_record_in_one_batch_the_first_counts() -> None:
    arrived = batch(record("a"), record("b"), record("a"))
    arrived.compare({})
    assert arrived.results == ["counted", "counted", "duplicate"]
    assert [each.record.record_id for each in arrived.fresh.values()] == ["a", "b"]
    assert arrived.quarantined == []


def test_what_came_before_is_a_duplicate_each_time_it_comes_again() -> None:
    arrived = batch(record("a"), record("a"))
    arrived.compare({record_key(record("a")): contents(record("a"))})
    assert arrived.results == ["duplicate", "duplicate"]
    assert arrived.fresh == {}


def test_a_repeat_is_compared_with_the_record_that_counted_and_not_with_another_repeat() -> None:
    arrived = batch(record("a", 6), record("a", 5), record("a", 6))
    arrived.compare({record_key(record("a")): contents(record("a", 5))})
    assert arrived.results == ["changed_repeat", "duplicate", "changed_repeat"]
    assert [each.bytes_down for _, _, each in arrived.quarantined] == [6, 6]


@pytest.mark.parametrize(
    "different",
    [{"imei": "356938035643809"}, {"country": "MX"}, {"session_id": "s-2"}, {"iccid": "8953010000000000026"}],
)
@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_repeat_of_another_device_country_session_or_esim_is_a_changed_one(
    different: dict[str, str], *, in_one_batch: bool
) -> None:
    whole = record("a").model_copy(update={"imei": "490154203237518", "country": "CU", "session_id": "s-1"})
    changed = whole.model_copy(update=different)
    arrived = batch(whole, changed, whole) if in_one_batch else batch(changed, whole)
    arrived.compare({} if in_one_batch else {record_key(whole): contents(whole)})
    assert arrived.results[-2:] == ["changed_repeat", "duplicate"]


def test_what_only_one_way_of_a_record_tells_does_not_make_its_repeat_a_changed_one() -> None:
    whole = record("a").model_copy(update={"imei": "490154203237518", "country": "CU", "session_id": "s-1"})
    arrived = batch(whole, record("a"))
    arrived.compare({})
    assert arrived.results == ["counted", "duplicate"]
    arrived = batch(whole)
    arrived.compare({record_key(whole): contents(record("a"))})
    assert arrived.results == ["duplicate"]


def test_the_same_instant_with_another_offset_is_the_same_record() -> None:
    havana = NOW.astimezone(datetime.fromisoformat("2026-11-23T07:00:00-05:00").tzinfo)
    arrived = batch(record("a"), record("a", ended_at=havana))
    arrived.compare({})
    assert arrived.results == ["counted", "duplicate"]


def test_what_cannot_be_true_is_set_aside_with_its_reason_and_does_not_hold_its_name() -> None:
    arrived = batch(record("a", 10**9 + 1), record("a"), record("b", ended_at=NOW + timedelta(hours=2)))
    arrived.compare({})
    assert arrived.results == ["too_large", "counted", "in_future"]


def test_records_of_nobody_are_kept_and_their_repeats_are_duplicates() -> None:
    arrived = batch(record("a"), record("b"), record("a"))
    arrived.compare({})
    arrived.keep({record_key(record("a"))}, has_room=True)
    assert arrived.results == ["unknown_iccid", "counted", "duplicate"]
    assert len(arrived.fresh) == 2


def test_a_repeat_of_what_is_dropped_is_dropped_too() -> None:
    arrived = batch(record("a"), record("b"), record("a"))
    arrived.compare({})
    arrived.keep({record_key(record("a"))}, has_room=False)
    assert arrived.results == ["dropped", "counted", "dropped"]
    assert [each.record.record_id for each in arrived.fresh.values()] == ["b"]


def test_only_a_true_repeat_of_what_is_dropped_is_dropped_with_it() -> None:
    arrived = batch(record("a"), record("b"), record("a", 6), record("b"))
    arrived.compare({})
    arrived.keep({record_key(record("a"))}, has_room=False)
    # What is set aside stays so, and a repeat of what counts is one still.
    assert arrived.results == ["dropped", "counted", "changed_repeat", "duplicate"]
