"""Looks again at triggers that a stop of charges had kept, once it is over: a bounded number at a time."""

import asyncio
import time
from datetime import timedelta
from typing import Final

from services.renewal import admissions
from services.renewal.domain.policy import Policy
from services.renewal.operators import charge_store, metrics
from shared.messaging.transaction import Transaction, Transactions

AT_ONCE: Final = 50
"""Triggers in one transaction: after a long stop they come as a stream, not as a blow."""
BUSY_SECONDS: Final = 0.25
IDLE_SECONDS: Final = 1.0
SWEEP_SECONDS: Final = 30.0
COUNT_SECONDS: Final = 5.0
_SETTLED: Final = timedelta(seconds=10)


class KeptTriggers:
    """The loop; any number of processes, each takes what the others have not."""

    def __init__(self, transactions: Transactions, policy: Policy) -> None:
        self._transactions = transactions
        self._policy = policy

    async def run(self, stopping: asyncio.Event) -> None:
        swept = counted = 0.0
        while not stopping.is_set():
            looked_at = await self._transactions.run(self.look)
            now = time.monotonic()
            if now - swept >= SWEEP_SECONDS:
                looked_at += await self._transactions.run(self.sweep)
                swept = now
            if now - counted >= COUNT_SECONDS:
                await self.count()
                counted = now
            try:
                async with asyncio.timeout(BUSY_SECONDS if looked_at >= AT_ONCE else IDLE_SECONDS):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def look(self, transaction: Transaction) -> int:
        """Ask again for what a stop kept that is over; how many."""
        kept = await charge_store.take_resumed(transaction.connection, AT_ONCE)
        if kept:
            await admissions.admit(transaction, kept, self._policy)
        return len(kept)

    async def sweep(self, transaction: Transaction) -> int:
        """Ask again for what waits for a slot that is free; how many.

        Whoever reads a slot as taken while another transaction frees it keeps a trigger that nobody looks
        at: the slot has freed already.
        """
        kept_before = transaction.now - _SETTLED
        kept = await charge_store.take_freed(transaction.connection, kept_before, AT_ONCE)
        if kept:
            await admissions.admit(transaction, kept, self._policy)
        return len(kept)

    async def count(self) -> None:
        """Keep the gauges true."""
        async with self._transactions.pool.acquire(timeout=10) as connection:
            stops = await charge_store.count_stops(connection)
            kept = await charge_store.count_kept(connection)
        for kind, gauge in metrics.charges_stopped.items():
            gauge.set(stops.get(kind, 0))
        metrics.kept_by_stop.set(kept.get(True, 0))
        metrics.kept_by_slot.set(kept.get(False, 0))
