"""services/renewal/store.py on tables in memory: same names, same arguments, same answers.

Longer than others, as what it stands in for: the store and all its statements, in their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from services.renewal import store
from services.renewal.cut_over.domain.cohort import Share
from services.renewal.domain.admission import Admitted, Refusal, Standing
from services.renewal.domain.asking import PAUSED, UNTIL, Request, Trigger
from services.renewal.domain.policy import POLICY
from services.renewal.domain.renewal import HistoryEntry, Renewal
from services.renewal.domain.review import Review
from services.renewal.domain.waiting import Waiting
from services.renewal.operators import charge_store
from services.renewal.rules.domain.decision import Decision
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.rule import RenewalRule
from services.renewal.store import Asked, Orphan, Progress
from services.renewal.timers import CATCH_UP_SECONDS
from tests.simulation.database import Database, Open, Table, statement

_FIRST_FACT: Final = Renewal._fields.index("amount_minor")
_STALLS_KEPT: Final = timedelta(days=3)


class RenewalLine(NamedTuple):
    """A row of renewals."""

    renewal: Renewal
    caller: str
    request_id: str
    request_hash: bytes
    dunning_try: int | None


class HistoryLine(NamedTuple):
    """A row of renewal_history."""

    at: datetime
    message: str
    to_state: str
    attempt: int | None
    reason: str | None
    detail: str | None


class RefusalLine(NamedTuple):
    """A row of refusals."""

    caller: str
    request_id: str
    request_hash: bytes
    subscription_id: str
    reason: str
    detail: str
    refused_at: datetime


class SubscriptionLine(NamedTuple):
    """A row of the projection of subscriptions."""

    brand: str
    carrier: str
    owner_id: str
    status: str
    device_bound: bool
    device_matches: bool
    top_ups: int
    bound_imei: str | None = None


class OfferingLine(NamedTuple):
    """A row of the projection of offerings."""

    status: str
    brands: list[str]
    carriers: list[str]
    subscription_statuses: list[str]


class OfferingTermsLine(NamedTuple):
    """A row of what rules want to know of offerings."""

    version: int
    validity_seconds: int
    data_bytes: int
    destination: str
    status: str


class CutOverLine(NamedTuple):
    """A row of cut_overs."""

    percent: int | None
    shares: tuple[Share, ...]


class ProgressLine(NamedTuple):
    """A row of consumer_progress."""

    lag: int
    caught_up_at: datetime | None
    updated_at: datetime


class ArchivedLine(NamedTuple):
    """A renewal that is over, whole, with its history by version."""

    line: RenewalLine
    history: tuple[tuple[int, HistoryLine], ...]


class RenewalDatabase(Database):
    """Renewal's tables. `slots` is the unique index on the open renewals of a subscription."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.renewals: Table[UUID, RenewalLine] = Table("renewals")
        self.slots: Table[str, UUID] = Table("renewals_slot")
        self.history: Table[tuple[UUID, int], HistoryLine] = Table("renewal_history")
        self.archive: Table[UUID, ArchivedLine] = Table("archive_register")
        self.stops: Table[str, str] = Table("charge_stops")
        self.burst_counts: Table[tuple[str, datetime], int] = Table("burst_counts")
        self.burst_resets: Table[str, datetime] = Table("burst_resets")
        self.refusals: Table[UUID, RefusalLine] = Table("refusals")
        self.kept: Table[str, tuple[Trigger, datetime]] = Table("kept_triggers")
        self.waiting: Table[UUID, Waiting] = Table("waiting_requests")
        self.waiting_places: Table[str, UUID] = Table("waiting_requests_place")
        self.reviews: Table[UUID, Review] = Table("acceptance_reviews")
        self.review_places: Table[str, UUID] = Table("acceptance_reviews_place")
        self.orphans: Table[UUID, Orphan] = Table("orphans")
        self.progress: Table[tuple[str, int], ProgressLine] = Table("consumer_progress")
        self.stalls: Table[tuple[str, int, datetime], datetime] = Table("stalls")
        self.rules: Table[str, RenewalRule] = Table("renewal_rules")
        self.mandates: Table[tuple[str, str], Mandate] = Table("mandates")
        self.decisions: Table[tuple[str, int, str, int], Decision] = Table("renewal_decisions")
        self.offering_terms: Table[str, OfferingTermsLine] = Table("offering_terms")
        self.cut_overs: Table[int, CutOverLine] = Table("cut_overs")
        self.listed: Table[str, bool] = Table("cut_over_lists")
        self.subscriptions: Table[str, SubscriptionLine] = Table("subscriptions")
        self.customers: Table[str, bool] = Table("customers")
        self.methods: Table[str, tuple[str, str]] = Table("payment_methods")
        self.offerings: Table[str, OfferingLine] = Table("offerings")

    def every_renewal(self) -> dict[UUID, Renewal]:
        """All renewals as they stand, open, closed or archived."""
        archived = {renewal_id: kept.line.renewal for renewal_id, kept in self.archive.rows.items()}
        return archived | {renewal_id: line.renewal for renewal_id, line in self.renewals.rows.items()}

    def next_timer(self, now: datetime) -> datetime | None:
        """When claim_due would find something first, for a process with that clock.

        Silence and deadlines wait until every partition is caught up, planned retries and promises do not.
        """
        since = now - timedelta(seconds=CATCH_UP_SECONDS)
        known = self.progress.rows.values()
        if known and all(line.caught_up_at is not None and line.caught_up_at >= since for line in known):
            return self.until_a_commit("next timer", self._next_due)
        return self.until_a_commit("next while behind", self._next_while_behind)

    def _next_due(self) -> datetime | None:
        due = (renewal.next_due_at for renewal in self._open_ones())
        return min((at for at in due if at is not None), default=None)

    def _next_while_behind(self) -> datetime | None:
        promise = timedelta(seconds=POLICY.promise_seconds)
        waiting = [renewal for renewal in self._open_ones() if renewal.next_due_at is not None]
        due = (at for renewal in waiting for at in (renewal.retry_at, _promised_by(renewal, promise)))
        return min((at for at in due if at is not None), default=None)

    def _open_ones(self) -> list[Renewal]:
        return [line.renewal for line in self.renewals.rows.values() if line.renewal.closed_at is None]


