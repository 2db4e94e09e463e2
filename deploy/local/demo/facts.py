"""What happened, as the services' tables tell it. Read only; nothing is ever seeded here."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import asyncpg

from shared.database.queries import load_queries

SQL = load_queries(__file__, "facts.sql")
RULE = "rule"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class RenewalFact(NamedTuple):
    """One renewal. `seconds` from the request to its end; None while it is open."""

    renewal_id: str
    subscription_id: str
    state: str
    caller: str
    seconds: float | None
    was_declined: bool

    @property
    def is_by_rule(self) -> bool:
        return self.caller == RULE


class UsageFact(NamedTuple):
    """Usage records: written down, of these refused as impossible, of these of nobody known."""

    recorded: int
    refused: int
    unknown: int


class Known(NamedTuple):
    """How many of each the services that need them have heard of."""

    customers: int
    subscriptions: int
    payment_methods: int
    offerings: int
    buyers: int
    iccids: int


async def renewals(connection: Connection) -> list[RenewalFact]:
    return [RenewalFact._make(row) for row in await connection.fetch(SQL["renewals"])]


async def states(connection: Connection) -> dict[str, int]:
    return {row["state"]: row["number"] for row in await connection.fetch(SQL["progress"])}


async def usage(connection: Connection) -> UsageFact:
    return UsageFact._make(_row(await connection.fetchrow(SQL["usage"])))


async def known(connection: Connection) -> Known:
    return Known._make(_row(await connection.fetchrow(SQL["known"])))


async def set_aside(connection: Connection) -> int:
    return int(await connection.fetchval(SQL["set_aside"]))


async def refusals(connection: Connection) -> dict[str, int]:
    return {row["reason"]: row["number"] for row in await connection.fetch(SQL["refusals"])}


def _row(row: Any) -> Any:
    """A row of a statement that always has one."""
    if row is None:
        raise LookupError("a statement that always has a row had none")
    return row
