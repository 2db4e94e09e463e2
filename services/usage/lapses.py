"""What happens to data because time passes: buckets lapse, or are about to, although nobody uses anything."""

import asyncio
from typing import Final

from services.usage import store
from services.usage.counting import Carriers, say
from services.usage.domain.triggers import next_due_at, take_due
from shared.messaging.transaction import Transaction, Transactions
from shared.pause import pause

TICK_SECONDS: Final = 1.0
AT_ONCE: Final = 500


class Lapses:
    """The loop that looks at balances when they are due. Any number of processes share the work."""

    def __init__(self, transactions: Transactions, carriers: Carriers) -> None:
        self._transactions = transactions
        self._carriers = carriers

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            if await self._transactions.run(self.step) == AT_ONCE:
                continue
            await pause(stopping, TICK_SECONDS)

    async def step(self, transaction: Transaction) -> int:
        """Look at some of those that are due; how many there were."""
        now = transaction.now
        due = await store.lock_due_balances(transaction.connection, now, AT_ONCE)
        if not due:
            return 0
        carrier_of = await self._carriers.read(transaction)
        said = []
        for balance in due:
            wants = carrier_of(balance).wants
            said += take_due(balance, now, wants)
            balance.next_due_at = next_due_at(balance, now, wants)
        await store.update_cycles(transaction.connection, due, now)
        await say(transaction, said, {})
        return len(due)
