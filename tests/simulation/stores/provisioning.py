"""services/provisioning/topups/store.py on tables in memory: same names, same arguments, same answers.

Longer than others, as what it stands in for: the store and all its statements, in their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.provisioning.topups import store
from services.provisioning.topups.domain.attempt import Attempt, Operation
from services.provisioning.topups.domain.top_up import Order, TopUp
from services.provisioning.topups.store import (
    AttemptKey,
    AttemptRow,
    DecisionRow,
    DueAttempt,
    Held,
    HeldAttempt,
    NewTopUp,
)
from shared.calls.fairness import fetch_fairly
from tests.simulation.database import Database, Open, Table, statement

_QUEUED_FOR: Final = timedelta(minutes=10)


class SubscriptionLine(NamedTuple):
    """A row of subscriptions, as far as top-ups read and write it."""

    iccid: str
    carrier: str
    top_ups: int = 0


class TopUpLine(NamedTuple):
    """A row of top_ups."""

    top_up: TopUp
    order: Order


class AttemptLine(NamedTuple):
    """A row of top_up_attempts."""

    attempt: Attempt
    due_at: datetime
    ended_at: datetime | None = None
    lane: str | None = None
    is_bulk: bool | None = None
    queued_until: datetime | None = None

    @property
    def is_queued(self) -> bool:
        return self.queued_until == self.due_at and self.ended_at is None


class ArchivedLine(NamedTuple):
    """A top-up that is over, whole, with its attempts."""

    line: TopUpLine
    attempts: tuple[tuple[AttemptKey, AttemptLine], ...]


class ProvisioningDatabase(Database):
    """Provisioning's tables."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.subscriptions: Table[str, SubscriptionLine] = Table("subscriptions")
        self.top_ups: Table[UUID, TopUpLine] = Table("top_ups")
        self.attempts: Table[AttemptKey, AttemptLine] = Table("top_up_attempts")
        self.archive: Table[UUID, ArchivedLine] = Table("archive_register")

    def top_up(self, renewal_id: UUID) -> TopUp | None:
        """The decision as it stands, open or archived."""
        line = self.top_ups.rows.get(renewal_id)
        if line is None and (archived := self.archive.rows.get(renewal_id)) is not None:
            line = archived.line
        return None if line is None else line.top_up

    def next_due(self) -> datetime | None:
        """When a claim would find something first that waits in no queue."""
        return min(
            (line.due_at for line in self.attempts.rows.values() if line.ended_at is None), default=None
        )

    def queues(self) -> set[str | None]:
        """The carriers that attempts wait for."""
        return {line.lane for line in self.attempts.rows.values() if line.is_queued}


def tables(transaction: Open) -> ProvisioningDatabase:
    database = transaction.database
    assert isinstance(database, ProvisioningDatabase)
    return database


def _after(transaction: Open, seconds: float) -> datetime:
    return transaction.clock + timedelta(seconds=seconds)


@statement
async def insert(
    transaction: Open,
    rows: Sequence[NewTopUp],
    *,
    send_window: float,
    lease: float,
    lanes: Sequence[str] = (),
) -> dict[UUID, tuple[str | None, str | None]]:
    own = tables(transaction)
    inserted: dict[UUID, tuple[str | None, str | None]] = {}
    for row in sorted(rows, key=lambda one: one.order.renewal_id):
        order, top_up = row.order, row.top_up
        transaction.about.add(order.renewal_id)
        subscription = transaction.get(own.subscriptions, order.subscription_id)
        iccid, carrier = subscription[:2] if subscription is not None else (None, None)
        line = TopUpLine(
            TopUp(
                top_up.state,
                top_up.attempt,
                top_up.version,
                top_up.act_before,
                top_up.ordinal,
                cancel_wanted=top_up.cancel_wanted,
                reason=top_up.reason,
            ),
            order._replace(iccid=iccid, carrier=carrier),
        )
        if not await transaction.insert(own.top_ups, order.renewal_id, line):
            continue
        inserted[order.renewal_id] = (iccid, carrier)
        if top_up.state in ("sending", "pending") and iccid is not None:
            begun = _begun(transaction, top_up.state == "sending", send_window, lease)
            key: AttemptKey = (order.renewal_id, "apply", top_up.ordinal)
            attempt = Attempt("apply", top_up.ordinal, begun.status, begun.asked, *begun[1:4])
            waiting = AttemptLine(attempt, begun.due_at)
            if top_up.state == "pending":
                until = transaction.now + _QUEUED_FOR
                lane = carrier if carrier in lanes else "*"
                waiting = AttemptLine(attempt, until, None, lane, not order.terms.is_awaited, until)
            await transaction.insert(own.attempts, key, waiting)
    return inserted


