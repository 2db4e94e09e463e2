"""Looks again at triggers that were kept, once what kept them is over: a bounded number at a time.

A stop of charges, an instant (quiet hours, a cool-down, a cap, a notice), or a slot whose freeing was missed.
"""

import asyncio
import time
from datetime import timedelta
from typing import Final

from services.renewal import admissions, burst_store, bursts
from services.renewal.domain.policy import Policy
from services.renewal.operators import charge_store, metrics
from services.renewal.rules import decision_store
from services.renewal.rules import store as rule_store
from shared.messaging.transaction import Transaction, Transactions
from shared.pause import pause

AT_ONCE: Final = 50
"""Triggers in one transaction: after a long stop they come as a stream, not as a blow."""
BUSY_SECONDS: Final = 0.25
IDLE_SECONDS: Final = 1.0
SWEEP_SECONDS: Final = 30.0
COUNT_SECONDS: Final = 5.0
REMEMBERED: Final = timedelta(days=400)
"""How long it can be asked what became of a trigger: a year, and who complains about its last day."""
_FORGOTTEN_AT_ONCE: Final = 2_000
_SETTLED: Final = timedelta(seconds=10)
_MISSED: Final = timedelta(minutes=10)
"""Older ones wait for a pause that is still on: they are not looked through again and again."""


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
            await pause(stopping, BUSY_SECONDS if looked_at >= AT_ONCE else IDLE_SECONDS)

    async def look(self, transaction: Transaction) -> int:
        """Ask again for what a stop kept that is over, or an instant that has come; how many."""
        connection = transaction.connection
        kept = await rule_store.take_due(connection, transaction.now, AT_ONCE)
        if len(kept) < AT_ONCE:
            kept += await charge_store.take_resumed(connection, AT_ONCE - len(kept))
        if kept:
            await admissions.admit(transaction, kept, self._policy)
        return len(kept)

    async def sweep(self, transaction: Transaction) -> int:
        """Ask again for what waits for a free slot, a pause that is over, an answer that is there; how many.

        Whoever reads a slot as taken while another transaction frees it keeps a trigger that nobody looks
        at: the slot has freed already. So does whoever reads a rule as paused, or a consent as too low.
        Forgets decisions, too, that are too old.
        """
        connection, now = transaction.connection, transaction.now
        kept = await charge_store.take_freed(connection, now - _SETTLED, AT_ONCE)
        kept += await rule_store.take_unpaused(connection, now - _MISSED, now - _SETTLED, AT_ONCE)
        kept += await rule_store.take_answered(connection, now - _MISSED, now - _SETTLED, AT_ONCE)
        if kept:
            await admissions.admit(transaction, kept, self._policy)
        await burst_store.forget(transaction.connection, transaction.now - bursts.REMEMBERED)
        await decision_store.forget(connection, now - REMEMBERED, _FORGOTTEN_AT_ONCE)
        return len(kept)

    async def count(self) -> None:
        """Keep the gauges true."""
        async with self._transactions.pool.acquire(timeout=10) as connection:
            stops = await charge_store.count_stops(connection)
            tripped = await burst_store.count_tripped(connection)
            kept = await charge_store.count_kept(connection)
        for kind, gauge in metrics.charges_stopped.items():
            gauge.set(stops.get(kind, 0))
        for kind, gauge in metrics.breaker_open.items():
            gauge.set(tripped.get(kind, 0))
        for what, gauge in metrics.kept_by.items():
            gauge.set(kept.get(what, 0))
