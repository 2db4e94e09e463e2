"""Functions over charges.sql: rows in, rows out, no decisions."""

from datetime import datetime
from typing import Final, NamedTuple

from services.renewal.domain.asking import Trigger
from services.renewal.domain.charge_stop import ChargeStop
from shared.database import Connection, Pool
from shared.database.queries import load_queries

SQL = load_queries(__file__, "charges.sql")

_KNOW: Final = {"brand": "know_brand", "carrier": "know_carrier", "subscription": "know_subscription"}
_LIST: Final = {"brand": "list_brands", "carrier": "list_carriers"}


async def list_stops(connection: Connection) -> list[ChargeStop]:
    return [ChargeStop._make(row) for row in await connection.fetch(SQL["list_stops"])]


async def list_stops_of(connection: Connection, subscription_id: str) -> list[ChargeStop]:
    """All but those of other single subscriptions."""
    rows = await connection.fetch(SQL["list_stops_of"], subscription_id)
    return [ChargeStop._make(row) for row in rows]


async def insert_stop(connection: Connection, stop: ChargeStop) -> None:
    await connection.execute(SQL["insert_stop"], *stop)


async def wait_for_admissions(pool: Pool, timeout_seconds: float) -> None:
    """Returns when no transaction is under way that may have looked before the last stop's commit.

    Raises:
        TimeoutError: one still is.
    """
    async with pool.acquire(timeout=timeout_seconds) as connection:
        await connection.execute(SQL["wait_for_admissions"], timeout=timeout_seconds)


async def delete_stop(connection: Connection, scope: str) -> bool:
    """Whether there was one."""
    return await connection.fetchval(SQL["delete_stop"], scope) is not None


async def is_known(connection: Connection, kind: str, name: str) -> bool:
    """Whether any subscription has that brand or carrier, or is the one."""
    return bool(await connection.fetchval(SQL[_KNOW[kind]], name))


async def some_names(connection: Connection, kind: str) -> list[str]:
    """Brands or carriers that there are; subscriptions are too many to choose from."""
    if kind not in _LIST:
        return []
    return [row[0] for row in await connection.fetch(SQL[_LIST[kind]])]


async def take_resumed(connection: Connection, limit: int) -> list[Trigger]:
    rows = await connection.fetch(SQL["take_resumed_triggers"], limit)
    return [Trigger._make(row) for row in rows]


async def take_freed(connection: Connection, kept_before: datetime, limit: int) -> list[Trigger]:
    rows = await connection.fetch(SQL["take_freed_triggers"], kept_before, limit)
    return [Trigger._make(row) for row in rows]


async def count_stops(connection: Connection) -> dict[str, int]:
    return {row["kind"]: row["stops"] for row in await connection.fetch(SQL["count_stops"])}


async def count_kept(connection: Connection) -> dict[str, int]:
    """By what keeps them: `slot`, `stop`, `time`, `payer`, `pause`."""
    return {row["kept_by"]: row["triggers"] for row in await connection.fetch(SQL["count_kept"])}


class KeptTrigger(NamedTuple):
    """A trigger that waits, for what and since when."""

    kind: str
    cycle: int
    held_by: str | None
    not_before: datetime | None
    kept_at: datetime


class Refused(NamedTuple):
    """A request that did not become a renewal."""

    caller: str
    request_id: str
    reason: str
    detail: str
    refused_at: datetime


class Subscription(NamedTuple):
    """What the switch can concern."""

    brand: str
    carrier: str
    status: str


async def read_kept(connection: Connection, subscription_id: str) -> KeptTrigger | None:
    row = await connection.fetchrow(SQL["read_kept"], subscription_id)
    return None if row is None else KeptTrigger._make(row)


async def read_refusals(connection: Connection, subscription_id: str, limit: int) -> list[Refused]:
    rows = await connection.fetch(SQL["read_refusals"], subscription_id, limit)
    return [Refused._make(row) for row in rows]


async def read_subscription(connection: Connection, subscription_id: str) -> Subscription | None:
    row = await connection.fetchrow(SQL["read_subscription"], subscription_id)
    return None if row is None else Subscription._make(row)
