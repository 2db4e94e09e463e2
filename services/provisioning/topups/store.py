"""Functions over queries.sql: rows in, rows out, no decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import asyncpg

from services.provisioning.topups.domain.attempt import Attempt, Operation, Status
from services.provisioning.topups.domain.top_up import Order, TopUp
from shared.calls.fairness import fetch_fairly
from shared.contracts.message import Grant, Terms
from shared.database import Connection
from shared.database.arrays import columns, sparse
from shared.database.queries import load_queries

_SQL = load_queries(__file__)
# The statements that lock select the fields of TopUp first, then those of Attempt, in declared order.
_TOP_UP: Final = 16
_ATTEMPT: Final = _TOP_UP + 10

_first = itemgetter(0)

AttemptKey = tuple[UUID, Operation, int]


@dataclass(slots=True)
class NewTopUp:
    """A row to insert. `key` is that of the first attempt, None where none begins: it is not stored."""

    order: Order
    top_up: TopUp
    key: UUID | None


@dataclass(slots=True)
class Held:
    """A locked decision, with the ICCID and carrier that its subscription has now (None: it is not known)."""

    top_up: TopUp
    order: Order
    iccid: str | None
    carrier: str | None


@dataclass(slots=True)
class HeldAttempt:
    """A locked decision and attempt, and the database's clock at that moment."""

    top_up: TopUp
    attempt: Attempt
    at: datetime


@dataclass(slots=True)
class DueAttempt:
    """An attempt that may be claimed, with what it is about."""

    top_up: TopUp
    attempt: Attempt
    order: Order
    at: datetime


@dataclass(slots=True)
class DecisionRow:
    """A decision to write. `place` is its place (from 1) among the newly applied ones of its subscription.

    The ICCID and carrier of the order are written too where `readdressed`.
    """

    order: Order
    top_up: TopUp
    place: int = 0
    readdressed: bool = False


@dataclass(slots=True)
class AttemptRow:
    """An attempt to write; `asked` None leaves one alone that has ended already.

    Where `lane` is given it waits in that queue, for as long as it takes, instead of `wait_seconds`.
    """

    key: AttemptKey
    status: Status
    asked: int | None
    provider_reference: str | None
    reason: str | None
    wait_seconds: float
    ended: bool
    lane: str | None = None
    is_bulk: bool = False


async def insert(
    connection: Connection,
    rows: Sequence[NewTopUp],
    *,
    send_window: float,
    lease: float,
    lanes: Sequence[str] = (),
) -> dict[UUID, tuple[str | None, str | None]]:
    """Insert the rows that are not there; those inserted, with their subscription's ICCID and carrier.

    What is not claimed waits in its carrier's queue, if that is one of `lanes`, else in that of the others.
    """
    arrays = sparse(columns(sorted(map(_new_row, rows), key=_first), 14))
    inserted = await connection.fetch(_SQL["insert_top_ups"], *arrays, send_window, lease, lanes)
    return {row[0]: (row[1], row[2]) for row in inserted}


def _new_row(row: NewTopUp) -> tuple[Any, ...]:
    order, top_up = row.order, row.top_up
    return (
        order.renewal_id,
        order.subscription_id,
        top_up.state,
        top_up.attempt,
        top_up.version,
        top_up.ordinal,
        top_up.cancel_wanted,
        top_up.act_before,
        order.terms.model_dump_json(),
        order.grant.model_dump_json() if order.grant is not None else None,
        order.amount_minor,
        order.currency,
        top_up.reason,
        order.traceparent,
    )


async def lock(connection: Connection, renewal_ids: Sequence[UUID]) -> dict[UUID, Held]:
    """Lock the decisions in key order."""
    rows = await connection.fetch(_SQL["lock_top_ups"], renewal_ids)
    return {
        row["renewal_id"]: Held(
            TopUp(*row[:_TOP_UP]), order_of(row), row["present_iccid"], row["present_carrier"]
        )
        for row in rows
    }


async def lock_attempts(connection: Connection, keys: Sequence[AttemptKey]) -> dict[AttemptKey, HeldAttempt]:
    """Lock the decisions and attempts in key order."""
    rows = await connection.fetch(_SQL["lock_attempts"], *columns(keys, 3))
    return {
        (row[_ATTEMPT], row[_TOP_UP], row[_TOP_UP + 1]): HeldAttempt(
            TopUp(*row[:_TOP_UP]), Attempt(*row[_TOP_UP:_ATTEMPT]), row[_ATTEMPT + 1]
        )
        for row in rows
    }


async def lock_due(connection: Connection, limit: int) -> list[DueAttempt]:
    """Lock up to `limit` attempts that nobody holds a lease on, with their decisions."""
    picked = await connection.fetch(_SQL["pick_due_attempts"], limit)
    return await _read_picked(connection, [(row[0], row[1], row[2]) for row in picked])


