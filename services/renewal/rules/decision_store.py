"""Functions over decisions.sql: what became of triggers, kept and read."""

from collections.abc import Collection, Sequence
from datetime import datetime

from services.renewal.domain.renewal import Renewal
from services.renewal.rules.domain.decision import JOINED, OVER, Decision, last_words
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__, "decisions.sql")

Place = tuple[datetime, int, str, int]
"""When it was decided, cycle, kind and try: where a page begins."""


async def keep(connection: Connection, decisions: Collection[Decision]) -> None:
    """The last word about each trigger, where it is one (`replaces`), and of what it settles (`settled`)."""
    rows = last_words(decisions)
    await _settle(connection, rows)
    await _keep(connection, rows)


async def _settle(connection: Connection, rows: Collection[Decision]) -> None:
    await connection.execute(SQL["settle_decisions"], *columns(rows, len(Decision._fields)), OVER, JOINED)


async def _keep(connection: Connection, rows: Collection[Decision]) -> None:
    await connection.execute(SQL["keep_decisions"], *columns(rows, len(Decision._fields)))


async def read_of(connection: Connection, renewals: Collection[Renewal]) -> list[Decision]:
    """What had been decided where these were begun; nothing for those that people asked for."""
    wanted = [(renewal.subscription_id, renewal.cycle, renewal.renewal_id) for renewal in renewals]
    rows = await connection.fetch(SQL["read_decisions_of"], *columns(wanted, 3))
    return [Decision._make(row) for row in rows]


async def list_decisions(
    connection: Connection, subscription_id: str, after: Place | None, limit: int
) -> list[Decision]:
    """Newest first, at most `limit`, behind the place `after`."""
    place: Sequence[object] = after or (None, None, None, None)
    rows = await connection.fetch(SQL["list_decisions"], subscription_id, *place, limit)
    return [Decision._make(row) for row in rows]


async def forget(connection: Connection, before: datetime, limit: int) -> None:
    """Those from before then, at most `limit`."""
    await connection.execute(SQL["forget_decisions"], before, limit)