def _promised_by(renewal: Renewal, promise: timedelta) -> datetime | None:
    """When the customer is to be told that it takes longer, caught up or not; None: they are not, or were."""
    if renewal.delayed or renewal.state == "awaiting_customer":
        return None
    return (renewal.promised_from or renewal.requested_at) + promise


def tables(transaction: Open) -> RenewalDatabase:
    database = transaction.database
    assert isinstance(database, RenewalDatabase)
    return database


@statement
async def _lock(transaction: Open, renewal_ids: Collection[UUID]) -> list[Renewal]:
    wanted = sorted(set(renewal_ids))
    transaction.about.update(wanted)
    found = await transaction.lock_each(tables(transaction).renewals, wanted)
    return [line.renewal for _, line in found]


@statement
async def claim_due(
    transaction: Open, now: datetime, limit: int, *, caught_up: bool, promise: timedelta
) -> list[Renewal]:
    table = tables(transaction).renewals
    due = []
    for renewal_id, line in transaction.scan(table):
        renewal = line.renewal
        if renewal.closed_at is not None or renewal.next_due_at is None or renewal.next_due_at > now:
            continue
        own_clock = (renewal.retry_at, _promised_by(renewal, promise))
        if caught_up or any(at is not None and at <= now for at in own_clock):
            due.append((renewal.next_due_at, renewal_id))
    claimed: list[Renewal] = []
    for _, renewal_id in sorted(due):
        if transaction.is_free(table, renewal_id) and len(claimed) < limit:
            transaction.take(table, renewal_id)
            transaction.about.add(renewal_id)
            taken = transaction.get(table, renewal_id)
            assert taken is not None
            claimed.append(taken.renewal)
    return claimed


@statement
async def advance(
    transaction: Open,
    now: datetime,
    moves: Collection[tuple[Renewal, Renewal]],
    history: Collection[HistoryEntry],
) -> None:
    own = tables(transaction)
    for before, after in moves:
        line = await transaction.lock(own.renewals, after.renewal_id)
        if line is None:
            continue
        was = line.renewal
        learnt: dict[str, Any] = {
            name: new
            for name, old, new in zip(
                Renewal._fields[_FIRST_FACT:], before[_FIRST_FACT:], after[_FIRST_FACT:], strict=True
            )
            if new is not old and new is not None
        }
        await _write(
            transaction,
            line,
            was._replace(heard_at=now, state=after.state, version=after.version, **learnt),
        )
    for entry in history:
        written = HistoryLine(now, entry.message, entry.to_state, entry.attempt, entry.reason, entry.detail)
        if not await transaction.insert(own.history, (entry.renewal_id, entry.version), written):
            raise asyncpg.UniqueViolationError("renewal_history")


