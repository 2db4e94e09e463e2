"""Functions over reviews.sql: what a person decides about. Rows in, rows out, no decisions."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from services.renewal.domain.admission import Refusal
from services.renewal.domain.review import Review
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL: Final = load_queries(__file__, "reviews.sql")

Place = tuple[datetime, UUID]
"""When it was opened, and which it is: where a page begins."""


async def open_reviews(connection: Connection, reviews: Collection[Review]) -> set[UUID]:
    """Those that were opened: of several that people ask for about one subscription the first."""
    # In key order: two who open the same ones wait, they do not deadlock.
    ordered = sorted(reviews, key=lambda review: review.renewal_id)
    rows = await connection.fetch(SQL["open_reviews"], *columns(ordered, len(Review._fields)))
    return {row[0] for row in rows}


async def drop(connection: Connection, renewal_ids: Collection[UUID]) -> None:
    """Those of them that nobody has decided."""
    await connection.execute(SQL["drop_reviews"], sorted(renewal_ids))


async def promise_answers(connection: Connection, renewal_ids: Collection[UUID]) -> None:
    """That a refusal of these is told by a message, too."""
    await connection.execute(SQL["promise_answers"], sorted(renewal_ids))


async def expire(connection: Connection, now: datetime, why: Refusal, limit: int) -> list[Review]:
    """Refuse at most `limit` whose deadline has come; as they have become."""
    rows = await connection.fetch(SQL["expire_reviews"], now, *why, limit)
    return [Review._make(row) for row in rows]


async def forget(connection: Connection, before: datetime, limit: int) -> None:
    """Those that have ended before then, at most `limit`."""
    await connection.execute(SQL["forget_reviews"], before, limit)


async def read(connection: Connection, renewal_id: UUID) -> Review | None:
    row = await connection.fetchrow(SQL["read_review"], renewal_id)
    return None if row is None else Review._make(row)


async def lock(connection: Connection, renewal_id: UUID) -> Review | None:
    row = await connection.fetchrow(SQL["lock_review"], renewal_id)
    return None if row is None else Review._make(row)


async def end(connection: Connection, ended: Review) -> None:
    """Write what a locked one has become."""
    told = (ended.version, ended.state, ended.ended_at, ended.reason, ended.detail)
    await connection.execute(SQL["end_review"], ended.renewal_id, *told)


async def list_open(connection: Connection, after: Place | None, limit: int) -> list[Review]:
    """Oldest first, at most `limit`, behind the place `after`."""
    rows = await connection.fetch(SQL["list_reviews"], *(after or (None, None)), limit)
    return [Review._make(row) for row in rows]


class Open(NamedTuple):
    """How many reviews are open, since when the oldest is, and how many must be decided soon."""

    reviews: int
    oldest_at: datetime | None
    near_limit: int


async def survey(connection: Connection, now: datetime) -> Open:
    """Counts at most 100,000."""
    [row] = await connection.fetch(SQL["survey_reviews"], now)
    return Open._make(row)
