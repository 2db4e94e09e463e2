"""Payments that are over lie in an archive: they are found there, and moved back before they change."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from services.payment import store
from services.payment.domain.payment import Payment
from shared.archive import BROUGHT_BACK, Archive, Removal
from shared.database import Connection
from shared.database.queries import load_queries
from shared.messaging.transaction import Transactions

SQL = load_queries(__file__, "archive.sql")
REMOVAL = Removal("payments", "archived_payments", SQL["find_settled"], SQL["archive_payments"])


def removal(transactions: Transactions, after: timedelta, every: timedelta) -> Archive:
    """What moves settled payments once nothing has happened to them for so long."""
    return Archive(transactions, REMOVAL, after=after, every=every)


class Held(NamedTuple):
    """Locked payments; those that are `archived` must be brought back before they are written."""

    payments: dict[UUID, Payment]
    archived: set[UUID]


async def hold(connection: Connection, renewal_ids: Collection[UUID]) -> Held:
    """Lock the payments of these renewals, wherever they are. One statement where all are open."""
    payments = await store.lock_payments(connection, renewal_ids)
    missing = [renewal_id for renewal_id in renewal_ids if renewal_id not in payments]
    if not missing:
        return Held(payments, set())
    archived = await _lock(connection, missing)
    gone = [renewal_id for renewal_id in missing if renewal_id not in archived]
    if gone:
        # Brought back by somebody else between the two looks: now it cannot move any more, or it never was.
        payments |= await store.lock_payments(connection, gone)
    return Held(payments | archived, set(archived))


async def _lock(connection: Connection, renewal_ids: Collection[UUID]) -> dict[UUID, Payment]:
    rows = await connection.fetch(SQL["lock_register"], renewal_ids)
    return await read(connection, [row[0] for row in rows]) if rows else {}


async def bring_back(connection: Connection, renewal_ids: Iterable[UUID]) -> None:
    """Move locked archived payments back, with their calls."""
    wanted = list(renewal_ids)
    if wanted:
        await connection.execute(SQL["bring_payments_back"], wanted)
        BROUGHT_BACK.labels(REMOVAL.table).inc(len(wanted))


async def read(connection: Connection, renewal_ids: Collection[UUID]) -> dict[UUID, Payment]:
    """The archived ones among these."""
    rows = await connection.fetch(SQL["read_archived"], renewal_ids)
    return {row["renewal_id"]: store.payment_of(row) for row in rows}


async def find_payment(connection: Connection, renewal_id: UUID) -> Payment | None:
    """The payment of a renewal, open or archived."""
    row = await connection.fetchrow(SQL["find_payment"], renewal_id)
    return None if row is None else store.payment_of(row)


async def find_attempts(connection: Connection, renewal_id: UUID) -> list[dict[str, Any]]:
    """Every call made for a payment, open or archived, in order."""
    return [dict(row) for row in await connection.fetch(SQL["find_attempts"], renewal_id)]


async def list_payments(
    connection: Connection, subscription_id: str, before: UUID | None, limit: int
) -> list[Payment]:
    """At most `limit` payments of a subscription, open or archived, newest id first, below `before`."""
    rows = await connection.fetch(SQL["list_payments"], subscription_id, before, limit)
    return [store.payment_of(row) for row in rows]


async def unearned(connection: Connection, renewal_ids: Collection[UUID]) -> list[UUID]:
    """Of renewals without an open payment that is earned, those without an archived one that is."""
    archived = await read(connection, renewal_ids)
    return [
        renewal_id
        for renewal_id in renewal_ids
        if renewal_id not in archived or archived[renewal_id].applied_at is None
    ]
