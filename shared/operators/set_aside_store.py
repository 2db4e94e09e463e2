"""Functions over set_aside.sql: rows in, rows out, no decisions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import orjson

from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries
from shared.operators.set_aside import KeyProposal, Place, ProposalState, WaitingKey

SQL = load_queries(__file__, "set_aside.sql")

_INSERTED: Final = KeyProposal._fields.index("state")


class WaitingRecord(NamedTuple):
    """A record as it was set aside."""

    topic: str
    partition: int
    offset: int
    type: str
    reason: str
    set_aside_at: datetime
    payload: bytes


class Deed(NamedTuple):
    """One line of the audit as it is written; `before` and `after` are JSON texts."""

    operator: str
    step: str
    action: str
    consumer: str
    key_id: str
    why: str
    proposal_id: UUID | None
    before: str | None
    after: str | None


class AuditLine(NamedTuple):
    """One line of the audit as it is read."""

    audit_id: int
    at: datetime
    operator: str
    step: str
    action: str
    consumer: str
    key_id: str
    why: str
    proposal_id: UUID | None
    before: str | None
    after: str | None


def standing(key: WaitingKey | None) -> str | None:
    """What of a key an action can change, as the audit keeps it."""
    if key is None:
        return None
    told = {
        "version": key.version,
        "records": key.records,
        "released_at": key.released_at,
        "reason": key.reason,
    }
    return orjson.dumps(told).decode()


async def list_keys(
    connection: Connection,
    consumer: str | None,
    after: tuple[str, str] | None,
    limit: int,
) -> list[WaitingKey]:
    """Keys that wait, by consumer and id, at most `limit`, behind the place `after`."""
    place: tuple[str | None, str | None] = after or (None, None)
    rows = await connection.fetch(SQL["list_keys"], consumer, None, *place, limit)
    return [WaitingKey._make(row) for row in rows]


async def read_keys(connection: Connection, consumer: str, key_ids: Collection[str]) -> dict[str, WaitingKey]:
    """These keys by their ids, as far as any record of theirs waits."""
    rows = await connection.fetch(SQL["list_keys"], consumer, list(key_ids), None, None, len(key_ids))
    keys = [WaitingKey._make(row) for row in rows]
    return {key.key_id: key for key in keys}


async def lock_keys(connection: Connection, consumer: str, key_ids: Collection[str]) -> dict[str, WaitingKey]:
    """The same, locked until the transaction ends: no consumer handles them meanwhile."""
    await connection.execute(SQL["lock_keys"], consumer, list(key_ids))
    return await read_keys(connection, consumer, key_ids)


async def list_records(
    connection: Connection, consumer: str, key_id: str, after: Place | None, limit: int
) -> list[WaitingRecord]:
    """In the order in which they will be handled, behind the place `after`."""
    place: tuple[str | None, int | None, int | None] = after or (None, None, None)
    rows = await connection.fetch(SQL["list_records"], consumer, key_id, *place, limit)
    return [WaitingRecord._make(row) for row in rows]


async def set_released(
    connection: Connection, consumer: str, key_ids: Collection[str], at: datetime | None
) -> None:
    """Let keys go, or keep them back."""
    await connection.execute(SQL["set_released"], consumer, list(key_ids), at)


async def discard(connection: Connection, consumer: str, key_id: str, place: Place) -> bool:
    """Forget one record; False where there is none."""
    return await connection.fetchval(SQL["discard_record"], consumer, key_id, *place) is not None


async def insert_proposal(connection: Connection, proposal: KeyProposal) -> None:
    await connection.execute(SQL["insert_proposal"], *proposal[:_INSERTED])


async def lock_proposal(connection: Connection, proposal_id: UUID) -> KeyProposal | None:
    row = await connection.fetchrow(SQL["lock_proposal"], proposal_id)
    return None if row is None else KeyProposal._make(row)


async def decide_proposal(connection: Connection, decided: KeyProposal) -> None:
    """Write how it ended."""
    await connection.execute(
        SQL["decide_proposal"],
        decided.proposal_id,
        decided.state,
        decided.decided_by,
        decided.decided_at,
        decided.decided_why,
    )


async def list_proposals(
    connection: Connection,
    state: ProposalState | None,
    now: datetime,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[KeyProposal]:
    """Newest first, at most `limit`, behind the place `after`."""
    place: tuple[datetime | None, UUID | None] = after or (None, None)
    rows = await connection.fetch(SQL["list_proposals"], state, now, *place, limit)
    return [KeyProposal._make(row) for row in rows]


async def write_audit(connection: Connection, now: datetime, deeds: Sequence[Deed]) -> None:
    await connection.execute(SQL["write_audit"], now, *columns(deeds, len(Deed._fields)))


async def list_audit(
    connection: Connection, consumer: str | None, key_id: str | None, after: int | None, limit: int
) -> list[AuditLine]:
    """Newest first, at most `limit`, behind line number `after`."""
    rows = await connection.fetch(SQL["list_audit"], consumer, key_id, after, limit)
    return [AuditLine._make(row) for row in rows]
