"""Subscriptions from CSV, as people import them, into the service itself."""

import asyncio
import gzip
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from shared.contracts.checks import eid_with_check, luhn_digit
from shared.contracts.subscriptions import SubscriptionChanged
from tests.integration.importing import DEADLINE_SECONDS, Importing, ended
from tests.integration.provisioning.conftest import Subscribe
from tests.integration.wired import Wired

MODULE = "services.provisioning.subscriptions.imports"
HEADER = "subscription_id,brand,carrier,iccid,eid,bound_imei,owner_id,status"
SOMEBODY_ELSE = """
insert into subscriptions (subscription_id, brand, carrier, iccid, eid, owner_id, status, changed_at)
values ($1, 'ola', 'cubacel', 'of somebody else', '', 'owner', 'active', now())
"""
_numbers = count(1)


def line(**fields: str) -> str:
    """A good line about nobody else, but for `fields`."""
    number = next(_numbers)
    iccid, imei = f"8977{number:014d}", f"86{number:012d}"
    good = {
        "subscription_id": f"import-{number}",
        "brand": "ola",
        "carrier": "cubacel",
        "iccid": iccid + luhn_digit(iccid),
        "eid": eid_with_check(f"89{number:028d}"),
        "bound_imei": imei + luhn_digit(imei),
        "owner_id": f"owner-{number}",
        "status": "active",
    }
    return ",".join((good | fields).values())


def ids(lines: list[str]) -> list[str]:
    return [one.partition(",")[0] for one in lines]


@pytest.fixture
def importing(provisioning: Wired, tmp_path: Path) -> Importing:
    return Importing(MODULE, provisioning, tmp_path / "subscriptions.csv")


def published(provisioning: Wired, wanted: list[str]) -> list[tuple[str, int]]:
    """(subscription_id, version) of every change of these that was said."""
    known = set(wanted)
    return [
        (change.subscription_id, change.version)
        for change in provisioning.said(SubscriptionChanged)
        if change.subscription_id in known
    ]


async def kept(provisioning: Wired, wanted: list[str]) -> int:
    """How many of these are there."""
    statement = "select count(*) from subscriptions where subscription_id = any($1::text[])"
    found: int = await provisioning.pool.fetchval(statement, wanted)
    return found


async def test_bad_lines_of_every_sort_stop_none_of_the_good_ones(
    importing: Importing, provisioning: Wired, subscribe: Subscribe
) -> None:
    somebody = await subscribe()
    good = [line() for _ in range(1_500)]
    twin = good[0].replace("owner-", "other-")
    bad = [
        line(iccid=somebody.iccid),
        line(iccid="8999990000000000000"),
        line(eid="8" * 32),
        line(bound_imei="1"),
        line(status="asleep"),
        line(brand=""),
        line(subscription_id="not an id"),
        twin,
        line() + ",more",
        '"' + line(),
        line(brand="x" * 5_000),
        line(brand="\x00"),
    ]
    importing.write(HEADER, *good[:700], *bad, *good[700:], "")

    outcome = await importing.run()

    assert outcome.status == 3, outcome.said
    assert "1,500 taken, 12 refused" in outcome.said
    assert await kept(provisioning, ids(good)) == 1_500
    assert sorted(published(provisioning, ids(good))) == sorted((one, 1) for one in ids(good))
    told = importing.refused()
    assert [(at - 702, column) for at, column, _ in told] == [
        (0, ""),
        (1, "iccid"),
        (2, "eid"),
        (3, "bound_imei"),
        (4, "status"),
        (5, "brand"),
        (6, "subscription_id"),
        (7, "subscription_id"),
        (8, ""),
        (9, ""),
        (10, ""),
        (11, ""),
    ]
    assert told[0][2].startswith("An eSIM profile has one subscription")
    assert told[7][2] == "Line 2 has the same subscription_id: only that one is taken."


async def test_the_same_file_again_changes_and_publishes_nothing(
    importing: Importing, provisioning: Wired
) -> None:
    lines = [line() for _ in range(1_200)]
    importing.write(HEADER, *lines)
    importing.file.write_bytes(gzip.compress(importing.file.read_bytes()))

    outcomes = [await importing.run() for _ in range(2)]

    assert [outcome.status for outcome in outcomes] == [0, 0]
    assert all("1,200 taken, 0 refused" in outcome.said for outcome in outcomes)
    assert sorted(published(provisioning, ids(lines))) == sorted((one, 1) for one in ids(lines))


