"""Functions over queries.sql: rows in, rows out, no decision."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.provisioning.subscriptions.domain.subscription import Subscription
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

_SQL = load_queries(__file__)
# The statements select the fields of Subscription in declared order.
_WIDTH: Final = 13


async def insert(connection: Connection, new: Sequence[Subscription], now: datetime) -> set[str]:
    """Insert those that are not known and whose ICCID is free; the ids of those inserted."""
    rows = [
        (s.subscription_id, s.brand, s.carrier, s.iccid, s.eid, s.bound_imei, s.owner_id, s.status, s.msisdn)
        for s in new
    ]
    inserted = await connection.fetch(_SQL["insert_subscriptions"], *columns(rows, 9), now)
    return {row[0] for row in inserted}


async def lock(
    connection: Connection, wanted: Sequence[tuple[str, str]]
) -> dict[str, tuple[Subscription, bool]]:
    """Lock by (id, wanted ICCID) in key order: each as it is, and whether another one has that ICCID."""
    rows = await connection.fetch(_SQL["lock_subscriptions"], *columns(wanted, 2))
    return {row[0]: (Subscription(*row[:_WIDTH]), row[_WIDTH]) for row in rows}


async def lock_bound(
    connection: Connection, bindings: Sequence[tuple[str, str, datetime]]
) -> list[Subscription]:
    """Lock those whose binding (id, IMEI) held at that moment, holds still and has been kept so far."""
    rows = await connection.fetch(_SQL["lock_bound_subscriptions"], *columns(bindings, 3))
    return [Subscription(*row) for row in rows]


async def update(connection: Connection, revised: Sequence[Subscription], now: datetime) -> None:
    """Write locked ones.

    Raises:
        asyncpg.UniqueViolationError: another transaction took an ICCID since it was looked at.
    """
    rows = [
        (
            s.subscription_id,
            s.brand,
            s.carrier,
            s.iccid,
            s.eid,
            s.bound_imei,
            s.owner_id,
            s.status,
            s.device_matches,
            s.version,
            s.foreign_imei,
            s.msisdn,
        )
        for s in revised
    ]
    await connection.execute(_SQL["update_subscriptions"], *columns(rows, 12), now)


async def get(connection: Connection, subscription_id: str) -> Subscription | None:
    row = await connection.fetchrow(_SQL["get_subscription"], subscription_id)
    return None if row is None else Subscription(*row)


async def of_owner(connection: Connection, owner_id: str, after: str, limit: int) -> list[Subscription]:
    """The owner's subscriptions with ids above `after`, in order; `after` empty: from the first."""
    rows = await connection.fetch(_SQL["list_subscriptions"], owner_id, after, limit)
    return [Subscription(*row) for row in rows]


async def every(connection: Connection, after: str, limit: int) -> list[Subscription]:
    """At most `limit` subscriptions with ids above `after`, in order; `after` empty: from the first."""
    rows = await connection.fetch(_SQL["list_every_subscription"], after, limit)
    return [Subscription(*row) for row in rows]
