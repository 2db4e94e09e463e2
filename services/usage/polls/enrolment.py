"""Takes the subscriptions of a carrier in that begins to be polled: step by step, any number of processes."""

import asyncio
from typing import Final

from services.usage.polls.store import SQL
from shared.messaging.transaction import Transaction, Transactions
from shared.pause import pause

LOOK_EVERY_SECONDS: Final = 2.0
AT_ONCE: Final = 5_000


class Enrolment:
    """The loop that walks the ICCIDs for carriers whose polling began."""

    def __init__(self, transactions: Transactions, at_once: int = AT_ONCE) -> None:
        self._transactions = transactions
        self._at_once = at_once

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            if await self._transactions.run(self.step):
                continue
            await pause(stopping, LOOK_EVERY_SECONDS)

    async def step(self, transaction: Transaction) -> bool:
        """Look at the next ICCIDs for one carrier; whether there was one."""
        row = await transaction.connection.fetchrow(SQL["lock_enrolment"])
        if row is None:
            return False
        await transaction.connection.execute(SQL["enrol"], row["carrier"], row["polled_from"], self._at_once)
        return True