@statement
async def save(transaction: Open, renewals: Collection[Renewal]) -> None:
    own = tables(transaction)
    for renewal in renewals:
        line = await transaction.lock(own.renewals, renewal.renewal_id)
        if line is not None:
            fixed = Renewal._fields.index("heard_at")
            await _write(transaction, line, Renewal._make((*line.renewal[:fixed], *renewal[fixed:])))


async def _write(transaction: Open, line: RenewalLine, renewal: Renewal) -> None:
    """The row, and its place in the index of slots."""
    own = tables(transaction)
    if (renewal.closed_at is not None) != (renewal.state in ("completed", "refunded", "failed", "cancelled")):
        raise asyncpg.CheckViolationError("closed_states_are_closed")
    transaction.put(own.renewals, renewal.renewal_id, line._replace(renewal=renewal))
    if renewal.closed_at is not None and line.renewal.closed_at is None:
        await transaction.hold(own.slots, renewal.subscription_id)
        transaction.remove(own.slots, renewal.subscription_id)


@statement
async def read_standing(transaction: Open, asking: Sequence[Asked]) -> list[Standing]:
    own = tables(transaction)
    theirs = {f"subscription {asked.subscription_id}" for asked in asking}
    stops = [
        scope
        for scope, _ in transaction.scan(own.stops)
        if not scope.startswith("subscription ") or scope in theirs
    ]
    return [_standing(transaction, own, asked, stops) for asked in asking]


def _standing(transaction: Open, own: RenewalDatabase, asked: Asked, stops: list[str]) -> Standing:
    def get(table: Table[Any, Any], key: Any) -> Any:
        return transaction.get(table, key)

    existing = get(own.renewals, asked.renewal_id)
    waiting = get(own.waiting, asked.renewal_id)
    slot = get(own.slots, asked.subscription_id)
    holder = get(own.renewals, slot) if slot is not None else None
    if existing is None and (archived := get(own.archive, asked.renewal_id)) is not None:
        existing = archived.line
    if existing is None:
        existing = waiting
    if existing is None and (review := get(own.reviews, asked.renewal_id)) is not None:
        existing = review if review.state != "approved" and review.dunning_try is None else None
    refusal = get(own.refusals, asked.renewal_id)
    subscription = get(own.subscriptions, asked.subscription_id)
    offering = get(own.offerings, asked.offering_id)
    named = asked.payment_method_ids.split(",")
    methods = [(name, *method) for name in sorted(set(named)) if (method := get(own.methods, name))]
    return Standing(
        *(
            asked.renewal_id,
            existing.request_hash if existing is not None else None,
            refusal.request_hash if refusal is not None else None,
            refusal.reason if refusal is not None else None,
            refusal.detail if refusal is not None else None,
            *(subscription[:7] if subscription is not None else (None,) * 7),
            get(own.customers, subscription.owner_id) if subscription is not None else None,
            *(offering if offering is not None else (None,) * 4),
            [" ".join(method) for method in methods],
            slot,
            stops or None,
            holder.renewal.state if holder is not None else None,
            holder.dunning_try is not None if holder is not None else False,
            False,
            subscription.bound_imei if subscription is not None else None,
        )
    )


@statement
async def insert(transaction: Open, now: datetime, admitted: Collection[Admitted]) -> set[UUID]:
    own = tables(transaction)
    inserted = set()
    for renewal, _terms, request, *_ in admitted:
        transaction.about.add(renewal.renewal_id)
        if await transaction.is_taken(own.renewals, renewal.renewal_id):
            continue
        if await _has_slot(transaction, renewal.subscription_id):
            continue
        fresh = Renewal(
            renewal.renewal_id,
            renewal.subscription_id,
            renewal.terms,
            renewal.cycle,
            now,
            renewal.traceparent,
            now,
            renewal.deadline_at,
            renewal.payment_method_id,
            renewal.next_due_at,
        )
        line = RenewalLine(
            fresh,
            request.caller,
            request.request_id,
            request.fingerprint,
            request.dunning_try,
        )
        await transaction.insert(own.renewals, renewal.renewal_id, line)
        await transaction.insert(own.slots, renewal.subscription_id, renewal.renewal_id)
        begun = HistoryLine(now, "RequestRenewal", "requested", None, None, f"by {request.caller}")
        if not await transaction.insert(own.history, (renewal.renewal_id, 1), begun):
            raise asyncpg.UniqueViolationError("renewal_history")
        inserted.add(renewal.renewal_id)
    return inserted


