"""Usage records from a carrier's file: counted as any others, reported line by line, on from where it was."""

import asyncio
import gzip
from datetime import timedelta
from pathlib import Path

import pytest

from services.usage.usage_csv import COLUMNS
from shared.contracts.usage_records import UsageRecorded
from tests.integration.importing import DEADLINE_SECONDS, Importing, ended
from tests.integration.usage.conftest import T0, record, someone, subscription, top_up
from tests.integration.wired import Wired

HEADER = ",".join(COLUMNS)


@pytest.fixture
def importing(usage: Wired, tmp_path: Path) -> Importing:
    return Importing("services.usage.records.imports", usage, tmp_path / "usage.csv")


def line(one: UsageRecorded) -> str:
    fields = one.model_dump(mode="json", exclude_none=True)
    return ",".join(str(fields.get(column, "")) for column in COLUMNS)


async def known(usage: Wired) -> tuple[str, str]:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    await usage.consume("top-ups", top_up(who, 1, 10**9))
    return who, its_iccid


async def used(usage: Wired, who: str) -> int:
    size: int = await usage.pool.fetchval("select used_bytes from balances where subscription_id = $1", who)
    return size


async def test_a_file_is_counted_and_every_line_that_is_not_is_in_the_report(
    importing: Importing, usage: Wired
) -> None:
    who, its_iccid = await known(usage)
    _, nobodys = someone()
    good = [record(its_iccid, f"{who}-{number}", 10) for number in range(3)]
    await usage.consume("records", good[0])
    importing.write(
        HEADER,
        *map(line, good),
        line(good[1]),
        line(good[2].model_copy(update={"bytes_down": 11})),
        line(record(nobodys, f"{who}-nobody", 1)),
        line(record(its_iccid, f"{who}-old", 1, started_at=T0 - timedelta(days=99))),
        line(good[0]).replace(its_iccid, "8953"),
        line(good[0]) + ",",
    )
    outcome = await importing.run()
    assert outcome.status == 3, outcome.said
    assert [(number, column) for number, column, _ in importing.refused()] == [
        (6, ""),
        (8, ""),
        (9, "iccid"),
        (10, ""),
    ]
    assert "set aside" in importing.refused()[0][2]
    assert "5 taken (2 duplicate, 1 unknown iccid), 4 refused" in outcome.said
    assert await used(usage, who) == 30


async def test_the_same_file_again_packed_changes_nothing(importing: Importing, usage: Wired) -> None:
    who, its_iccid = await known(usage)
    importing.write(HEADER, *(line(record(its_iccid, f"{who}-{number}", 1)) for number in range(2_500)))
    assert (await importing.run()).status == 0
    importing.file.write_bytes(gzip.compress(importing.file.read_bytes()))
    again = await importing.run()
    assert (again.status, "2,500 duplicate" in again.said) == (0, True), again.said
    assert await used(usage, who) == 2_500


async def test_an_import_that_was_killed_goes_on_and_counts_everything_once(
    importing: Importing, usage: Wired
) -> None:
    who, its_iccid = await known(usage)
    importing.write(HEADER, *(line(record(its_iccid, f"{who}-{number}", 1)) for number in range(12_000)))
    async with importing.under_way() as process:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not importing.standing.exists() or not await used(usage, who):
                await asyncio.sleep(0.01)
        process.kill()
        await ended(process)
    assert await used(usage, who) < 12_000, "the kill came too late to meet anything"
    assert (await importing.run()).status == 0
    assert await used(usage, who) == 12_000
