"""Functions over waiting.sql: requests that wait for a slot. Rows in, rows out, no decisions."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.renewal.domain.admission import Refusal
from services.renewal.domain.asking import Trigger
from services.renewal.domain.waiting import Waiting
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__, "waiting.sql")

_TRIGGER = len(Trigger._fields)


class Taken(NamedTuple):
    """What was kept for slots, and who waits for them: no row has either any more."""

    kept: list[Trigger]
    waiting: list[Waiting]


async def keep(connection: Connection, waiting: Collection[Waiting]) -> set[UUID]:
    """Those that are kept: of several that wait for one subscription the first."""
    rows = await connection.fetch(SQL["keep_waiting"], *columns(waiting, len(Waiting._fields)))
    return {row[0] for row in rows}


async def take_freed(connection: Connection, subscription_ids: Collection[str]) -> Taken:
    """Of these subscriptions, whose slots have become free, all that was kept and waits for them."""
    rows = await connection.fetch(SQL["take_kept_and_waiting"], subscription_ids)
    return Taken(
        [Trigger._make(tuple(row)[:_TRIGGER]) for row in rows if row["kept_for"] is not None],
        [Waiting(*tuple(row)[_TRIGGER:]) for row in rows if row["renewal_id"] is not None],
    )


async def take_overdue(
    connection: Connection, now: datetime, asked_before: datetime, limit: int
) -> list[Waiting]:
    """At most `limit` whose deadline has come, or who have asked before then and whose slot is free."""
    rows = await connection.fetch(SQL["take_overdue"], now, asked_before, limit)
    return [Waiting._make(row) for row in rows]


async def read(connection: Connection, renewal_id: UUID) -> Waiting | None:
    row = await connection.fetchrow(SQL["read_waiting"], renewal_id)
    return None if row is None else Waiting._make(row)


async def withdraw(connection: Connection, renewal_id: UUID, now: datetime, why: Refusal) -> bool:
    """Whether it was waiting, and does not any more."""
    row = await connection.fetchrow(SQL["withdraw_waiting"], renewal_id, now, *why)
    return row is not None


async def forget(connection: Connection, before: datetime, limit: int) -> None:
    """Those that have ended before then, at most `limit`."""
    await connection.execute(SQL["forget_waiting"], before, limit)
