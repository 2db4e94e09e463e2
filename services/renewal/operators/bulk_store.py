"""Functions over bulk.sql: rows in, rows out, no decisions."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from services.renewal.domain.renewal import State
from services.renewal.operators.domain.bulk import Job, Result, Target
from services.renewal.operators.domain.filter import CASES, Filter
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__, "bulk.sql")

_INSERTED: Final = Job._fields.index("state")
TARGETS_KEPT: Final = timedelta(days=30)


class Matching(NamedTuple):
    """A renewal that a filter takes."""

    renewal_id: UUID
    version: int
    state: State


async def match(connection: Connection, wanted: Filter, now: datetime, limit: int) -> list[Matching]:
    """Open renewals, or open and closed ones with a case, the oldest first, at most `limit`."""
    if wanted.case is None and wanted.is_open is False:
        return []
    old = wanted.older_than_seconds
    asked_by = None if old is None else now - timedelta(seconds=old)
    values = [
        list(wanted.state) or None,
        wanted.brand,
        wanted.carrier,
        wanted.reason,
        asked_by,
        wanted.subscription_id,
        limit,
    ]
    if wanted.case is None:
        rows = await connection.fetch(SQL["match_open"], *values)
    else:
        rows = await connection.fetch(SQL["match_cases"], *values, CASES[wanted.case], wanted.is_open)
    return [Matching._make(row) for row in rows]


async def insert(connection: Connection, job: Job, targets: Sequence[Matching]) -> None:
    """A dry-run with its targets; those of jobs from long ago are let go."""
    await connection.execute(SQL["insert_job"], *job[:_INSERTED])
    await connection.execute(SQL["insert_targets"], job.job_id, *columns(targets, len(Matching._fields)))
    await connection.execute(SQL["forget_targets"], job.made_at - TARGETS_KEPT)


async def read(connection: Connection, job_id: UUID) -> Job | None:
    row = await connection.fetchrow(SQL["read_job"], job_id)
    return None if row is None else Job._make(row)


async def lock(connection: Connection, job_id: UUID) -> Job | None:
    row = await connection.fetchrow(SQL["lock_job"], job_id)
    return None if row is None else Job._make(row)


async def claim(connection: Connection, now: datetime) -> Job | None:
    """A job whose turn it is, locked; None where there is none that no other process is at."""
    row = await connection.fetchrow(SQL["claim_job"], now)
    return None if row is None else Job._make(row)


async def save(connection: Connection, job: Job) -> None:
    await connection.execute(SQL["save_job"], job.job_id, *job[_INSERTED:])


async def read_targets(
    connection: Connection, job_id: UUID, after: int, limit: int, result: Result | None = None
) -> list[Target]:
    """In their order, behind place `after`."""
    rows = await connection.fetch(SQL["read_targets"], job_id, after, result, limit)
    return [Target._make(row) for row in rows]


async def write_results(
    connection: Connection, job_id: UUID, results: Collection[tuple[int, Result]]
) -> None:
    await connection.execute(SQL["write_results"], job_id, *columns(results, 2))


async def list_jobs(connection: Connection, after: tuple[datetime, UUID] | None, limit: int) -> list[Job]:
    """Newest first, behind the place `after`."""
    place: tuple[datetime | None, UUID | None] = after or (None, None)
    return [Job._make(row) for row in await connection.fetch(SQL["list_jobs"], *place, limit)]
