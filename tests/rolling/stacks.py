"""Stacks in a rolling deployment: on an older version's rows, and with its processes beside ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local.children import Command
from deploy.local.home import REPOSITORY
from deploy.local.stack import Stack
from shared.clock import utc_now
from shared.database.migrations import MESSAGING
from tests.rolling.recorded import KeptTables, lay_journals, tables

_INSTANTS = """
select table_name, column_name from information_schema.columns
where table_schema = current_schema() and data_type = 'timestamp with time zone'
and table_name in (select tablename from pg_tables where schemaname = current_schema())
"""
_IDENTITIES = """
select table_name, column_name from information_schema.columns
where table_schema = current_schema() and is_identity = 'YES'
"""


class OnOldRows(Stack):
    """Before our migrations run, every schema is as the older version left it; so are PSP and carrier."""

    def __init__(self, version: str, home: Path, **options: Any) -> None:
        super().__init__(home, **options)
        self._version = version

    async def _start_sandbox(self) -> None:
        lay_journals(self._version, self.home.stored / "sandbox")
        await super()._start_sandbox()

    async def _migrate(self, service: str) -> None:
        kept = tables(self._version, service)
        connection = await asyncpg.connect(self.database_url(service))
        try:
            await _lay_out(connection, service, kept.migrations)
        finally:
            await connection.close()
        await self._fill(service, kept)
        await super()._migrate(service)

    async def _fill(self, service: str, kept: KeptTables) -> None:
        """As superuser, because rows come table by table and foreign keys would want them in order."""
        connection = await asyncpg.connect(self.superuser_url, server_settings={"search_path": service})
        try:
            await connection.execute("set session_replication_role = replica")
            await _fill(connection, kept)
        finally:
            await connection.close()


AS_A_WHOLE = frozenset({"usage"})
"""Services whose tables the older version cannot use any more: all their processes stop before the migration,
what they would have read waits in Kafka (docs/adr/0012)."""


class TwoVersions(Stack):
    """On our schema, each process runs the older version until it is upgraded: `upgraded` names those."""

    def __init__(self, version: str, older: Path, home: Path, **options: Any) -> None:
        super().__init__(home, **options)
        self._version = version
        self._older = older
        self.upgraded: set[str] = set()

    def service_command(self, instance: str) -> Command:
        command = super().service_command(instance)
        return command if instance in self.upgraded else replace(command, folder=self._older)

    async def upgrade(self, instance: str) -> None:
        """Stop the older process as a deployment would, and start ours in its place."""
        self.upgraded.add(instance)
        await self.stop(instance)
        await self._start_service(instance)

    async def upgrade_as_a_whole(self, service: str) -> None:
        """Stop every older process of the service, migrate, start ours."""
        instances = [instance for instance in self.instances if instance.startswith(f"{service}-")]
        await asyncio.gather(*(self.stop(instance) for instance in instances))
        await super()._migrate(service)
        self.upgraded.update(instances)
        await asyncio.gather(*(self._start_service(instance) for instance in instances))

    async def _migrate(self, service: str) -> None:
        if service not in AS_A_WHOLE:
            await super()._migrate(service)
            return
        connection = await asyncpg.connect(self.database_url(service))
        try:
            await _lay_out(connection, service, tables(self._version, service).migrations)
        finally:
            await connection.close()


async def _lay_out(connection: asyncpg.Connection[asyncpg.Record], service: str, versions: list[str]) -> None:
    """The migrations that the older version had: our own files, since none is ever changed or deleted."""
    await connection.execute("create table schema_migrations (version varchar(128) primary key)")
    for version in sorted(versions):
        await connection.execute(_statements_of(service, version))
        await connection.execute("insert into schema_migrations values ($1)", version)


def _statements_of(service: str, version: str) -> str:
    folders = (MESSAGING, REPOSITORY / "services" / service / "migrations")
    [file] = [file for folder in folders for file in folder.glob(f"{version}_*.sql")]
    up = file.read_text().partition("-- migrate:up")[2].partition("-- migrate:down")[0]
    return up.partition("\n")[2]


async def _fill(connection: asyncpg.Connection[asyncpg.Record], kept: KeptTables) -> None:
    for table, rows in _by_table(kept):
        await connection.execute(f"delete from {table}")  # noqa: S608 - what the migration itself had put there
        await connection.execute(
            f"insert into {table} overriding system value"  # noqa: S608 - names of ours
            f" select * from json_populate_recordset(null::{table}, $1::json)",
            json.dumps(rows),
        )
    # As if it had been left just now: deadlines would have passed long ago.
    since = utc_now() - kept.recorded_at
    for table, column in await connection.fetch(_INSTANTS):
        await connection.execute(f"update {table} set {column} = {column} + $1", since)  # noqa: S608
    for table, column in await connection.fetch(_IDENTITIES):
        await connection.execute(
            f"select setval(pg_get_serial_sequence('{table}', '{column}'),"  # noqa: S608 - names of ours
            f" (select coalesce(max({column}), 0) + 1 from {table}))"
        )


def _by_table(kept: KeptTables) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for table, group in groupby(kept.rows, key=lambda kept_row: kept_row[0]):
        yield table, [row for _, row in group]
