"""Waiting until nothing is under way: only then must the books agree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import asyncpg

from deploy.local.books.reading import CONNECT_SECONDS, SQL, STATEMENT_SECONDS
from deploy.local.errors import LocalStackError

POLL_SECONDS = 0.25
Underway = dict[str, int]


class NotQuiet(LocalStackError):
    """Something was still under way at the deadline; the text says what and how much of it."""


async def underway(connection: asyncpg.Connection[asyncpg.Record]) -> Underway:
    """What is not finished, each with its number; empty where all is quiet. Needs a superuser."""
    return {row["what"]: row["number"] for row in await connection.fetch(SQL["underway"])}


async def wait_until_quiet(
    database_url: str, deadline_seconds: float, tell: Callable[[Underway], None] = lambda _: None
) -> None:
    """Asks until nothing is under way, telling each time what is. Raises NotQuiet after the deadline.

    Messages that no service has read yet are not seen: whoever sent any waits for their effect first.
    """
    until = time.monotonic() + deadline_seconds
    connection = await asyncpg.connect(
        database_url, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS
    )
    try:
        while left := await underway(connection):
            tell(left)
            if time.monotonic() > until:
                listed = "; ".join(f"{what} ({number})" for what, number in left.items())
                raise NotQuiet(f"After {deadline_seconds:g} s there are still: {listed}.")
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await connection.close()
