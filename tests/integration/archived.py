"""What tests of archives share: moving everything that is settled now, and where a row is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from shared.archive import Archive, Removal
from shared.clock import utc_now
from shared.database import Connection
from tests.integration.sandboxed import until
from tests.integration.wired import Wired

AT_ONCE = timedelta(0)


def at_once(service: Wired, removal: Removal) -> Archive:
    """Moves whatever is settled, however recently, whenever it is asked to."""
    return Archive(service.transactions, removal, after=AT_ONCE, every=AT_ONCE)


async def walk(service: Wired, removal: Removal) -> None:
    """A whole pass over the open table. The service's own loop may be on it: then once more."""
    archive = at_once(service, removal)
    before = await service.pool.fetchval("select begun_at from archive_walk")

    async def passed() -> bool:
        while await service.transactions.run(archive.step):
            pass
        passed = "select page = 0 and begun_at is distinct from $1 from archive_walk"
        return bool(await service.pool.fetchval(passed, before))

    await until(passed)


async def places(service: Wired, removal: Removal, renewal_id: UUID) -> list[str]:
    """The tables in which a renewal is."""
    found = []
    for table in (removal.table, removal.archive, "archive_register"):
        times = await service.pool.fetchval(
            f"select count(*) from {table} where renewal_id = $1",  # noqa: S608 - names of ours
            renewal_id,
        )
        found += [table] * times
    return found


def long_ago() -> datetime:
    """Before anything that a test has begun."""
    return utc_now() - timedelta(days=40)


BringBack = Callable[[Connection, Collection[UUID]], Awaitable[Any]]


class _MovingBetween:
    """A connection before each of whose statements a renewal is moved, out of the archive or into it."""

    def __init__(self, connection: Connection, move: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._move = move

    async def fetch(self, *statement: Any) -> Any:
        await self._move()
        return await self._connection.fetch(*statement)

    async def fetchrow(self, *statement: Any) -> Any:
        await self._move()
        return await self._connection.fetchrow(*statement)


@asynccontextmanager
async def moving_between(
    service: Wired, removal: Removal, bring_back: BringBack, renewal_id: UUID
) -> AsyncIterator[Connection]:
    """A connection on which whoever reads in two statements finds the renewal elsewhere in the second."""

    async def move() -> None:
        if removal.table in await places(service, removal, renewal_id):
            await walk(service, removal)
            assert removal.archive in await places(service, removal, renewal_id)
        else:
            async with service.transactions.begin() as transaction:
                await bring_back(transaction.connection, [renewal_id])
            assert await places(service, removal, renewal_id) == [removal.table]

    async with service.pool.acquire() as connection:
        yield cast(Connection, _MovingBetween(connection, move))