async def _has_slot(transaction: Open, subscription_id: str) -> bool:
    """Whether the slot is taken, once nobody is changing the renewal that has it: it might free it."""
    own = tables(transaction)
    while await transaction.is_taken(own.slots, subscription_id):
        renewal_id = transaction.get(own.slots, subscription_id)
        if renewal_id is None:
            continue
        await transaction.is_taken(own.renewals, renewal_id)
        if transaction.get(own.slots, subscription_id) == renewal_id:
            return True
    return False


@statement
async def keep_refusals(
    transaction: Open, refused: Collection[tuple[Request, Refusal]], now: datetime
) -> None:
    table = tables(transaction).refusals
    for request, refusal in {request.renewal_id: (request, refusal) for request, refusal in refused}.values():
        line = RefusalLine(
            request.caller,
            request.request_id,
            request.fingerprint,
            request.subscription_id,
            refusal.reason,
            refusal.detail,
            now,
        )
        known = await transaction.upsert(table, request.renewal_id, line)
        if known is not None and line.caller == "rule":
            again = known._replace(reason=line.reason, detail=line.detail, refused_at=now)
            transaction.put(table, request.renewal_id, again)


@statement
async def keep_triggers(transaction: Open, triggers: Collection[Trigger], now: datetime) -> None:
    table = tables(transaction).kept
    newest: dict[str, Trigger] = {}
    for trigger in triggers:
        known = newest.get(trigger.subscription_id)
        if known is None or _nth(known) < _nth(trigger):
            newest[trigger.subscription_id] = trigger
    for trigger in [newest[name] for name in sorted(newest)]:
        kept = await transaction.upsert(table, trigger.subscription_id, (trigger, now))
        if kept is not None and _nth(kept[0]) < _nth(trigger):
            transaction.put(table, trigger.subscription_id, (trigger, now))


def _nth(trigger: Trigger) -> tuple[int, int]:
    return trigger.cycle, trigger.dunning_try


@statement
async def take_kept_triggers(transaction: Open, subscription_ids: Collection[str]) -> list[Trigger]:
    table = tables(transaction).kept
    taken = await transaction.lock_each(table, sorted(set(subscription_ids)))
    for subscription_id, _ in taken:
        transaction.remove(table, subscription_id)
    return [trigger for _, (trigger, _) in taken]


@statement
async def keep_orphans(transaction: Open, orphans: Collection[Orphan]) -> None:
    for orphan in orphans:
        await transaction.insert(tables(transaction).orphans, orphan.event_id, orphan)


@statement
async def report_progress(
    transaction: Open, rows: Collection[Progress], now: datetime, stalled_after_seconds: float
) -> None:
    own = tables(transaction)
    long_ago = now - timedelta(seconds=stalled_after_seconds)
    forgotten = [key for key, ended_at in transaction.scan(own.stalls) if ended_at < now - _STALLS_KEPT]
    ordered = sorted(rows)
    stalled = []
    for topic, partition, _, caught_up in ordered:
        known = transaction.get(own.progress, (topic, partition))
        began_at = known.caught_up_at if known is not None else None
        if caught_up and began_at is not None and began_at < long_ago:
            stalled.append((topic, partition, began_at))
    for topic, partition, lag, caught_up in ordered:
        line = ProgressLine(lag, now if caught_up else None, now)
        before = await transaction.upsert(own.progress, (topic, partition), line)
        if before is not None:
            line = line._replace(caught_up_at=line.caught_up_at or before.caught_up_at)
            transaction.put(own.progress, (topic, partition), line)
    for stall in stalled:
        await transaction.insert(own.stalls, stall, now)
    for stall in forgotten:
        if await transaction.lock(own.stalls, stall) is not None:
            transaction.remove(own.stalls, stall)


@statement
async def is_caught_up(transaction: Open, now: datetime, within_seconds: float) -> bool:
    known = transaction.scan(tables(transaction).progress)
    since = now - timedelta(seconds=within_seconds)
    return bool(known) and all(
        line.caught_up_at is not None and line.caught_up_at >= since for _, line in known
    )


