"""Functions over jobs.sql: rows in, rows out, no decisions."""

from datetime import datetime
from uuid import UUID

from services.renewal.rules.domain.job import MOST_COUNTED, JobAction, RuleFilter, RuleJob
from services.renewal.rules.domain.spending import REPLIES
from shared.database import Connection
from shared.database.queries import load_queries

SQL = load_queries(__file__, "jobs.sql")
_INSERTED = RuleJob._fields.index("state")


async def count(connection: Connection, action: JobAction, wanted: RuleFilter) -> int:
    """How many rules the action would change; no more than MOST_COUNTED."""
    found: int = await connection.fetchval(
        SQL["count_rules"], action == "pause", *wanted, MOST_COUNTED, REPLIES
    )
    return found


async def match(
    connection: Connection, action: JobAction, wanted: RuleFilter, after: str, limit: int
) -> list[str]:
    """The subscriptions of the next rules behind `after`, in order."""
    rows = await connection.fetch(SQL["match_rules"], action == "pause", *wanted, after, limit, REPLIES)
    return [row[0] for row in rows]


async def insert(connection: Connection, job: RuleJob) -> None:
    await connection.execute(SQL["insert_rule_job"], *job[:_INSERTED])


async def lock(connection: Connection, job_id: UUID) -> RuleJob | None:
    row = await connection.fetchrow(SQL["lock_rule_job"], job_id)
    return None if row is None else RuleJob._make(row)


async def claim(connection: Connection, now: datetime) -> RuleJob | None:
    """A job whose turn it is, locked; None where there is none that no other process is at."""
    row = await connection.fetchrow(SQL["claim_rule_job"], now)
    return None if row is None else RuleJob._make(row)


async def save(connection: Connection, job: RuleJob) -> None:
    await connection.execute(SQL["save_rule_job"], job.job_id, *job[_INSERTED:])


async def list_jobs(connection: Connection, after: tuple[datetime, UUID] | None, limit: int) -> list[RuleJob]:
    """Newest first, behind the place `after`."""
    place: tuple[datetime | None, UUID | None] = after or (None, None)
    return [RuleJob._make(row) for row in await connection.fetch(SQL["list_rule_jobs"], *place, limit)]
