"""Renewals that are over lie in an archive: they are found there, and moved back before they change."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from services.renewal.domain.renewal import HistoryEntry, Renewal
from shared.archive import BROUGHT_BACK, Archive, Removal
from shared.database import Connection
from shared.database.queries import load_queries
from shared.messaging.transaction import Transactions

SQL = load_queries(__file__, "archive.sql")
REMOVAL = Removal("renewals", "archived_renewals", SQL["find_settled"], SQL["archive_renewals"])


def removal(transactions: Transactions, after: timedelta, every: timedelta) -> Archive:
    """What moves closed renewals once they have been closed for so long."""
    return Archive(transactions, REMOVAL, after=after, every=every)


async def lock(connection: Connection, renewal_ids: Collection[UUID]) -> list[Renewal]:
    """The archived ones among these, locked in key order; nothing is read where none is."""
    registered = await connection.fetch(SQL["lock_register"], renewal_ids)
    if not registered:
        return []
    rows = await connection.fetch(SQL["read_archived"], [row[0] for row in registered])
    return [_renewal(row) for row in rows]


async def bring_back(connection: Connection, renewal_ids: Collection[UUID]) -> None:
    """Move those of these locked renewals back that are archived, with their history."""
    returned = await connection.fetch(SQL["bring_renewals_back"], renewal_ids)
    BROUGHT_BACK.labels(REMOVAL.table).inc(len(returned))


async def find_renewal(connection: Connection, renewal_id: UUID) -> Renewal | None:
    """The renewal as it is now, open or archived, unlocked."""
    row = await connection.fetchrow(SQL["find_renewal"], renewal_id)
    return None if row is None else _renewal(row)


async def find_history(connection: Connection, renewal_id: UUID) -> list[HistoryEntry]:
    """What happened to a renewal, open or archived, oldest first."""
    return [HistoryEntry._make(row) for row in await connection.fetch(SQL["find_history"], renewal_id)]


async def list_renewals(
    connection: Connection,
    subscription_id: str | None,
    state: str | None,
    place: tuple[datetime | None, UUID | None],
    limit: int,
) -> list[Renewal]:
    """Open and archived ones, newest first, at most `limit`, behind the place."""
    if subscription_id is None:
        rows = await connection.fetch(SQL["list_all"], state, *place, limit)
    else:
        rows = await connection.fetch(SQL["list_of_subscription"], subscription_id, state, *place, limit)
    return [_renewal(row) for row in rows]


def _renewal(row: asyncpg.Record) -> Renewal:
    return Renewal(*(row[name] for name in Renewal._fields))