async def test_a_changed_line_is_one_more_version(importing: Importing, provisioning: Wired) -> None:
    lines = [line() for _ in range(3)]
    importing.write(HEADER, *lines)
    assert (await importing.run()).status == 0
    importing.write(HEADER, lines[0].replace(",active", ",suspended"), *lines[1:])
    assert (await importing.run()).status == 0
    assert published(provisioning, ids(lines))[3:] == [(ids(lines)[0], 2)]


async def test_numbers_come_in_a_column_that_may_be_left_out(
    importing: Importing, provisioning: Wired
) -> None:
    lines = [line(), line(), line()]
    numbers = ["+5350009001", "", "5350009003"]
    importing.write(
        f"{HEADER},msisdn", *(f"{one},{number}" for one, number in zip(lines, numbers, strict=True))
    )

    outcome = await importing.run()

    assert (outcome.status, [(at, column) for at, column, _ in importing.refused()]) == (3, [(4, "msisdn")])
    told = {one.subscription_id: one.msisdn for one in provisioning.said(SubscriptionChanged)}
    assert [told.get(one) for one in ids(lines)] == ["+5350009001", None, None]
    assert ids(lines)[2] not in told


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "The file is empty"),
        (HEADER + "\n", "no line but its header"),
        (HEADER.replace("eid,", "") + "\n" + line() + "\n", "eid is missing"),
        (line() + "\n" + line() + "\n", "it names something else"),
    ],
)
async def test_a_file_of_another_form_is_not_begun(importing: Importing, content: str, why: str) -> None:
    importing.file.write_text(content, encoding="utf-8")
    outcome = await importing.run()
    assert outcome.status == 2
    assert why in outcome.said


async def test_a_check_writes_the_report_and_nothing_else(importing: Importing, provisioning: Wired) -> None:
    lines = [line() for _ in range(3)]
    importing.write(HEADER, *lines, line(iccid="1"))
    outcome = await importing.run("--check")
    assert (outcome.status, "3 are good, 1 refused" in outcome.said) == (3, True)
    assert [at for at, _, _ in importing.refused()] == [5]
    assert await kept(provisioning, ids(lines)) == 0


@dataclass(frozen=True, slots=True)
class Held:
    """An import of 12 chunks, of which the sixth waits for somebody else's lock until `release`."""

    lines: list[str]
    blocker: int
    """The PostgreSQL process that the sixth chunk waits for."""
    release: Callable[[], Awaitable[None]]


@asynccontextmanager
async def held_up(importing: Importing, provisioning: Wired) -> AsyncIterator[Held]:
    lines = [line() for _ in range(12_000)]
    importing.write(HEADER, *lines)
    async with provisioning.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("set local idle_in_transaction_session_timeout = 0")
        await connection.execute(SOMEBODY_ELSE, ids(lines)[5_500])
        try:
            yield Held(lines, connection.get_server_pid(), transaction.rollback)
        finally:
            if connection.is_in_transaction():
                await transaction.rollback()


async def until_held_up(importing: Importing, provisioning: Wired, held: Held) -> None:
    """Waits until the sixth chunk waits, all before it is there, and the import has kept how far it is."""
    blocked = "select exists(select from pg_stat_activity where $1 = any(pg_blocking_pids(pid)))"
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (
            not await provisioning.pool.fetchval(blocked, held.blocker)
            or await kept(provisioning, ids(held.lines[:5_000])) < 5_000
            or not importing.standing.exists()
        ):
            await asyncio.sleep(0.05)


async def test_an_import_that_was_killed_goes_on_and_brings_each_subscription_once(
    importing: Importing, provisioning: Wired
) -> None:
    async with held_up(importing, provisioning) as held, importing.under_way() as process:
        await until_held_up(importing, provisioning, held)
        process.kill()
        assert (await ended(process)).status == -signal.SIGKILL
    wanted = ids(held.lines)
    assert await kept(provisioning, wanted) < 12_000

    outcome = await importing.run()

    assert outcome.status == 0, outcome.said
    assert "12,000 taken" in outcome.said
    assert await kept(provisioning, wanted) == 12_000
    assert sorted(published(provisioning, wanted)) == sorted((one, 1) for one in wanted)
    assert not importing.standing.exists()


async def test_an_import_that_was_stopped_finishes_what_is_under_way_and_can_be_resumed(
    importing: Importing, provisioning: Wired
) -> None:
    async with held_up(importing, provisioning) as held, importing.under_way() as process:
        await until_held_up(importing, provisioning, held)
        process.send_signal(signal.SIGINT)
        await held.release()
        stopped = await ended(process)
    assert stopped.status == 130, stopped.said
    assert "the same command goes on from there" in stopped.said
    assert 6_000 <= await kept(provisioning, ids(held.lines)) < 12_000

    assert (await importing.run()).status == 0
    assert await kept(provisioning, ids(held.lines)) == 12_000