class _Begun(NamedTuple):
    """How an attempt begins: claimed and being sent, or waiting for a worker."""

    status: Any
    asked: int
    first_sent_at: datetime | None
    send_before: datetime | None
    due_at: datetime


def _begun(transaction: Open, claimed: bool, send_window: float, lease: float) -> _Begun:
    if not claimed:
        return _Begun("waiting", 0, None, None, transaction.now)
    clock = transaction.clock
    return _Begun("sending", 1, clock, _after(transaction, send_window), _after(transaction, lease))


@statement
async def lock(transaction: Open, renewal_ids: Sequence[UUID]) -> dict[UUID, Held]:
    own = tables(transaction)
    wanted = sorted(set(renewal_ids))
    transaction.about.update(wanted)
    held: dict[UUID, Held] = {}
    for renewal_id, line in await transaction.lock_each(own.top_ups, wanted):
        subscription = transaction.get(own.subscriptions, line.order.subscription_id)
        iccid, carrier = subscription[:2] if subscription is not None else (None, None)
        held[renewal_id] = Held(line.top_up, line.order, iccid, carrier)
    return held


@statement
async def lock_attempts(transaction: Open, keys: Sequence[AttemptKey]) -> dict[AttemptKey, HeldAttempt]:
    own = tables(transaction)
    held: dict[AttemptKey, HeldAttempt] = {}
    for key in sorted(keys):
        transaction.about.add(key[0])
        if transaction.get(own.attempts, key) is None:
            continue
        decision = await transaction.lock(own.top_ups, key[0])
        line = await transaction.lock(own.attempts, key)
        if decision is not None and line is not None:
            held[key] = HeldAttempt(decision.top_up, line.attempt, transaction.clock)
    return held


@statement
async def lock_due(transaction: Open, limit: int) -> list[DueAttempt]:
    due = sorted(
        (line.due_at, key)
        for key, line in transaction.scan(tables(transaction).attempts)
        if line.ended_at is None and line.due_at <= transaction.now
    )
    return _read_picked(transaction, _pick(transaction, due, limit))


@statement
async def lock_queued(transaction: Open, wanted: Mapping[str, int]) -> list[DueAttempt]:
    async def pick(numbers: Mapping[str, int], is_bulk: bool) -> list[tuple[AttemptKey, str]]:
        found: list[tuple[AttemptKey, str]] = []
        for lane, number in numbers.items():
            waiting = sorted(
                (line.due_at, key)
                for key, line in transaction.scan(tables(transaction).attempts)
                if line.is_queued and line.lane == lane and line.is_bulk == is_bulk
            )
            found += [(key, lane) for key in _pick(transaction, waiting, number)]
        return found

    picked = await fetch_fairly(wanted, pick, lambda row: row[1])
    return _read_picked(transaction, [key for key, _ in picked])