async def lock_queued(connection: Connection, wanted: Mapping[str, int]) -> list[DueAttempt]:
    """Lock so many attempts as are wanted from each carrier's queue, with their decisions, people first."""

    async def pick(numbers: Mapping[str, int], is_bulk: bool) -> list[asyncpg.Record]:
        return await connection.fetch(
            _SQL["pick_queued_attempts"], list(numbers), list(numbers.values()), is_bulk
        )

    picked = await fetch_fairly(wanted, pick, itemgetter("lane"))
    return await _read_picked(connection, [(row[0], row[1], row[2]) for row in picked])


async def _read_picked(connection: Connection, keys: Sequence[AttemptKey]) -> list[DueAttempt]:
    """In the order in which they were picked."""
    if not keys:
        return []
    rows = await connection.fetch(_SQL["read_picked_attempts"], *columns(keys, 3))
    found = {
        (row["renewal_id"], row["operation"], row["attempt_ordinal"]): DueAttempt(
            TopUp(*row[:_TOP_UP]), Attempt(*row[_TOP_UP:_ATTEMPT]), order_of(row), row["database_now"]
        )
        for row in rows
    }
    return [found[key] for key in keys]


async def count_queued(connection: Connection) -> dict[str, int]:
    """How many attempts wait in each queue that is not empty."""
    return {row[0]: row[1] for row in await connection.fetch(_SQL["count_queued_attempts"])}


async def take(
    connection: Connection,
    taken: Sequence[tuple[UUID, Operation, int, bool]],
    *,
    send_window: float,
    lease: float,
) -> None:
    """Claim locked attempts; the last value of each says whether the call is effectful."""
    await connection.execute(_SQL["take_attempts"], *columns(taken, 4), send_window, lease)


async def write_applied(connection: Connection, decisions: Sequence[DecisionRow]) -> dict[UUID, int]:
    """Write locked decisions that went from sending to applied, with their attempts; their cycles.

    One per subscription at most.
    """
    rows = [
        (
            row.order.renewal_id,
            row.order.subscription_id,
            row.top_up.version,
            row.top_up.ordinal,
            row.top_up.provider_reference,
            row.top_up.applied_at,
            row.top_up.expires_at,
        )
        for row in decisions
    ]
    rows.sort(key=itemgetter(1))
    written = await connection.fetch(_SQL["write_applied"], *columns(rows, 7))
    return {row[0]: row[1] for row in written}


async def write(
    connection: Connection, decisions: Sequence[DecisionRow], attempts: Sequence[AttemptRow]
) -> dict[UUID, int]:
    """Write locked decisions and attempts; the cycles of those decisions that have one."""
    written = await connection.fetch(
        _SQL["write_decisions"],
        *columns(map(_decision_row, decisions), 20),
        *columns(map(_attempt_row, attempts), 11),
    )
    return {row[0]: row[1] for row in written if row[1] is not None}


def _decision_row(row: DecisionRow) -> tuple[Any, ...]:
    order, top_up = row.order, row.top_up
    return (
        order.renewal_id,
        order.subscription_id,
        top_up.state,
        top_up.attempt,
        top_up.version,
        top_up.act_before,
        top_up.ordinal,
        top_up.same_ordinal,
        top_up.cancel_wanted,
        top_up.unsure,
        top_up.cancel_ordinal,
        top_up.reason,
        top_up.reached_provider,
        top_up.retry_after_seconds,
        top_up.provider_reference,
        top_up.applied_at,
        top_up.expires_at,
        order.iccid if row.readdressed else None,
        order.carrier if row.readdressed else None,
        row.place,
    )


def _attempt_row(row: AttemptRow) -> tuple[Any, ...]:
    return (
        *row.key,
        row.status,
        row.asked,
        row.provider_reference,
        row.reason,
        row.wait_seconds,
        row.ended,
        row.lane,
        row.is_bulk,
    )


async def open_attempts(
    connection: Connection,
    opened: Sequence[tuple[UUID, Operation, int, UUID, bool]],
    *,
    send_window: float,
    lease: float,
) -> dict[AttemptKey, int]:
    """Begin attempts (renewal, operation, ordinal, key, claimed); the fencing number of each."""
    stored = [
        (renewal_id, operation, ordinal, claimed) for renewal_id, operation, ordinal, _, claimed in opened
    ]
    rows = await connection.fetch(_SQL["open_attempts"], *columns(stored, 4), send_window, lease)
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def order_of(row: asyncpg.Record) -> Order:
    """What the row of a top-up is about."""
    granted = row["granted"]
    return Order(
        row["renewal_id"],
        row["subscription_id"],
        Terms.model_validate_json(row["terms"]),
        Grant.model_validate_json(granted) if granted is not None else None,
        row["amount_minor"],
        row["currency"],
        row["iccid"],
        row["carrier"],
        row["traceparent"],
    )
