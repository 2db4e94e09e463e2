"""Functions over bursts.sql: how many automatic renewals began lately, and what the breaker stopped."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from services.renewal.domain.burst import Seen
from services.renewal.domain.charge_stop import ChargeStop
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__, "bursts.sql")


class Windows(NamedTuple):
    """Since when renewals count, by scope; of one subscription no more than `most` are counted."""

    everywhere: datetime
    brand: datetime
    subscription: datetime
    most: int


async def read(
    connection: Connection, subscription_ids: Collection[str], windows: Windows
) -> dict[str, Seen]:
    """By scope: everywhere, every brand and carrier that has something to tell, these subscriptions."""
    rows = await connection.fetch(SQL["read_bursts"], sorted(set(subscription_ids)), *windows)
    return {row["scope"]: Seen(row["renewals"], row["stopped_by"]) for row in rows}


async def add(
    connection: Connection, rows: Collection[tuple[str, datetime, int, datetime]]
) -> dict[str, int]:
    """Count (scope, bucket, renewals, since), in key order; what each scope's window holds by then."""
    found = await connection.fetch(SQL["add_bursts"], *columns(rows, 4))
    return {row["scope"]: row["renewals"] for row in found}


async def trip(connection: Connection, stops: Collection[ChargeStop]) -> list[str]:
    """Stop these, in key order; the scopes that were not stopped yet."""
    rows = await connection.fetch(SQL["trip_breaker"], *columns(stops, len(ChargeStop._fields)))
    return [row["scope"] for row in rows]


async def reset(connection: Connection, scope: str, now: datetime) -> None:
    """Somebody closed the breaker: what began before does not count any more."""
    await connection.execute(SQL["reset_burst"], scope, now)


async def forget(connection: Connection, before: datetime) -> None:
    await connection.execute(SQL["forget_bursts"], before)


async def count_tripped(connection: Connection) -> dict[str, int]:
    """Stops of the breaker that are in force, by kind."""
    return {row["kind"]: row["stops"] for row in await connection.fetch(SQL["count_tripped"])}
