"""A partition of usage records per day: made ahead of time, dropped when its repeats matter no more."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Final

from services.usage import kept_reports, store
from shared.database import Connection
from shared.messaging.transaction import Transaction, Transactions
from shared.observability.logging import get_logger
from shared.pause import pause

CHECK_EVERY_SECONDS: Final = 600.0
AHEAD_DAYS: Final = 2
"""Made before they are needed: nobody waits for them at midnight."""
_PREFIX: Final = "usage_records_"
_QUARANTINED_AT_ONCE: Final = 10_000
_REPORTS_AT_ONCE: Final = 100_000
_log = get_logger(__name__)


class Days:
    """Keeps a partition for each of the last `days` days and for those to come."""

    def __init__(self, transactions: Transactions, days: int) -> None:
        self._transactions = transactions
        self._days = days

    async def prepare(self) -> None:
        """Make what is missing, drop what is over."""
        await self._transactions.run(self.step)

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self.prepare()
            await pause(stopping, CHECK_EVERY_SECONDS)

    async def step(self, transaction: Transaction) -> None:
        connection, today = transaction.connection, transaction.now.astimezone(UTC).date()
        first = today - timedelta(days=self._days - 1)
        wanted = {first + timedelta(days=number) for number in range(self._days + AHEAD_DAYS)}
        # One process at a time: two would make the same table.
        await connection.execute(store.SQL["lock_days"])
        there = {
            _day(row["relname"]): row["relname"]
            for row in await connection.fetch(store.SQL["partition_days"])
        }
        await connection.execute("set local lock_timeout = '5s'")
        for day in sorted(wanted - there.keys()):
            await _make(connection, day)
        # A day's grace: a transaction that began before midnight may still write into the last one.
        over = sorted(day for day in there if day < first - timedelta(days=1))
        for day in over:
            await connection.execute(f"drop table {there[day]}")
        before = datetime(first.year, first.month, first.day, tzinfo=UTC)
        await connection.execute(store.SQL["forget_quarantined"], before, _QUARANTINED_AT_ONCE)
        await connection.execute(store.SQL["forget_reports"], before, _REPORTS_AT_ONCE)
        await connection.execute(kept_reports.SQL["forget_kept_reports"], before, _REPORTS_AT_ONCE)
        if over:
            transaction.after_commit(lambda: _log.info("usage_records_dropped", days=len(over)))


async def _make(connection: Connection, day: date) -> None:
    # No parameters in DDL; a date has no quotation marks.
    await connection.execute(
        f"create table {_PREFIX}{day:%Y_%m_%d} partition of usage_records "
        f"for values from ('{day}') to ('{day + timedelta(days=1)}')"
    )


def _day(table: str) -> date:
    return date.fromisoformat(table.removeprefix(_PREFIX).replace("_", "-"))
