"""Reads all books: SQL in one snapshot, the journals over HTTP.

Nothing here is shared with the services, not even how a file of statements is read: what is wrong in their
code must not be wrong here in the same way.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import NamedTuple

import asyncpg
import orjson

from deploy.local.books.journals import read_carrier, read_psp
from deploy.local.books.rows import (
    Books,
    Numbering,
    PaymentLine,
    RenewalLine,
    SurplusLine,
    TopUpLine,
    TransferLine,
    WalletLine,
)

_STATEMENTS = Path(__file__).with_name("queries.sql").read_text(encoding="utf-8")
_BEFORE_EACH, *_NAMES_AND_TEXTS = re.split(r"^-- name: (\w+)$", _STATEMENTS, flags=re.MULTILINE)
SQL = dict(zip(_NAMES_AND_TEXTS[::2], _NAMES_AND_TEXTS[1::2], strict=True))
CONNECT_SECONDS = 10
STATEMENT_SECONDS = 120


class Sources(NamedTuple):
    """Where the books lie. `database_url` is a superuser's: no service may read another one's tables."""

    database_url: str
    psp_url: str
    carrier_url: str


async def read_books(sources: Sources) -> Books:
    """Every book as it is now. Raises LocalStackError where a journal cannot be read."""
    connection = await asyncpg.connect(
        sources.database_url, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS
    )
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            books = await _read_ours(connection)
    finally:
        await connection.close()
    # After ours: what a gateway did before we wrote it down is then surely in its journal.
    books.psp, books.carrier = await asyncio.gather(
        asyncio.to_thread(read_psp, sources.psp_url), asyncio.to_thread(read_carrier, sources.carrier_url)
    )
    return books


async def _read_ours(connection: asyncpg.Connection[asyncpg.Record]) -> Books:
    return Books(
        renewals=[RenewalLine._make(row) for row in await connection.fetch(SQL["renewals"])],
        payments=[_payment(row) for row in await connection.fetch(SQL["payments"])],
        transfers=[TransferLine._make(row) for row in await connection.fetch(SQL["transfers"])],
        top_ups=[TopUpLine._make(row) for row in await connection.fetch(SQL["top_ups"])],
        wallets=[WalletLine._make(row) for row in await connection.fetch(SQL["wallets"])],
        numbering=[Numbering._make(row) for row in await connection.fetch(SQL["numbering"])],
        orphans=await connection.fetchval(SQL["orphans"]),
    )


def _payment(row: asyncpg.Record) -> PaymentLine:
    *fields, surplus = row
    found = orjson.loads(surplus) if surplus is not None else []
    lines = [
        SurplusLine(one["reference"], one["amount_minor"], one["currency"], one["settled"]) for one in found
    ]
    return PaymentLine._make((*fields, lines))
