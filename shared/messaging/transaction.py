"""The one way to write: state and events commit together, events are published afterwards."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import asyncpg

from shared import crash_points
from shared.clock import Clock
from shared.database import Connection, Pool
from shared.messaging.envelope import Envelope, Sendable, enclose
from shared.messaging.errors import is_conflict
from shared.messaging.outbox import Outbox
from shared.observability.tracing import child, new_span_id

ACQUIRE_SECONDS = 10.0
CONFLICT_ATTEMPTS = 5
Result = TypeVar("Result")


class Transaction:
    """An open transaction: its connection, its instant, and what is to be said if it commits."""

    __slots__ = ("_callbacks", "_outgoing", "_span_id", "connection", "now")

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self._outgoing: dict[UUID, Envelope] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._span_id = new_span_id()

    def send(self, message: Sendable, traceparent: str | None = None) -> None:
        """Publish `message` after the commit, as a consequence of what `traceparent` names.

        Raises:
            DomainError: it is larger than a record may be.
        """
        envelope = enclose(message, child(traceparent, self._span_id))
        self._outgoing[envelope.event_id] = envelope

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call it once, when the commit has succeeded: the place to hand rows to workers."""
        self._callbacks.append(callback)

    @property
    def outgoing(self) -> list[Envelope]:
        return list(self._outgoing.values())

    def committed(self) -> None:
        """Run the callbacks and let go of them: most know this transaction, and would keep the whole batch
        alive with it until the garbage collector comes by."""
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class Transactions:
    """One service's transactions in one process."""

    def __init__(self, pool: Pool, outbox: Outbox, clock: Clock) -> None:
        self.pool = pool
        self._outbox = outbox
        self._clock = clock

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Commits when the block ends well; then publishes. A failed publication is not an error here."""
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            transaction = Transaction(connection, self._clock())
            async with connection.transaction():
                yield transaction
                batch = await self._outbox.write(connection, transaction.outgoing)
                if crash_points.orders is not None:
                    crash_points.orders.pass_by(crash_points.BEFORE_COMMIT)
        transaction.committed()
        if crash_points.orders is not None and batch is not None:
            crash_points.orders.pass_by(crash_points.COMMIT_TO_PUBLISH)
        await self._outbox.publish(transaction.outgoing, batch)

    async def run(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """Do `work` in a transaction; all of it again where two transactions met.

        Raises:
            asyncpg.PostgresError: still in conflict after a bounded number of times, or another fault.
        """
        for attempt in range(1, CONFLICT_ATTEMPTS + 1):
            try:
                async with self.begin() as transaction:
                    result = await work(transaction)
            except asyncpg.PostgresError as error:
                if not is_conflict(error) or attempt == CONFLICT_ATTEMPTS:
                    raise
                await asyncio.sleep(0.01 * attempt)
            else:
                return result
        raise AssertionError("unreachable: the last attempt returns or raises")
