"""Leases permits to call a gateway: one row per gateway says until when its instants are given away."""

import time

from shared.calls.permits import SLOWEST_LEASE_SECONDS
from shared.database import Pool
from shared.database.queries import load_queries

_SQL = load_queries(__file__)
_LEASE_SECONDS = 2.0
_LONGEST_AHEAD_SECONDS = 60.0


class PermitOffice:
    """The permits of one service, in its schema's table `call_permits`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def lease(self, gateway: str, number: int, rate: float) -> list[float]:
        """The instants (`time.monotonic`) of the next permits; none where the answer took too long.

        Raises:
            asyncpg.PostgresError, OSError, TimeoutError: there are none to be had now.
        """
        spread = number / rate
        before = time.monotonic()
        ends_in: float = await self._pool.fetchval(
            _SQL["lease_permits"], gateway, spread, _LONGEST_AHEAD_SECONDS, timeout=_LEASE_SECONDS
        )
        now = time.monotonic()
        if now - before > SLOWEST_LEASE_SECONDS:
            return []
        first = now + ends_in - spread
        return [first + place / rate for place in range(number)]
