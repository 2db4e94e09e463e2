"""Writes decisions down, numbers the applied ones, begins the attempts they ask for, and says them.

At most three statements whatever the number of decisions, usually one; the outbox is another.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.provisioning import metrics
from services.provisioning.topups import store
from services.provisioning.topups.domain.answers import answer
from services.provisioning.topups.domain.attempt import (
    Call,
    Operation,
    Patience,
    closed,
    idempotency_key,
    opened,
)
from services.provisioning.topups.domain.top_up import Order, TopUp
from services.provisioning.topups.store import AttemptKey, AttemptRow, DecisionRow
from shared.messaging.transaction import Transaction


@dataclass(slots=True)
class Job:
    """One call to make under a lease. `send_by` is the event loop's time, not later than `send_before`."""

    order: Order
    operation: Operation
    ordinal: int
    claim: int
    call: Call
    key: UUID
    send_by: float
    provider_reference: str | None = None
    claimed_at: datetime | None = None
    """Database time of the claim, not after the question."""

    @property
    def attempt_key(self) -> AttemptKey:
        return self.order.renewal_id, self.operation, self.ordinal


@dataclass(slots=True)
class Decided:
    """One top-up before and after what was folded into it."""

    order: Order
    before: TopUp
    after: TopUp
    says: bool = False
    attempts: dict[AttemptKey, AttemptRow] = field(default_factory=dict)


async def write(
    transaction: Transaction,
    decided: Sequence[Decided],
    patience: Patience,
    *,
    room: int,
    sent_at: float,
) -> list[Job]:
    """Write the locked decisions and send their answers.

    The jobs of up to `room` attempts that begin with them come back: to be submitted after the commit.
    `sent_at` is the event loop's time before the transaction's first statement.
    """
    begun = [
        (one, operation, ordinal) for one in decided for operation, ordinal in opened(one.before, one.after)
    ]
    for one, operation, _ in begun[:room]:
        if operation == "apply":
            # From its claim on the carrier may be asked at any moment: a cancellation has to call it off.
            one.after = one.after._replace(state="sending")
    numbered = await _write_rows(transaction, decided)
    for one in decided:
        if one.says:
            _say(transaction, one, numbered.get(one.order.renewal_id))
    return await _open(transaction, begun, patience, room, sent_at)


async def _write_rows(transaction: Transaction, decided: Sequence[Decided]) -> dict[UUID, int]:
    usual: list[DecisionRow] = []
    rows: list[DecisionRow] = []
    attempts: dict[AttemptKey, AttemptRow] = {}
    ended = Counter(one.order.subscription_id for one in decided if one.after.state == "applied")
    places: Counter[str] = Counter()
    for one in decided:
        order, before, after = one.order, one.before, one.after
        # Two of one subscription are numbered among themselves: that is not the usual way.
        if ended[order.subscription_id] == 1 and _is_usual(one):
            usual.append(DecisionRow(order, after))
            continue
        for operation, ordinal, status in closed(before, after):
            key: AttemptKey = (order.renewal_id, operation, ordinal)
            attempts[key] = AttemptRow(key, status, None, None, None, 0.0, ended=True)
        attempts.update(one.attempts)
        if after is before:
            continue
        place = 0
        if after.state == "applied":
            places[order.subscription_id] += 1
            place = places[order.subscription_id]
        rows.append(DecisionRow(order, after, place, readdressed=after.ordinal != before.ordinal))
    cycles: dict[UUID, int] = {}
    if usual:
        cycles |= await store.write_applied(transaction.connection, usual)
    if rows or attempts:
        cycles |= await store.write(transaction.connection, rows, list(attempts.values()))
    return cycles


def _is_usual(one: Decided) -> bool:
    """Whether all that happened is that the current attempt was applied."""
    if one.before.state != "sending" or one.after.state != "applied" or len(one.attempts) != 1:
        return False
    return (one.order.renewal_id, "apply", one.after.ordinal) in one.attempts


def _say(transaction: Transaction, one: Decided, cycle: int | None) -> None:
    spoken = one.after if cycle is None else one.after._replace(cycle=cycle)
    transaction.send(answer(one.order, spoken), one.order.traceparent)
    transaction.after_commit(metrics.top_ups(spoken.state).inc)


async def _open(
    transaction: Transaction,
    begun: Sequence[tuple[Decided, Operation, int]],
    patience: Patience,
    room: int,
    sent_at: float,
) -> list[Job]:
    if not begun:
        return []
    orders = [
        (one.order, operation, ordinal, idempotency_key(one.order.renewal_id, operation, ordinal))
        for one, operation, ordinal in begun
    ]
    rows = [
        (order.renewal_id, operation, ordinal, key, place < room)
        for place, (order, operation, ordinal, key) in enumerate(orders)
    ]
    claims = await store.open_attempts(
        transaction.connection, rows, send_window=patience.send_window, lease=patience.lease
    )
    send_by = sent_at + patience.send_window
    return [
        Job(order, operation, ordinal, claims[order.renewal_id, operation, ordinal], operation, key, send_by)
        for order, operation, ordinal, key in orders[:room]
    ]
