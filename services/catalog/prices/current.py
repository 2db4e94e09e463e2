"""The price list as this process knows it: loaded at the start, brought up to date every second."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from services.catalog import metrics
from services.catalog.offerings.store import versions_since
from services.catalog.prices.domain.price_list import PriceList
from services.catalog.prices.store import prices_since
from services.catalog.revision import present_revision
from shared.database import Pool
from shared.pause import pause

REFRESH_EVERY_SECONDS = 1.0
TIMEOUT_SECONDS = 10.0


class CurrentPriceList:
    """One process's price list. `lead` is how long before its effect a change is written, less clock skew."""

    def __init__(self, pool: Pool, lead: timedelta) -> None:
        self._pool = pool
        self._lead = lead
        self._refreshing = asyncio.Lock()
        self.now_known = PriceList()

    async def refresh(self) -> None:
        """Learn everything that was committed before this call.

        Raises:
            asyncpg.PostgresError, OSError, TimeoutError: the database does not answer; the list stays.
        """
        async with self._refreshing:
            known = self.now_known
            revision, known_at = await present_revision(self._pool, TIMEOUT_SECONDS)
            if revision == known.revision:
                self.now_known = replace(known, known_until=known_at + self._lead)
                return
            versions = await versions_since(self._pool, known.revision, TIMEOUT_SECONDS)
            prices = await prices_since(self._pool, known.revision, TIMEOUT_SECONDS)
            self.now_known = known.extended(versions, prices, revision, known_at + self._lead)
            metrics.PRICE_LIST_REVISION.set(revision)

    async def run(self, stopping: asyncio.Event) -> None:
        """Refresh every second until stopping."""
        while not stopping.is_set():
            await self.refresh()
            metrics.PRICE_LIST_KNOWN_UNTIL.set(self.now_known.known_until.timestamp())
            await pause(stopping, REFRESH_EVERY_SECONDS)
