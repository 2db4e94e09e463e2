"""Functions over queries.sql: rows in, rows out, no decisions."""

from collections.abc import Collection

from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__)

Number = tuple[str, int, str | None]
"""Subscription, version, and its number."""


async def upsert_numbers(connection: Connection, rows: Collection[Number]) -> None:
    """Keep these, each subscription at most once, in key order."""
    await connection.execute(SQL["upsert_numbers"], *columns(rows, 3))
