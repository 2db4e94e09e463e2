"""A partition of usage records for each day: made ahead, dropped when repeats matter no more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from services.usage.days import AHEAD_DAYS, Days
from shared.database import Pool, open_pool
from shared.messaging.transaction import Transactions
from tests.conftest import FreshDatabase
from tests.integration.usage.conftest import someone
from tests.integration.wired import Wired

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
KEPT_DAYS = 3
DAY = timedelta(days=1)
At = Callable[[datetime], Days]


@pytest.fixture
async def pool(fresh_database: FreshDatabase) -> AsyncIterator[Pool]:
    """A database of this test alone."""
    pool = await open_pool(await fresh_database("usage"), application_name="test days", connections=4)
    yield pool
    await pool.close()


@pytest.fixture
def at(pool: Pool, usage: Wired) -> At:
    """The days as a process sees them at that moment. Nothing is published: the outbox is another's."""
    return lambda now: Days(Transactions(pool, usage.outbox, lambda: now), KEPT_DAYS)


async def partitions(pool: Pool) -> list[date]:
    rows = await pool.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'usage_records'::regclass"
    )
    names = [row["name"].removeprefix("usage_records_") for row in rows]
    return sorted(date.fromisoformat(name.replace("_", "-")) for name in names)


def days(first: datetime, count: int) -> list[date]:
    return [(first + number * DAY).date() for number in range(count)]


async def insert(pool: Pool, name: str, ended_at: datetime) -> None:
    await pool.execute(
        "insert into usage_records (source, record_id, ended_on, iccid, bytes_up, bytes_down, started_at,"
        " ended_at) values ('cubacel', $1, $2, $3, 1, 1, $4, $4)",
        name,
        ended_at.date(),
        someone()[1],
        ended_at,
    )


async def test_every_day_that_a_record_may_have_is_there_before_it_begins(pool: Pool, at: At) -> None:
    await at(NOON).prepare()
    assert await partitions(pool) == days(NOON - 2 * DAY, KEPT_DAYS + AHEAD_DAYS)
    # A record may end a day ahead of now.
    await insert(pool, "soon", NOON + DAY)


async def test_a_day_goes_when_its_records_are_too_old_and_not_before(pool: Pool, at: At) -> None:
    await at(NOON).prepare()
    await insert(pool, "oldest", NOON - 2 * DAY)
    await insert(pool, "today", NOON)
    await at(NOON + DAY).prepare()
    # A day's grace: who began before midnight may still write.
    assert await partitions(pool) == days(NOON - 2 * DAY, KEPT_DAYS + AHEAD_DAYS + 1)
    await at(NOON + 2 * DAY).prepare()
    assert await partitions(pool) == days(NOON - DAY, KEPT_DAYS + AHEAD_DAYS + 1)
    assert [row["record_id"] for row in await pool.fetch("select record_id from usage_records")] == ["today"]


async def test_processes_that_look_at_the_same_moment_make_and_drop_each_day_once(pool: Pool, at: At) -> None:
    await asyncio.gather(*(at(NOON).prepare() for _ in range(4)))
    assert await partitions(pool) == days(NOON - 2 * DAY, KEPT_DAYS + AHEAD_DAYS)
    later = NOON + 10 * DAY
    await asyncio.gather(*(at(later).prepare() for _ in range(4)))
    assert await partitions(pool) == days(later - 2 * DAY, KEPT_DAYS + AHEAD_DAYS)


async def test_a_process_whose_clock_is_behind_drops_nothing_of_another(pool: Pool, at: At) -> None:
    await at(NOON).prepare()
    await at(NOON - timedelta(hours=13)).prepare()
    assert set(days(NOON - 2 * DAY, KEPT_DAYS + AHEAD_DAYS)) <= set(await partitions(pool))


async def test_days_are_made_and_dropped_while_others_count(pool: Pool, at: At) -> None:
    await at(NOON).prepare()

    async def count(number: int) -> None:
        await insert(pool, f"r-{number}", NOON)

    await asyncio.gather(
        *(count(number) for number in range(100)), *(at(NOON + number * DAY).prepare() for number in (1, 2))
    )
    assert await pool.fetchval("select count(*) from usage_records") == 100


async def test_what_was_set_aside_is_forgotten_with_its_day(pool: Pool, at: At) -> None:
    await pool.execute(
        "insert into quarantined_records"
        " (source, record_id, ended_on, reason, iccid, record, quarantined_at)"
        " values ('cubacel', 'old', $1, 'too_old', '8953', '{}', $2),"
        " ('cubacel', 'new', $1, 'too_old', '8953', '{}', $3)",
        NOON.date(),
        NOON - 3 * DAY,
        NOON - 2 * DAY,
    )
    await at(NOON).prepare()
    assert [row["record_id"] for row in await pool.fetch("select record_id from quarantined_records")] == [
        "new"
    ]


async def test_a_day_without_a_partition_takes_no_record(pool: Pool, at: At) -> None:
    await at(NOON).prepare()
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(pool, "far", NOON + 9 * DAY)
