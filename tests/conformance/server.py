"""A service's schema on a real PostgreSQL, whose clock is what the test says it is.

`now()` and `clock_timestamp()` are found by name, and the schema comes before pg_catalog: the functions made
here are found first, by the defaults of the tables as well, for these are made afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from deploy.local.home import REPOSITORY
from shared.database import Connection, open_pool
from shared.database.migrations import migrate

_CLOCK: Final = """
create table test_clock (reads timestamptz not null) with (fillfactor = 10);
insert into test_clock values ('2026-01-01 00:00+00');

create function clock_timestamp() returns timestamptz language sql volatile
as $$ select reads from test_clock $$;

create function now() returns timestamptz language sql stable
as $$ select coalesce(nullif(current_setting('test.now', true), '')::timestamptz, pg_catalog.now()) $$;

create function start_at(at timestamptz) returns text language sql volatile
as $$ update test_clock set reads = at; select set_config('test.now', at::text, false) $$;

create function begun_at() returns timestamptz language sql stable as $$ select now() $$;
"""
KEPT: Final = frozenset(
    {
        "test_clock",
        "schema_migrations",
        "archive_walk",
        "operator_audit",
        "set_aside_audit",
        "set_aside_proposals",
    }
)
"""Tables that every example finds as they are: no store writes them that is compared."""
_NO_TIME_OUTS: Final = """
set lock_timeout = 0; set statement_timeout = 0; set idle_in_transaction_session_timeout = 0
"""
_TABLES: Final = """
select table_name, array_agg(column_name::text) as columns
from information_schema.columns
where table_schema = current_schema() and table_name <> all ($1::text []) and table_name in (
    select relname from pg_class where relkind in ('r', 'p') and not relispartition
)
group by table_name
"""


async def prepare(superuser_url: str, url: str, service: str | None, empty_folder: Path) -> None:
    """Give the empty schema of the role of `url` its clock, then its tables."""
    role = urlsplit(url).username
    superuser = await asyncpg.connect(superuser_url, timeout=10)
    try:
        # Who closes a circle of waiting is to be the one who finds it, before anybody looks again.
        await superuser.execute(f'alter role "{role}" set deadlock_timeout = 1')
        await superuser.execute(f'alter role "{role}" set search_path = "{role}", pg_catalog')
    finally:
        await superuser.close()
    owner = await asyncpg.connect(url, timeout=10)
    try:
        await owner.execute(_CLOCK)
    finally:
        await owner.close()
    own = empty_folder if service is None else REPOSITORY / "services" / service / "migrations"
    await asyncio.to_thread(migrate, url, own)


@dataclass(frozen=True, slots=True)
class Server:
    """Connections to such a schema: one that watches, and one for each actor with its process id."""

    watcher: Connection
    connections: Sequence[tuple[Connection, int]]
    tables: dict[str, frozenset[str]]
    """Every table with its columns, but KEPT."""
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def set_clock(self, at: datetime) -> None:
        """From now on `clock_timestamp()` reads so, in transactions that are open, too."""
        await self.watcher.execute("update test_clock set reads = $1", at)

    async def read(self, statement: str) -> list[asyncpg.Record]:
        return await self.watcher.fetch(statement)

    async def empty(self) -> None:
        """Delete all rows but those of KEPT: truncating many small tables takes ten times as long."""
        statements = [f"delete from {table}" for table in self.tables]  # noqa: S608 - names of the schema
        await self.watcher.execute("; ".join(statements))

    async def waits_for(self, pid: int) -> list[int]:
        """The processes that this one waits for."""
        async with self.looking:
            found: list[int] = await self.watcher.fetchval("select pg_blocking_pids($1)", pid)
            return found


@asynccontextmanager
async def opened(url: str, actors: int) -> AsyncIterator[Server]:
    """Connections as the services open them, so many and the watcher."""
    pool = await open_pool(url, application_name="conformance", connections=actors + 1)
    try:
        connections: list[Any] = [await pool.acquire() for _ in range(actors + 1)]
        for each in connections:
            await each.execute(_NO_TIME_OUTS)
        watcher = connections.pop()
        tables = {row[0]: frozenset(row[1]) for row in await watcher.fetch(_TABLES, list(KEPT))}
        assert await watcher.fetchval("select start_at('2026-02-03'::timestamptz)")
        assert await watcher.fetchval("select begun_at() = '2026-02-03'::timestamptz"), "now() is not ours"
        yield Server(watcher, [(each, each.get_server_pid()) for each in connections], tables)
    finally:
        pool.terminate()
