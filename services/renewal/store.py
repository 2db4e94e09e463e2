"""Functions over queries.sql: rows in, rows out, no decisions. What is archived is found like what is not."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from services.renewal import archive
from services.renewal.domain.admission import Admitted, Refusal, Standing
from services.renewal.domain.asking import Request, Trigger
from services.renewal.domain.renewal import OPEN_STATES, HistoryEntry, Renewal
from services.renewal.domain.review import Review
from services.renewal.domain.waiting import Waiting
from shared.database import Connection
from shared.database.arrays import columns, sparse
from shared.database.queries import load_queries

SQL = load_queries(__file__)

_FIXED = Renewal._fields.index("heard_at")
_WIDTH = len(Renewal._fields) - _FIXED + 1


async def lock(connection: Connection, renewal_ids: Collection[UUID]) -> list[Renewal]:
    """The known ones among these, locked in key order: one statement where all are open or lately closed."""
    renewals = await _lock(connection, renewal_ids)
    if len(renewals) == len(renewal_ids):
        return renewals
    archived = await archive.lock(connection, _missing(renewal_ids, renewals))
    # Brought back by somebody else between the two looks: now it cannot move any more, or it never was.
    gone = _missing(renewal_ids, [*renewals, *archived])
    return [*renewals, *archived, *(await _lock(connection, gone) if gone else ())]


async def _lock(connection: Connection, renewal_ids: Collection[UUID]) -> list[Renewal]:
    rows = await connection.fetch(SQL["lock_renewals"], renewal_ids)
    return [Renewal._make(row) for row in rows]


def _missing(renewal_ids: Collection[UUID], renewals: Sequence[Renewal]) -> list[UUID]:
    found = {renewal.renewal_id for renewal in renewals}
    return [renewal_id for renewal_id in renewal_ids if renewal_id not in found]


async def claim_due(
    connection: Connection, now: datetime, limit: int, *, caught_up: bool, promise: timedelta
) -> list[Renewal]:
    """At most `limit` renewals that time has made due, locked; those that another process has are left.

    While a consumer is behind only those with a planned retry, or whose customer waits longer than `promise`
    and was not told.
    """
    rows = await connection.fetch(SQL["claim_due_renewals"], now, caught_up, limit, promise)
    return [Renewal._make(row) for row in rows]


async def advance(
    connection: Connection,
    now: datetime,
    moves: Collection[tuple[Renewal, Renewal]],
    history: Collection[HistoryEntry],
) -> None:
    """Write locked renewals (before, after) that only got further, and the history of all that moved."""
    rows = [
        (after.renewal_id, after.state, after.version, *_learnt(before, after)) for before, after in moves
    ]
    lines = [
        (line.renewal_id, line.version, line.message, line.to_state, line.attempt, line.reason, line.detail)
        for line in history
    ]
    narrow = sparse(columns(rows, 3 + len(_FACTS)))
    await connection.execute(SQL["advance_renewals"], now, *narrow, *sparse(columns(lines, 7)))


_FACTS = Renewal._fields[Renewal._fields.index("amount_minor") :]
_FIRST_FACT = len(Renewal._fields) - len(_FACTS)


def _learnt(before: Renewal, after: Renewal) -> list[Any]:
    """The facts that are new; None leaves one as it is."""
    pairs = zip(before[_FIRST_FACT:], after[_FIRST_FACT:], strict=True)
    return [None if new is old else new for old, new in pairs]


async def save(connection: Connection, renewals: Collection[Renewal]) -> None:
    """Write locked renewals as they have become, each at most once."""
    rows = [(renewal.renewal_id, *renewal[_FIXED:]) for renewal in renewals]
    await connection.execute(SQL["save_renewals"], *columns(rows, _WIDTH))


class Asked(NamedTuple):
    """What has to be known about one request or trigger: the key of read_standing."""

    renewal_id: UUID
    subscription_id: str
    offering_id: str
    payment_method_ids: str
    """Joined by commas."""


def asked(request: Request) -> Asked:
    methods = ",".join(request.payment_method_ids)
    return Asked(request.renewal_id, request.subscription_id, request.offering_id, methods)


async def read_standing(connection: Connection, asking: Sequence[Asked]) -> list[Standing]:
    """One Standing per request, in the same order."""
    rows = await connection.fetch(SQL["read_standing"], *columns(asking, len(Asked._fields)))
    return [Standing(*row) for row in rows]


async def insert(connection: Connection, now: datetime, admitted: Collection[Admitted]) -> set[UUID]:
    """The ids of those that got the slot. The others came second."""
    rows = [
        (
            renewal.renewal_id,
            renewal.subscription_id,
            renewal.terms,
            renewal.cycle,
            renewal.traceparent,
            request.caller,
            request.request_id,
            request.fingerprint,
            request.dunning_try,
            renewal.deadline_at,
            renewal.next_due_at,
            renewal.payment_method_id,
        )
        for renewal, _terms, request, *_ in admitted
    ]
    inserted = await connection.fetch(SQL["insert_renewals"], now, *columns(rows, 12))
    return {row[0] for row in inserted}


async def keep_refusals(
    connection: Connection, refused: Collection[tuple[Request, Refusal]], now: datetime
) -> None:
    rows = {
        request.renewal_id: (
            request.renewal_id,
            request.caller,
            request.request_id,
            request.fingerprint,
            request.subscription_id,
            refusal.reason,
            refusal.detail,
            now,
        )
        for request, refusal in refused
    }
    await connection.execute(SQL["keep_refusals"], *columns(rows.values(), 8))


async def keep_triggers(connection: Connection, triggers: Collection[Trigger], now: datetime) -> None:
    """The newest of each subscription; an older one than is kept already changes nothing."""
    newest: dict[str, Trigger] = {}
    for trigger in triggers:
        known = newest.get(trigger.subscription_id)
        if known is None or (known.cycle, known.dunning_try) < (trigger.cycle, trigger.dunning_try):
            newest[trigger.subscription_id] = trigger
    # In key order: two who keep the same ones wait, they do not deadlock.
    rows = [(*newest[name], now) for name in sorted(newest)]
    await connection.execute(SQL["keep_triggers"], *columns(rows, len(Trigger._fields) + 1))


async def take_kept_triggers(connection: Connection, subscription_ids: Collection[str]) -> list[Trigger]:
    rows = await connection.fetch(SQL["take_kept_triggers"], subscription_ids)
    return [Trigger._make(row) for row in rows]


class Orphan(NamedTuple):
    """An event about a renewal that is not ours, as it came."""

    event_id: UUID
    topic: str
    type: str
    renewal_id: UUID
    subscription_id: str
    payload: str
    traceparent: str | None
    received_at: datetime


async def keep_orphans(connection: Connection, orphans: Collection[Orphan]) -> None:
    await connection.execute(SQL["keep_orphans"], *columns(orphans, len(Orphan._fields)))


class Progress(NamedTuple):
    """How far one partition of the saga's topics has been read."""

    topic: str
    partition: int
    lag: int
    caught_up: bool


