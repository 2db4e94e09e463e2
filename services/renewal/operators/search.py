"""Functions over search.sql: which renewals match, page by page, in a bounded time."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.renewal.domain.renewal import Renewal
from services.renewal.operators.domain.filter import CASES, Filter
from shared.database import Connection
from shared.database.queries import load_queries

SQL = load_queries(__file__, "search.sql")

STRETCH: Final = 10_000
"""Renewals that one page looks at, at most, where closed ones are among them."""

Place = tuple[datetime, UUID]


class Found(NamedTuple):
    """A renewal that matches, with what its subscription says."""

    brand: str | None
    carrier: str | None
    renewal: Renewal


class FoundPage(NamedTuple):
    """What one page found, and where the next one begins; `after` None: this was the last."""

    found: list[Found]
    after: Place | None


async def find(
    connection: Connection,
    wanted: Filter,
    now: datetime,
    after: Place | None,
    limit: int,
    stretch: int = STRETCH,
) -> FoundPage:
    """At most `limit` renewals, newest first, behind the place `after`.

    Where closed ones may match a page looks at `stretch` renewals only: it may then hold few, or none.
    """
    place: tuple[datetime | None, UUID | None] = after or (None, None)
    asked_by = _asked_by(wanted, now)
    states = list(wanted.state) or None
    values = [states, wanted.brand, wanted.carrier, wanted.reason, asked_by, *place, limit + 1]
    if wanted.case is not None:
        rows = await connection.fetch(
            SQL["search_cases"], *values, CASES[wanted.case], wanted.is_open, wanted.subscription_id
        )
    elif wanted.subscription_id is not None:
        rows = await connection.fetch(
            SQL["search_subscription"], *values, wanted.subscription_id, wanted.is_open
        )
    elif wanted.takes_only_open:
        rows = await connection.fetch(SQL["search_open"], *values)
    else:
        rows = await connection.fetch(SQL["search_all"], *values, stretch, wanted.is_open)
        if len(rows) <= limit:
            end = await connection.fetchrow(SQL["read_search_end"], asked_by, *place, stretch - 1)
            return FoundPage(_found(rows), None if end is None else (end[0], end[1]))
    found = _found(rows[:limit])
    if len(rows) <= limit:
        return FoundPage(found, None)
    last = found[-1].renewal
    return FoundPage(found, (last.requested_at, last.renewal_id))


async def read(connection: Connection, renewal_id: UUID) -> Found | None:
    """One renewal as it is now, unlocked."""
    row = await connection.fetchrow(SQL["read_found"], renewal_id)
    return None if row is None else _found([row])[0]


def _asked_by(wanted: Filter, now: datetime) -> datetime | None:
    """The latest time of asking that is old enough."""
    if wanted.older_than_seconds is None:
        return None
    return now - timedelta(seconds=wanted.older_than_seconds)


def _found(rows: list[Any]) -> list[Found]:
    return [Found(row[0], row[1], Renewal._make(row[2:])) for row in rows]
