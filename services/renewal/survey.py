"""Counts open renewals for the dashboard, every few seconds, from the rows themselves."""

import asyncio
from datetime import datetime

from services.renewal import metrics, store
from services.renewal.acceptance import review_store
from services.renewal.domain.renewal import OPEN_STATES
from shared.clock import Clock
from shared.database import Pool
from shared.pause import pause

SURVEY_EVERY_SECONDS = 5.0


class Survey:
    """The loop that keeps the gauges true."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self.take()
            await pause(stopping, SURVEY_EVERY_SECONDS)

    async def take(self) -> None:
        async with self._pool.acquire(timeout=10) as connection:
            found = {row.state: row for row in await store.survey_open(connection)}
            reviews = await review_store.survey(connection, self._clock())
        for state in OPEN_STATES:
            metrics.in_flight[state].set(found[state].renewals if state in found else 0)
        metrics.PARKED.set(found["parked"].renewals if "parked" in found else 0)
        # What is parked has an alert of its own; here is money that somebody should be moving.
        moving = [row for state, row in found.items() if state != "parked"]
        metrics.UNAPPLIED.set(sum(row.captured for row in moving))
        oldest = min((row.oldest_captured_at for row in moving if row.oldest_captured_at), default=None)
        metrics.UNAPPLIED_OLDEST.set(self._age(oldest))
        metrics.REVIEWS_OPEN.set(reviews.reviews)
        metrics.REVIEWS_NEAR_LIMIT.set(reviews.near_limit)
        metrics.REVIEWS_OLDEST.set(self._age(reviews.oldest_at))

    def _age(self, since: datetime | None) -> float:
        return 0.0 if since is None else max(0.0, (self._clock() - since).total_seconds())
