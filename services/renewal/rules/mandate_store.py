"""Functions over mandates.sql: evidence in, evidence out."""

from collections.abc import Collection, Iterable
from datetime import datetime

from services.renewal.rules.domain.mandate import Mandate
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__, "mandates.sql")
_WRITTEN = Mandate._fields.index("revoked_at")

Name = tuple[str, str]
"""Subscription and mandate."""


async def insert(connection: Connection, mandates: Collection[Mandate]) -> None:
    """Those that are there already stay as they are."""
    rows = [mandate[:_WRITTEN] for mandate in mandates]
    await connection.execute(SQL["insert_mandates"], *columns(rows, _WRITTEN))


async def read(connection: Connection, names: Iterable[Name]) -> dict[Name, Mandate]:
    """The known ones among these."""
    rows = await connection.fetch(SQL["read_mandates"], *columns(names, 2))
    found = [Mandate._make(row) for row in rows]
    return {(mandate.subscription_id, mandate.mandate_id): mandate for mandate in found}


async def list_mandates(connection: Connection, subscription_id: str) -> list[Mandate]:
    rows = await connection.fetch(SQL["list_mandates"], subscription_id)
    return [Mandate._make(row) for row in rows]


async def revoke(connection: Connection, name: Name, at: datetime, by: str, why: str) -> None:
    await connection.execute(SQL["revoke_mandate"], *name, at, by, why)
