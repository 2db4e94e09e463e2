"""Top-ups that are over lie in an archive: they are found there, and moved back before they change."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from services.provisioning.topups import store
from services.provisioning.topups.domain.top_up import TopUp
from services.provisioning.topups.store import AttemptKey, Held, HeldAttempt
from shared.archive import BROUGHT_BACK, Archive, Removal
from shared.database import Connection
from shared.database.queries import load_queries
from shared.messaging.transaction import Transactions

SQL = load_queries(__file__, "archive.sql")
REMOVAL = Removal("top_ups", "archived_top_ups", SQL["find_settled"], SQL["archive_top_ups"])


def removal(transactions: Transactions, after: timedelta, every: timedelta) -> Archive:
    """What moves decided top-ups once nothing has happened to them for so long."""
    return Archive(transactions, REMOVAL, after=after, every=every)


async def hold(connection: Connection, renewal_ids: Sequence[UUID]) -> dict[UUID, Held]:
    """Lock the top-ups of these renewals, wherever they are. One statement where all are open.

    An archived one is decided for good: whatever it is told, it answers and does not change.
    """
    held = await store.lock(connection, renewal_ids)
    missing = [renewal_id for renewal_id in renewal_ids if renewal_id not in held]
    if not missing:
        return held
    archived = await _lock(connection, missing)
    gone = [renewal_id for renewal_id in missing if renewal_id not in archived]
    if gone:
        # Brought back by somebody else between the two looks: now it cannot move any more, or it never was.
        held |= await store.lock(connection, gone)
    return held | archived


async def _lock(connection: Connection, renewal_ids: Sequence[UUID]) -> dict[UUID, Held]:
    registered = await connection.fetch(SQL["lock_register"], renewal_ids)
    if not registered:
        return {}
    rows = await connection.fetch(SQL["read_archived"], [row[0] for row in registered])
    return {row["renewal_id"]: _held(row) for row in rows}


def _held(row: asyncpg.Record) -> Held:
    top_up = TopUp(*(row[name] for name in TopUp._fields))
    return Held(top_up, store.order_of(row), row["present_iccid"], row["present_carrier"])


async def lock_attempts(
    connection: Connection, keys: Collection[AttemptKey]
) -> dict[AttemptKey, HeldAttempt]:
    """Lock decisions and attempts that a carrier told something of; what is archived comes back for it."""
    held = await store.lock_attempts(connection, list(keys))
    missing = [key for key in keys if key not in held]
    if missing:
        await _bring_back(connection, {renewal_id for renewal_id, *_ in missing})
        # Also where nothing came back: somebody else may have done that between the two looks.
        held |= await store.lock_attempts(connection, missing)
    return held


async def _bring_back(connection: Connection, renewal_ids: Collection[UUID]) -> None:
    """Move those of them back that are archived."""
    returned = await connection.fetch(SQL["bring_top_ups_back"], list(renewal_ids))
    BROUGHT_BACK.labels(REMOVAL.table).inc(len(returned))


async def find(connection: Connection, renewal_id: UUID) -> asyncpg.Record | None:
    """One top-up, open or archived, with its attempts as JSON text, None where there is none."""
    return await connection.fetchrow(SQL["find_top_up"], renewal_id)


async def of_subscription(
    connection: Connection, subscription_id: str, before: UUID | None, limit: int
) -> list[asyncpg.Record]:
    """The top-ups of a subscription, open or archived, newest renewal first, from before that renewal on."""
    return await connection.fetch(SQL["list_top_ups"], subscription_id, before, limit)
