"""Functions over queries.sql: the table, and what it asks about requests. No decisions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from asyncpg import Record

from services.renewal.domain.acceptance import Acceptance, Entry, Reviewed
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL: Final = load_queries(__file__)

Key = tuple[str, str, str]
"""Destination, payer's country, kind of method."""


class KeptEntry(NamedTuple):
    """An entry, with who set it and why."""

    destination: str
    payer_country: str
    method_kind: str
    verdict: str
    why: str
    set_by: str
    set_at: datetime


class Asked(NamedTuple):
    """What the table is asked about one request."""

    renewal_id: UUID
    offering_id: str
    payer_id: str | None
    payment_method_ids: str
    """Joined by commas."""


async def read(connection: Connection, asked: Sequence[Asked]) -> list[Acceptance]:
    """For each what the table says, and what a person has said about it before, in their order."""
    rows = await connection.fetch(SQL["read_acceptance"], *columns(asked, len(Asked._fields)))
    return [
        Acceptance(
            row["destination"],
            row["country"],
            {method: kind for method, _, kind in (text.partition(" ") for text in row["kinds"])},
            [Entry._make(text.split(" ")) for text in row["entries"]],
            _reviewed(row),
        )
        for row in rows
    ]


def _reviewed(row: Record) -> Reviewed | None:
    if row["state"] is None:
        return None
    methods = frozenset(row["reviewed"].split(","))
    return Reviewed(row["state"], methods, row["deadline_at"], row["reason"], row["detail"])


async def write(
    connection: Connection, entries: Collection[Entry], why: str, by: str, now: datetime
) -> dict[Key, Entry]:
    """Set these, each at most once, in the place of what was said of the same before: that is returned."""
    await connection.execute(SQL["lock_entries"])
    rows = await connection.fetch(SQL["read_entries"], *columns([entry[:3] for entry in entries], 3))
    await connection.execute(SQL["write_entries"], *columns(sorted(entries), 4), why, by, now)
    return {before[:3]: before for before in map(Entry._make, rows)}


async def delete(connection: Connection, key: Key) -> KeptEntry | None:
    """The one that was there."""
    row = await connection.fetchrow(SQL["delete_entry"], *key)
    return None if row is None else KeptEntry._make(row)


async def list_entries(connection: Connection, after: Key | None, limit: int) -> list[KeptEntry]:
    """In the order of their keys, behind `after`."""
    rows = await connection.fetch(SQL["list_entries"], *(after or (None, None, None)), limit)
    return [KeptEntry._make(row) for row in rows]


async def upsert_payer_countries(connection: Connection, rows: Collection[tuple[Any, ...]]) -> None:
    """Rows of (customer_id, version, country)."""
    await connection.execute(SQL["upsert_payer_countries"], *columns(rows, 3))


async def upsert_method_kinds(connection: Connection, rows: Collection[tuple[Any, ...]]) -> None:
    """Rows of (payment_method_id, version, kind)."""
    await connection.execute(SQL["upsert_method_kinds"], *columns(rows, 3))