def _pick(transaction: Open, waiting: Sequence[tuple[datetime, AttemptKey]], limit: int) -> list[AttemptKey]:
    """The first that nobody else holds, held now with their decisions."""
    own = tables(transaction)
    picked: list[AttemptKey] = []
    for _, key in waiting:
        free = transaction.is_free(own.top_ups, key[0]) and transaction.is_free(own.attempts, key)
        if free and len(picked) < limit and transaction.get(own.top_ups, key[0]) is not None:
            transaction.take(own.top_ups, key[0])
            transaction.take(own.attempts, key)
            transaction.about.add(key[0])
            picked.append(key)
    return picked


def _read_picked(transaction: Open, keys: Sequence[AttemptKey]) -> list[DueAttempt]:
    own = tables(transaction)
    found: list[DueAttempt] = []
    for key in keys:
        decision, line = transaction.get(own.top_ups, key[0]), transaction.get(own.attempts, key)
        if decision is not None and line is not None:
            found.append(DueAttempt(decision.top_up, line.attempt, decision.order, transaction.clock))
    return found


@statement
async def count_queued(transaction: Open) -> dict[str, int]:
    waiting = [line for _, line in transaction.scan(tables(transaction).attempts) if line.is_queued]
    return dict(Counter(line.lane or "" for line in waiting))


@statement
async def take(
    transaction: Open,
    taken: Sequence[tuple[UUID, Operation, int, bool]],
    *,
    send_window: float,
    lease: float,
) -> None:
    own = tables(transaction)
    for *names, effectful in taken:
        key: AttemptKey = (names[0], names[1], names[2])  # type: ignore[assignment] # what is left of the four
        decision = await transaction.lock(own.top_ups, key[0])
        line = await transaction.lock(own.attempts, key)
        if decision is not None and key[1] == "apply" and decision.top_up.state == "pending":
            begun = decision.top_up._replace(state="sending")
            transaction.put(own.top_ups, key[0], decision._replace(top_up=begun))
        if line is None:
            continue
        attempt = line.attempt
        claimed = attempt._replace(
            status="sending" if attempt.status == "waiting" else attempt.status,
            claim=attempt.claim + 1,
            asked=attempt.asked + 1,
            send_before=_after(transaction, send_window) if effectful else attempt.send_before,
            first_sent_at=attempt.first_sent_at or transaction.clock,
        )
        transaction.put(own.attempts, key, line._replace(attempt=claimed, due_at=_after(transaction, lease)))


@statement
async def write_applied(transaction: Open, decisions: Sequence[DecisionRow]) -> dict[UUID, int]:
    own = tables(transaction)
    cycles: dict[UUID, int] = {}
    for row in sorted(decisions, key=lambda one: one.order.subscription_id):
        order, after = row.order, row.top_up
        cycle = await _count(transaction, order.subscription_id, 1)
        if cycle is None:
            continue
        key: AttemptKey = (order.renewal_id, "apply", after.ordinal)
        line = await transaction.lock(own.attempts, key)
        if line is not None:
            settled = line.attempt._replace(
                status="applied", provider_reference=after.provider_reference, ended=True
            )
            ended = line._replace(attempt=settled, ended_at=transaction.clock)
            transaction.put(own.attempts, key, ended)
        decision = await transaction.lock(own.top_ups, order.renewal_id)
        if decision is not None:
            cycles[order.renewal_id] = cycle + 1
            applied = decision.top_up._replace(
                state="applied",
                version=after.version,
                reason=None,
                provider_reference=after.provider_reference,
                applied_at=after.applied_at,
                expires_at=after.expires_at,
                cycle=cycle + 1,
            )
            transaction.put(own.top_ups, order.renewal_id, decision._replace(top_up=applied))
    return cycles


async def _count(transaction: Open, subscription_id: str, applied: int) -> int | None:
    """The subscription's number of top-ups before these; None where it is not known."""
    table = tables(transaction).subscriptions
    subscription = await transaction.lock(table, subscription_id)
    if subscription is None:
        return None
    counted = subscription._replace(top_ups=subscription.top_ups + applied)
    transaction.put(table, subscription_id, counted)
    return subscription.top_ups


