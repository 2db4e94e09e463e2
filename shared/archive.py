"""Moves rows that are over from a small open table into an archive in time partitions, one per month.

No index says which rows are old: every row would pay for it on its way in. The open table is walked page by
page instead, a short stretch per transaction, all of it every few hours. Where the walk stands is a row of
its own, so that any number of processes share one walk and a crash repeats at most one stretch.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client import Counter

from shared.database import Connection
from shared.database.queries import load_queries
from shared.messaging.transaction import Transaction, Transactions
from shared.observability.logging import get_logger
from shared.pause import pause

SHORTEST: Final = timedelta(days=1)
"""No setting archives what was closed more recently."""
YOUNG: Final = timedelta(hours=12)
"""What began more recently cannot be archived, wherever its clock was read: half of SHORTEST is for skew."""
STRETCH_PAGES: Final = 64
"""Walked in one transaction: some hundreds of rows, half a megabyte."""
PAUSE_SECONDS: Final = 0.05
IDLE_SECONDS: Final = 60.0

ARCHIVED: Final = Counter("recarga_archive_rows_total", "Rows moved into the archive", ["table"])
BROUGHT_BACK: Final = Counter(
    "recarga_archive_brought_back_rows_total", "Rows moved back out of it, for they change", ["table"]
)
_SQL = load_queries(__file__, "archive.sql")
_log = get_logger(__name__)


def is_young(began_at: datetime, now: datetime) -> bool:
    """Whether what began then cannot have been archived by now: then nobody has to look there."""
    return now - began_at < YOUNG


@dataclass(frozen=True, slots=True)
class Removal:
    """What is moved from where to where.

    `find` takes two places in the open table (tid, from and to) and an instant, locks what was closed
    before it and is settled, skipping what others have locked, and returns (key, closed_at). `move` takes
    keys and instants, as two arrays.
    """

    table: str
    archive: str
    find: str
    move: str


class Archive:
    """The loop that walks an open table: a pass `every` so often, which moves what is older than `after`."""

    def __init__(
        self, transactions: Transactions, removal: Removal, *, after: timedelta, every: timedelta
    ) -> None:
        self._transactions = transactions
        self._removal = removal
        self._after = after
        self._every = every
        self._months: set[datetime] = set()
        self._archived = ARCHIVED.labels(removal.table)

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            goes_on = await self._transactions.run(self.step)
            await pause(stopping, PAUSE_SECONDS if goes_on else IDLE_SECONDS)

    async def step(self, transaction: Transaction) -> bool:
        """Walk one stretch. False where the pass is over, the next is not due or another process is on it."""
        connection, now = transaction.connection, transaction.now
        walk = await connection.fetchrow(_SQL["claim_walk"])
        if walk is None:
            return False
        page, begun_at = walk
        if page == 0:
            if begun_at is not None and now < begun_at + self._every:
                return False
            begun_at = now
            # Ahead of time: nobody is in anybody's way while a month is still empty.
            await self._partition(transaction, (now, _month(now) + timedelta(days=32)))
        pages = await connection.fetchval(_SQL["count_pages"], self._removal.table)
        await self._move(transaction, page)
        is_over = page + STRETCH_PAGES >= pages
        await connection.execute(_SQL["keep_walk"], 0 if is_over else page + STRETCH_PAGES, begun_at)
        return not is_over

    async def _move(self, transaction: Transaction, page: int) -> None:
        connection, removal = transaction.connection, self._removal
        until = transaction.now - self._after
        rows = await connection.fetch(removal.find, (page, 0), (page + STRETCH_PAGES, 0), until)
        if not rows:
            return
        await self._partition(transaction, {row[1] for row in rows})
        await connection.execute(removal.move, [row[0] for row in rows], [row[1] for row in rows])
        transaction.after_commit(lambda: self._moved(len(rows)))

    async def _partition(self, transaction: Transaction, instants: Iterable[datetime]) -> None:
        """Make sure that each of these instants has a partition; known ones cost nothing."""
        missing = sorted({_month(at) for at in instants} - self._months)
        if not missing:
            return
        await transaction.connection.execute(_SQL["wait_briefly"])
        for month in missing:
            await _make_partition(transaction.connection, self._removal.archive, month)
        transaction.after_commit(lambda: self._months.update(missing))

    def _moved(self, count: int) -> None:
        self._archived.inc(count)
        _log.info("rows_archived", table=self._removal.table, count=count)


async def _make_partition(connection: Connection, table: str, month: datetime) -> None:
    await connection.execute(await connection.fetchval(_SQL["partition_statement"], table, month))


def _month(at: datetime) -> datetime:
    """The instant at which the month of `at` began, in UTC."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
