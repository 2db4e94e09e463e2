"""How changes of offerings and prices reach every process in time.

A change takes effect a few seconds (the lead) after it was written. A writer holds an exclusive lock from
before it reads the clock until its commit; a reader that has passed a shared lock at an instant therefore
knows everything that takes effect up to that instant plus the lead.
"""

from datetime import datetime

from shared.database import Connection, Pool
from shared.database.queries import load_queries

_SQL = load_queries(__file__, "revision.sql")


async def lock_price_list(connection: Connection) -> datetime:
    """Become the only writer until the transaction ends; the present instant by the database's clock."""
    await connection.execute(_SQL["lock_price_list"])
    # A statement of its own: within one, the clock might be read before the lock is there.
    now: datetime = await connection.fetchval(_SQL["clock"])
    return now


async def next_revision(connection: Connection) -> int:
    """The number of the change that this transaction makes; under the lock."""
    revision: int = await connection.fetchval(_SQL["next_revision"])
    return revision


async def present_revision(pool: Pool, timeout_seconds: float) -> tuple[int, datetime]:
    """The list's revision, and an instant before which every change is in it or in an earlier one."""
    known_at: datetime = await pool.fetchval(_SQL["wait_for_writers"], timeout=timeout_seconds)
    revision: int = await pool.fetchval(_SQL["revision"], timeout=timeout_seconds)
    return revision, known_at
