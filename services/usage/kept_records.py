"""Usage records whose ICCID belongs to nobody yet: bounded, counted, and taken up once it does.

With them what carriers have said of such ICCIDs (kept_reports.py).
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress

from services.usage import kept_reports, metrics, store
from services.usage.counting import Carriers, Use, count_use
from services.usage.reports import Reports
from shared.messaging.transaction import Transaction, Transactions
from shared.observability.logging import get_logger

DRAIN_LIMIT = 500
"""Records that one transaction takes up."""
SWEEP_EVERY_SECONDS = 30.0
_SWEEP_ICCIDS = 1_000
_log = get_logger(__name__)


class KeptRecords:
    """Knows how many records wait, and takes up those whose subscription has appeared."""

    def __init__(self, transactions: Transactions, carriers: Carriers, reports: Reports, limit: int) -> None:
        self._transactions = transactions
        self._carriers = carriers
        self._reports = reports
        self._limit = limit
        self._count = 0
        self._iccids: set[str] = set()
        self._wake = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether another record may be kept; as of the last count, so exceeded by a few batches at most."""
        return self._count < self._limit

    def added(self, count: int) -> None:
        """That many records were kept."""
        self._count += count
        metrics.KEPT.set(self._count)

    def overflowed(self, count: int) -> None:
        """That many were left in Kafka only: they must be replayed once their subscriptions are known."""
        _log.error("usage_records_dropped", count=count, limit=self._limit)

    def appeared(self, iccids: Collection[str]) -> None:
        """These ICCIDs have a subscription now. Those beyond a bound are found by the next sweep."""
        if len(self._iccids) < 10 * _SWEEP_ICCIDS:
            self._iccids.update(iccids)
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Until stopping: take up what appeared, and now and then whatever can be."""
        stopped = asyncio.ensure_future(stopping.wait())
        stopped.add_done_callback(lambda _: self._wake.set())
        loop = asyncio.get_running_loop()
        next_sweep = 0.0
        try:
            while not stopping.is_set():
                if loop.time() >= next_sweep:
                    await self.sweep()
                    next_sweep = loop.time() + SWEEP_EVERY_SECONDS
                self._wake.clear()
                if self._iccids:
                    iccids, self._iccids = self._iccids, set()
                    await self.drain(iccids)
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, next_sweep - loop.time())):
                        await self._wake.wait()
        finally:
            stopped.cancel()

    async def sweep(self) -> None:
        """Take up what was kept while its subscription was just being learnt, and count the rest."""
        pool = self._transactions.pool
        rows = await pool.fetch(store.SQL["kept_iccids_with_subscription"], _SWEEP_ICCIDS)
        rows += await pool.fetch(kept_reports.SQL["reported_iccids_with_subscription"], _SWEEP_ICCIDS)
        if rows:
            await self.drain({row["iccid"] for row in rows})
        self._count = await pool.fetchval(store.SQL["count_kept_records"], 2 * self._limit)
        metrics.KEPT.set(self._count)

    async def drain(self, iccids: Collection[str]) -> int:
        """Take up every kept record of these ICCIDs, then what carriers said; how many records there were."""
        drained = 0
        while taken := await self._transactions.run(lambda transaction: self._take_up(transaction, iccids)):
            drained += taken
            self._count = max(0, self._count - taken)
            metrics.KEPT.set(self._count)
        if drained:
            _log.info("kept_usage_records_counted", count=drained)
        # Behind the records: what a carrier says was left is compared with what they took.
        while await self._transactions.run(lambda transaction: self._reports.take_up(transaction, iccids)):
            pass
        return drained

    async def _take_up(self, transaction: Transaction, iccids: Collection[str]) -> int:
        connection = transaction.connection
        kept = await store.lock_kept_records(connection, iccids, DRAIN_LIMIT)
        if not kept:
            return 0
        balances = await store.lock_balances(connection, {each.subscription_id for each in kept})
        uses = [
            Use(balances[each.subscription_id], each.size, each.imei, each.started_at, each.ended_at)
            for each in kept
        ]
        taken = await count_use(transaction, uses, await self._carriers.read(transaction))
        await store.take_kept_records(connection, list(zip(kept, taken, strict=True)))
        transaction.after_commit(lambda: metrics.records("counted", len(kept)))
        return len(kept)
