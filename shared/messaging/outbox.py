"""The transactional outbox: what is committed is published, once the commit is there, at least once."""

import asyncio
from collections.abc import Sequence
from operator import itemgetter

from shared.clock import Clock
from shared.database import Connection, Pool
from shared.database.arrays import columns
from shared.database.queries import load_queries
from shared.messaging import metrics
from shared.messaging.envelope import Envelope
from shared.messaging.errors import PublishFailed
from shared.messaging.producer import ACKNOWLEDGE_SECONDS, Producer
from shared.observability.logging import get_logger
from shared.pause import pause

IDLE_SECONDS = 1.0
_MARGIN_SECONDS = 5.0
STRANDED_AFTER_SECONDS = ACKNOWLEDGE_SECONDS + _MARGIN_SECONDS
"""No live publisher is overtaken: a row's age counts from the beginning of its transaction, and the row goes
up to IDLE_SECONDS after Kafka has acknowledged it."""
STRANDED_LIMIT = 20
AGE_EVERY_SECONDS = 5.0
_ACQUIRE_SECONDS = 10.0
_FORGET_LIMIT = 500
_SQL = load_queries(__file__, "outbox.sql")
_log = get_logger(__name__)


class Outbox:
    """One service's outbox in one process."""

    def __init__(self, pool: Pool, producer: Producer, service: str, clock: Clock) -> None:
        self._pool = pool
        self._producer = producer
        self._clock = clock
        self._acknowledged: list[int] = []
        self._metrics = metrics.OutboxMetrics(service)

    async def write(self, connection: Connection, envelopes: Sequence[Envelope]) -> int | None:
        """Store the events in the open transaction: one statement, one row; none when there is nothing.

        Returns the number of the batch, for `publish`.
        """
        if not envelopes:
            return None
        # Taken before anything is awaited: no other transaction may forget the same ones.
        forgotten = self._acknowledged[:_FORGET_LIMIT]
        del self._acknowledged[:_FORGET_LIMIT]
        rows = [(e.event_id, e.topic, e.key, e.type, e.subject, e.traceparent, e.payload) for e in envelopes]
        batch: int = await connection.fetchval(_SQL["write_outbox"], forgotten, *columns(rows, 7))
        # Should this transaction roll back, the rows come back and are published once more: harmless.
        return batch

    async def publish(self, envelopes: Sequence[Envelope], batch: int | None) -> None:
        """Send what was committed as `batch`. A refusal is no error: the row stays for `recover`."""
        if batch is None:
            return
        try:
            await self._producer.publish(envelopes, self._clock())
        except PublishFailed as error:
            self._metrics.publish_failures.inc()
            _log.warning("events_left_in_outbox", count=len(envelopes), error=str(error))
        else:
            self._acknowledged.append(batch)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until stopping: forget acknowledged rows when idle, recover stranded ones, measure their age."""
        next_age = 0.0
        loop = asyncio.get_running_loop()
        while not stopping.is_set():
            await pause(stopping, IDLE_SECONDS)
            # Before anything that Kafka may refuse: the age must be seen most when nothing goes out.
            if loop.time() >= next_age:
                next_age = loop.time() + AGE_EVERY_SECONDS
                await self._measure()
            await self.forget()
            while await self.recover() == STRANDED_LIMIT and not stopping.is_set():
                pass

    async def forget(self) -> None:
        """Delete the rows that Kafka has acknowledged and no later transaction took along."""
        while forgotten := self._acknowledged[:_FORGET_LIMIT]:
            del self._acknowledged[: len(forgotten)]
            await self._pool.execute(_SQL["forget_acknowledged"], forgotten)

    async def recover(self, older_than_seconds: float = STRANDED_AFTER_SECONDS) -> int:
        """Publish batches that nobody published in time; the number of batches taken.

        No lock is held meanwhile: a transaction that forgets one of these rows would wait for Kafka with us.
        What is not acknowledged is claimed again after as long, behind those that have waited longer.

        Raises:
            PublishFailed: Kafka refuses; the rows stay.
        """
        async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
            rows = await connection.fetch(_SQL["claim_stranded"], older_than_seconds, STRANDED_LIMIT)
        if rows:
            rows.sort(key=itemgetter("batch_id"))
            events = [Envelope(*event) for _, *arrays in rows for event in zip(*arrays, strict=True)]
            await self._producer.publish(events, self._clock())
            async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
                await connection.execute(_SQL["forget_acknowledged"], [row["batch_id"] for row in rows])
            self._metrics.recovered.inc(len(events))
            _log.info("stranded_events_published", count=len(events))
        return len(rows)

    async def _measure(self) -> None:
        for row in await self._pool.fetch(_SQL["outbox_age"]):
            self._metrics.rows.set(row["events"])
            self._metrics.oldest_seconds.set(row["oldest_seconds"])
