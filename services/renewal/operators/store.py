"""Functions over queries.sql: rows in, rows out, no decisions."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson

from services.renewal.domain.renewal import Renewal
from services.renewal.operators.domain.proposal import Proposal, ProposalState
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__)


class Deed(NamedTuple):
    """One line of the audit as it is written: who did what and why. `before` and `after` are JSON texts."""

    operator: str
    step: str
    action: str
    choice: str | None
    why: str
    renewal_id: UUID | None = None
    proposal_id: UUID | None = None
    job_id: UUID | None = None
    before: str | None = None
    after: str | None = None


class AuditLine(NamedTuple):
    """One line of the audit as it is read."""

    audit_id: int
    at: datetime
    operator: str
    step: str
    action: str
    choice: str | None
    why: str
    renewal_id: UUID | None
    proposal_id: UUID | None
    job_id: UUID | None
    before: str | None
    after: str | None


def standing(renewal: Renewal) -> str:
    """What of a renewal an action can change, as the audit keeps it."""
    return orjson.dumps({name: getattr(renewal, name) for name in _AUDITED}).decode()


_AUDITED = (
    "state",
    "version",
    "reason",
    "parked_from",
    "parked_reason",
    "payment_attempt",
    "top_up_attempt",
    "refund_attempt",
    "top_up",
    "captured_at",
    "applied_at",
    "retry_at",
    "deadline_at",
    "flags",
    "closed_at",
)


async def write_audit(connection: Connection, now: datetime, deeds: Collection[Deed]) -> None:
    await connection.execute(SQL["write_audit"], now, *columns(deeds, len(Deed._fields)))


async def list_kinds(connection: Connection, renewal_ids: Collection[UUID]) -> list[list[UUID]]:
    """These renewals, by all that decides which actions do something to them: a few groups of many."""
    return [row["renewal_ids"] for row in await connection.fetch(SQL["list_kinds"], renewal_ids)]


async def list_audit(
    connection: Connection,
    renewal_id: UUID | None,
    job_id: UUID | None,
    operator: str | None,
    after: int | None,
    limit: int,
) -> list[AuditLine]:
    """Newest first, at most `limit`, behind line number `after`."""
    rows = await connection.fetch(SQL["list_audit"], renewal_id, job_id, operator, after, limit)
    return [AuditLine._make(row) for row in rows]


async def insert_proposal(connection: Connection, proposal: Proposal) -> None:
    await connection.execute(SQL["insert_proposal"], *proposal[: Proposal._fields.index("state")])


async def find_proposal(connection: Connection, proposal_id: UUID) -> UUID | None:
    """The renewal that it is about."""
    found: UUID | None = await connection.fetchval(SQL["find_proposal"], proposal_id)
    return found


async def lock_proposal(connection: Connection, proposal_id: UUID) -> Proposal:
    """One that was found before."""
    row = await connection.fetchrow(SQL["lock_proposal"], proposal_id)
    if row is None:
        raise LookupError(proposal_id)
    return Proposal._make(row)


async def lock_open_proposal(connection: Connection, renewal_id: UUID) -> Proposal | None:
    row = await connection.fetchrow(SQL["lock_open_proposal"], renewal_id)
    return None if row is None else Proposal._make(row)


async def decide_proposal(
    connection: Connection,
    proposal_id: UUID,
    state: ProposalState,
    now: datetime,
    by: str | None = None,
    why: str | None = None,
) -> None:
    await connection.execute(SQL["decide_proposal"], proposal_id, state, by, now, why)


async def list_proposals(
    connection: Connection,
    state: ProposalState | None,
    renewal_id: UUID | None,
    now: datetime,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Proposal]:
    """Newest first, at most `limit`, behind the place `after`."""
    place: tuple[datetime | None, UUID | None] = after or (None, None)
    rows = await connection.fetch(SQL["list_proposals"], state, now, renewal_id, *place, limit)
    return [Proposal._make(row) for row in rows]
