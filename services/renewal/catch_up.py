"""How far the saga has read: a row per partition, so that timers never take our deafness for silence."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from services.renewal import store
from shared.clock import Clock
from shared.database import Pool
from shared.messaging.consumer import Consumer
from shared.messaging.received import Received
from shared.pause import pause

REPORT_EVERY_SECONDS: Final = 1.0
CAUGHT_UP_WITHIN_SECONDS: Final = 2.0
"""A partition whose last record was read this soon after it was written is caught up, whatever its lag."""

STALLED_AFTER_SECONDS: Final = 10.0
"""Shorter gaps between two reports are no stall: a restart, a rebalance, a busy second."""

_Partition = tuple[str, int]


class CatchUp:
    """What this process has read of the saga's topics, told to the database once a second."""

    def __init__(self) -> None:
        self._fresh_at: dict[_Partition, datetime] = {}

    def read(self, batch: Sequence[Received], now: datetime) -> None:
        """A batch was handled: the partitions whose newest record is young are caught up now."""
        newest = {(received.topic, received.partition): received.record.timestamp for received in batch}
        young = now.timestamp() - CAUGHT_UP_WITHIN_SECONDS
        for partition, written_ms in newest.items():
            if written_ms / 1000 >= young:
                self._fresh_at[partition] = now

    def rows(self, lag: dict[_Partition, int], now: datetime) -> list[store.Progress]:
        """One row per assigned partition. No lag is caught up; so is one that was fresh a moment ago."""
        young = now - timedelta(seconds=CAUGHT_UP_WITHIN_SECONDS)
        return [
            store.Progress(
                topic,
                partition,
                behind,
                behind == 0 or self._fresh_at.get((topic, partition), _NEVER) >= young,
            )
            for (topic, partition), behind in lag.items()
        ]


_NEVER: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class ProgressReport:
    """The loop that writes the rows, for as long as this process reads anything."""

    def __init__(self, catch_up: CatchUp, consumer: Consumer, pool: Pool, clock: Clock) -> None:
        self._catch_up = catch_up
        self._consumer = consumer
        self._pool = pool
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self.report()
            await pause(stopping, REPORT_EVERY_SECONDS)

    async def report(self) -> None:
        """Write what is known now; nothing while no partition is assigned."""
        now = self._clock()
        rows = self._catch_up.rows(dict(self._consumer.lag), now)
        if rows:
            async with self._pool.acquire(timeout=10) as connection:
                await store.report_progress(connection, rows, now, STALLED_AFTER_SECONDS)