@statement
async def read_stalls(transaction: Open, since: datetime, limit: int) -> list[tuple[datetime, datetime]]:
    stalls = [
        (key[2], ended_at)
        for key, ended_at in transaction.scan(tables(transaction).stalls)
        if ended_at > since
    ]
    stalls.sort(key=lambda stall: (stall[1], stall[0]), reverse=True)
    return stalls[:limit]


def entries_of(renewal_id: UUID, lines: Sequence[tuple[int, HistoryLine]]) -> list[HistoryEntry]:
    """History lines by version, each with the state that the line before went to; bounded."""
    entries: list[HistoryEntry] = []
    before: Any = None
    for version, (at, message, to_state, attempt, reason, detail) in lines:
        entries.append(
            HistoryEntry(renewal_id, version, at, message, before, to_state, attempt, reason, detail)  # type: ignore[arg-type] # only states are ever stored
        )
        before = to_state
    return entries[:500]


@statement
async def take_resumed(transaction: Open, limit: int) -> list[Trigger]:
    own = tables(transaction)
    stops = {scope for scope, _ in transaction.scan(own.stops)}
    over = [
        name
        for name, (trigger, _) in transaction.scan(own.kept)
        if trigger.held_by is not None and trigger.held_by not in (UNTIL, PAUSED, *stops)
    ]
    return _take_kept(transaction, over, limit)


@statement
async def take_freed(transaction: Open, kept_before: datetime, limit: int) -> list[Trigger]:
    own = tables(transaction)
    freed = [
        name
        for name, (trigger, kept_at) in transaction.scan(own.kept)
        if trigger.held_by is None and kept_at < kept_before and transaction.get(own.slots, name) is None
    ]
    return _take_kept(transaction, freed, limit)


def _take_kept(transaction: Open, names: Sequence[str], limit: int) -> list[Trigger]:
    table = tables(transaction).kept
    taken: list[Trigger] = []
    for name in sorted(names):
        row = transaction.get(table, name)
        if row is not None and len(taken) < limit and transaction.is_free(table, name):
            transaction.take(table, name)
            transaction.remove(table, name)
            taken.append(row[0])
    return taken


@statement
async def count_stops(transaction: Open) -> dict[str, int]:
    scopes = [scope for scope, _ in transaction.scan(tables(transaction).stops)]
    return dict(Counter(scope.split()[0] for scope in scopes))


@statement
async def count_kept(transaction: Open) -> dict[str, int]:
    kept = [trigger for _, (trigger, _) in transaction.scan(tables(transaction).kept)]
    return dict(Counter(_kept_by(trigger) for trigger in kept))


def _kept_by(trigger: Trigger) -> str:
    if trigger.held_by == UNTIL and trigger.not_before is None:
        return "payer"
    return _KEPT_BY.get(trigger.held_by, "stop")


_KEPT_BY: Final = {None: "slot", UNTIL: UNTIL, PAUSED: PAUSED}


@statement
async def read_methods(transaction: Open, payment_method_ids: Collection[str]) -> list[str]:
    table = tables(transaction).methods
    return [
        " ".join((name, *method))
        for name in sorted(set(payment_method_ids))
        if (method := transaction.get(table, name)) is not None
    ]


FUNCTIONS: Final = {
    store: {
        "_lock": _lock,
        "claim_due": claim_due,
        "advance": advance,
        "save": save,
        "read_standing": read_standing,
        "insert": insert,
        "keep_refusals": keep_refusals,
        "keep_triggers": keep_triggers,
        "take_kept_triggers": take_kept_triggers,
        "keep_orphans": keep_orphans,
        "report_progress": report_progress,
        "is_caught_up": is_caught_up,
        "read_stalls": read_stalls,
        "read_methods": read_methods,
    },
    charge_store: {
        "take_resumed": take_resumed,
        "take_freed": take_freed,
        "count_stops": count_stops,
        "count_kept": count_kept,
    },
}
NOT_ASKED: Final = {
    store: {"lock", "read", "read_history", "list_renewals", "list_without_slot", "survey_open"},
    charge_store: {
        "list_stops",
        "list_stops_of",
        "wait_for_admissions",
        "insert_stop",
        "delete_stop",
        "is_known",
        "some_names",
        "read_kept",
        "read_refusals",
        "read_subscription",
    },
}
"""Functions that only HTTP needs, or that are made of others."""
