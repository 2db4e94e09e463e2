"""What becomes of reviews that nobody decides: refused when due, told to whoever asked, then forgotten."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from services.renewal import admissions, store
from services.renewal.acceptance import review_store
from services.renewal.domain.admission import REVIEW_EXPIRED, Refusal
from services.renewal.domain.review import Review
from shared.messaging.transaction import Transaction, Transactions
from shared.pause import pause

AT_ONCE: Final = 50
LOOK_SECONDS: Final = 1.0
FORGET_SECONDS: Final = 60.0
REMEMBERED: Final = timedelta(days=35)
"""How long the same Idempotency-Key is told again what became of a request that was reviewed."""
_FORGOTTEN_AT_ONCE: Final = 2_000


async def tell_refused(transaction: Transaction, reviews: Sequence[Review], why: Refusal) -> None:
    """Remember the refusals of what people asked for; tell those who wait for a message.

    What a rule asked for is told by its decision, when its trigger is looked at again.
    """
    asked = [review.request for review in reviews if not review.is_a_rules]
    if not asked:
        return
    refused = [(request, why) for request in asked]
    await store.keep_refusals(transaction.connection, refused, transaction.now)
    for request in asked:
        if request.is_told:
            transaction.send(admissions.refusal_of(request, why, transaction), request.traceparent)


class Reviews:
    """The loop; any number of processes, each takes its own."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def run(self, stopping: asyncio.Event) -> None:
        forgotten = 0.0
        while not stopping.is_set():
            await self._transactions.run(self.look)
            if time.monotonic() - forgotten >= FORGET_SECONDS:
                await self._transactions.run(self.forget)
                forgotten = time.monotonic()
            await pause(stopping, LOOK_SECONDS)

    async def look(self, transaction: Transaction) -> int:
        """Refuse what nobody has decided in time; how many.

        A rule's trigger is not looked at here: it is kept until the same instant, and finds the review ended.
        """
        connection, now = transaction.connection, transaction.now
        expired = await review_store.expire(connection, now, REVIEW_EXPIRED, AT_ONCE)
        await tell_refused(transaction, expired, REVIEW_EXPIRED)
        return len(expired)

    async def forget(self, transaction: Transaction) -> None:
        """What has ended so long ago that nobody asks again."""
        before = transaction.now - REMEMBERED
        await review_store.forget(transaction.connection, before, _FORGOTTEN_AT_ONCE)