@statement
async def write(
    transaction: Open, decisions: Sequence[DecisionRow], attempts: Sequence[AttemptRow]
) -> dict[UUID, int]:
    own = tables(transaction)
    applied: dict[str, int] = {}
    for row in decisions:
        if row.place > 0:
            applied[row.order.subscription_id] = applied.get(row.order.subscription_id, 0) + 1
    before = {name: await _count(transaction, name, number) for name, number in sorted(applied.items())}
    cycles: dict[UUID, int] = {}
    for row in decisions:
        line = await transaction.lock(own.top_ups, row.order.renewal_id)
        if line is None:
            continue
        written = row.top_up._replace(cycle=line.top_up.cycle)
        if row.place > 0:
            counted = before[row.order.subscription_id]
            written = written._replace(cycle=None if counted is None else counted + row.place)
        order = line.order
        if row.readdressed:
            order = order._replace(
                iccid=row.order.iccid or order.iccid, carrier=row.order.carrier or order.carrier
            )
        transaction.put(own.top_ups, row.order.renewal_id, TopUpLine(written, order))
        if written.cycle is not None:
            cycles[row.order.renewal_id] = written.cycle
    for one in attempts:
        await _settle(transaction, one)
    return cycles


async def _settle(transaction: Open, row: AttemptRow) -> None:
    table = tables(transaction).attempts
    line = await transaction.lock(table, row.key)
    if line is None or (row.asked is None and line.ended_at is not None):
        return
    attempt = line.attempt
    settled = attempt._replace(
        status=row.status,
        asked=attempt.asked if row.asked is None else row.asked,
        provider_reference=row.provider_reference or attempt.provider_reference,
        reason=row.reason or attempt.reason,
        ended=row.ended,
    )
    ended_at = (line.ended_at or transaction.clock) if row.ended else None
    until = None if row.lane is None else transaction.now + _QUEUED_FOR
    due_at = until or _after(transaction, row.wait_seconds)
    transaction.put(table, row.key, AttemptLine(settled, due_at, ended_at, row.lane, row.is_bulk, until))


@statement
async def open_attempts(
    transaction: Open,
    opened: Sequence[tuple[UUID, Operation, int, UUID, bool]],
    *,
    send_window: float,
    lease: float,
) -> dict[AttemptKey, int]:
    table = tables(transaction).attempts
    claims: dict[AttemptKey, int] = {}
    for renewal_id, operation, ordinal, _, claimed in opened:
        key: AttemptKey = (renewal_id, operation, ordinal)
        await transaction.hold(table, key)
        known = transaction.get(table, key)
        begun = _begun(transaction, claimed, send_window, lease)
        if known is None:
            attempt = Attempt(
                operation, ordinal, begun.status, 1, begun.asked, begun.first_sent_at, begun.send_before
            )
        else:
            attempt = known.attempt._replace(
                status=begun.status,
                claim=known.attempt.claim + 1,
                asked=begun.asked,
                send_before=begun.send_before,
                first_sent_at=known.attempt.first_sent_at or begun.first_sent_at,
                reason=None,
                ended=False,
            )
        waiting = AttemptLine(attempt, begun.due_at)
        if known is not None:
            waiting = known._replace(attempt=attempt, due_at=begun.due_at, ended_at=None)
        transaction.put(table, key, waiting)
        claims[key] = attempt.claim
    return claims


FUNCTIONS: Final = {
    store: {
        "insert": insert,
        "lock": lock,
        "lock_attempts": lock_attempts,
        "lock_due": lock_due,
        "lock_queued": lock_queued,
        "count_queued": count_queued,
        "take": take,
        "write_applied": write_applied,
        "write": write,
        "open_attempts": open_attempts,
    }
}
NOT_ASKED: Final = {store: {"get", "of_subscription", "_read_picked"}}
"""Functions that only HTTP needs, or that are made of others."""