async def report_progress(
    connection: Connection, rows: Collection[Progress], now: datetime, stalled_after_seconds: float
) -> None:
    ordered = columns(sorted(rows), len(Progress._fields))
    await connection.execute(SQL["report_progress"], *ordered, now, stalled_after_seconds)


async def is_caught_up(connection: Connection, now: datetime, within_seconds: float) -> bool:
    """Whether every partition was found caught up this shortly before now."""
    return bool(await connection.fetchval(SQL["read_catch_up"], now, within_seconds))


async def read_stalls(connection: Connection, since: datetime, limit: int) -> list[tuple[datetime, datetime]]:
    """(began, ended) of the stalls that ended after `since`."""
    rows = await connection.fetch(SQL["read_stalls"], since, limit)
    return [(row["began_at"], row["ended_at"]) for row in rows]


async def read(connection: Connection, renewal_id: UUID) -> Renewal | None:
    """The renewal as it is now, unlocked."""
    row = await connection.fetchrow(SQL["read_renewal"], renewal_id)
    return await archive.find_renewal(connection, renewal_id) if row is None else Renewal._make(row)


async def read_history(connection: Connection, renewal_id: UUID) -> list[HistoryEntry]:
    """Oldest first."""
    rows = await connection.fetch(SQL["read_history"], renewal_id)
    return [HistoryEntry._make(row) for row in rows] or await archive.find_history(connection, renewal_id)


Place = tuple[datetime, UUID]


async def list_renewals(
    connection: Connection, subscription_id: str | None, state: str | None, after: Place | None, limit: int
) -> list[Renewal]:
    """Newest first, at most `limit`, behind the place `after`."""
    place: tuple[datetime | None, UUID | None] = after or (None, None)
    if subscription_id is None and state in OPEN_STATES:
        return [Renewal._make(row) for row in await connection.fetch(SQL["list_open"], state, *place, limit)]
    return await archive.list_renewals(connection, subscription_id, state, place, limit)


async def list_without_slot(
    connection: Connection, subscription_id: str, state: str | None, after: Place | None, limit: int
) -> list[Waiting | Review]:
    """One subscription's requests that wait or are in review, in the same order: they are no renewals yet."""
    place: tuple[datetime | None, UUID | None] = after or (None, None)
    rows = await connection.fetch(SQL["list_without_slot"], subscription_id, state, *place, limit)
    return [_without_slot(row) for row in rows]


def _without_slot(row: asyncpg.Record) -> Waiting | Review:
    kind = Review if row["gives_way"] is None else Waiting
    return kind(*(row[name] for name in kind._fields))


class Open(NamedTuple):
    """How many renewals are in one open state, and how many of them hold money."""

    state: str
    renewals: int
    captured: int
    oldest_captured_at: datetime | None


async def survey_open(connection: Connection) -> list[Open]:
    return [Open._make(row) for row in await connection.fetch(SQL["survey_open"])]


async def read_methods(connection: Connection, payment_method_ids: Collection[str]) -> list[str]:
    """The known ones among these, each as `id payer status`."""
    return [row[0] for row in await connection.fetch(SQL["read_methods"], payment_method_ids)]
