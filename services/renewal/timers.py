"""What happens because time passed: silence, deadlines, promises, planned retries.

Any number of processes: each claims due rows with SKIP LOCKED. Firing is bounded per tick, so that an
outage that made thousands due at once ends in a stream, not in a blow.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from services.renewal import metrics, store
from services.renewal.domain.actions import Timer
from services.renewal.domain.due import Stall, due
from services.renewal.domain.policy import Moment, Policy
from services.renewal.domain.renewal import Renewal
from services.renewal.moves import Moves
from shared.database import Connection
from shared.messaging.transaction import Transaction, Transactions
from shared.pause import pause

CATCH_UP_SECONDS: Final = 5.0
"""A partition that nobody has found caught up for this long holds silence and deadlines back."""

STALLS_REMEMBERED: Final = timedelta(days=2)
_MAX_STALLS: Final = 1000


class Timers:
    """Fires what is due, `per_tick` renewals at most every `tick_seconds`."""

    def __init__(
        self, transactions: Transactions, policy: Policy, *, tick_seconds: float, per_tick: int
    ) -> None:
        self._transactions = transactions
        self._policy = policy
        self._promise = timedelta(seconds=policy.promise_seconds)
        self._tick_seconds = tick_seconds
        self._per_tick = per_tick

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self._transactions.run(self.fire)
            await pause(stopping, self._tick_seconds)

    async def fire(self, transaction: Transaction) -> int:
        """Fire what is due at the transaction's instant; how many renewals were looked at."""
        connection, now = transaction.connection, transaction.now
        caught_up = await store.is_caught_up(connection, now, CATCH_UP_SECONDS)
        metrics.STALLED.set(not caught_up)
        claimed = await store.claim_due(
            connection, now, self._per_tick, caught_up=caught_up, promise=self._promise
        )
        if not claimed:
            return 0
        stalls = await read_stalls(connection, now)
        moves = Moves(transaction, self._policy, claimed)
        moment = Moment(now, self._policy)
        for renewal in claimed:
            _look(moves, renewal, moment, stalls, caught_up=caught_up)
        await moves.write()
        return len(claimed)


async def read_stalls(connection: Connection, now: datetime) -> list[Stall]:
    """Those that can matter to a renewal that is open at `now`."""
    rows = await store.read_stalls(connection, now - STALLS_REMEMBERED, _MAX_STALLS)
    return [Stall._make(row) for row in rows]


def _look(moves: Moves, renewal: Renewal, moment: Moment, stalls: list[Stall], *, caught_up: bool) -> None:
    """Fire the timer that is due, or note when to look again: a happy renewal only wakes up here."""
    found = due(renewal, moment, stalls, caught_up=caught_up)
    if not isinstance(found, Timer):
        moves.reschedule(renewal._replace(next_due_at=found))
        return
    decision = moves.apply(renewal, found, None)
    metrics.fired(type(found).__name__).inc()
    again = due(decision.renewal, moment, stalls, caught_up=caught_up)
    next_due_at = moment.at if isinstance(again, Timer) else again
    moves.reschedule(decision.renewal._replace(next_due_at=next_due_at))
