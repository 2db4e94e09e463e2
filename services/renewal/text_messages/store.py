"""Functions over queries.sql: rows in, rows out, no decisions."""

from collections.abc import Collection, Sequence
from datetime import datetime

from services.renewal.text_messages.domain.reply import MOST_HOLDERS, TOO_MANY, Holder, Reply
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__)

Number = tuple[str, int, str | None]
"""Subscription, version, and its number."""

Place = tuple[datetime, str, str]
"""When it came, gateway and message: where a page begins."""


async def upsert_numbers(connection: Connection, rows: Collection[Number]) -> None:
    """Keep these, each subscription at most once, in key order."""
    await connection.execute(SQL["upsert_numbers"], *columns(rows, 3))


async def begin(connection: Connection, reply: Reply) -> bool:
    """Whether the message is new; its outcome is written by `settle` in the same transaction."""
    return await connection.fetchval(SQL["begin_reply"], *reply[:7]) is not None


async def read(connection: Connection, gateway: str, message_id: str) -> Reply | None:
    row = await connection.fetchrow(SQL["read_reply"], gateway, message_id)
    return None if row is None else Reply._make(row)


async def settle(connection: Connection, reply: Reply) -> None:
    await connection.execute(SQL["settle_reply"], reply.gateway, reply.message_id, *reply[6:])


async def lock_holders(connection: Connection, msisdn: str) -> list[Holder]:
    """At most MOST_HOLDERS, locked in key order."""
    rows = await connection.fetch(SQL["lock_holders"], msisdn, MOST_HOLDERS)
    return [Holder._make(row) for row in rows]


async def count_asked(connection: Connection, subscription_id: str, since: datetime) -> int:
    """How often it has asked to be renewed since then."""
    return int(await connection.fetchval(SQL["count_asked"], subscription_id, since, TOO_MANY.reason))


async def list_replies(
    connection: Connection, subscription_id: str, after: Place | None, limit: int
) -> list[Reply]:
    """Newest first, at most `limit`, behind the place `after`."""
    place: Sequence[object] = after or (None, None, None)
    rows = await connection.fetch(SQL["list_replies"], subscription_id, *place, limit)
    return [Reply._make(row) for row in rows]


async def forget(connection: Connection, before: datetime, limit: int) -> None:
    """Those from before then, at most `limit`."""
    await connection.execute(SQL["forget_replies"], before, limit)
