"""Batches of instructions in, one transaction, rows for the worker and repeated answers out.

Statements: one for a batch of new renewals, up to three more where some were known already. What may be about
an archived top-up is looked for before it is begun: commands, and captures of long ago.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from services.provisioning import metrics
from services.provisioning.topups import archive, decisions, store
from services.provisioning.topups.calls import TopUpWorker
from services.provisioning.topups.decisions import Decided, Job
from services.provisioning.topups.domain.attempt import Patience, idempotency_key
from services.provisioning.topups.domain.instructions import Ground, Instruction, fold, refuse_unknown
from services.provisioning.topups.domain.top_up import SPOKEN, Order, TopUp
from services.provisioning.topups.gateways.carrier import Carriers
from services.provisioning.topups.store import Held, NewTopUp
from shared.archive import is_young
from shared.contracts.message import StartsEffect
from shared.contracts.payments import PaymentCaptured
from shared.messaging.errors import DomainError
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction

ROOM_SECONDS = 0.5
_Told: TypeAlias = Mapping[UUID, list[Received]]


@dataclass(slots=True)
class _Begun:
    """What became of a batch: rows inserted, rows that were there (`met`), calls to make, answers to give."""

    room: int
    inserted: set[UUID] = field(default_factory=set)
    met: list[UUID] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)


class TopUpInstructions:
    """Handles PaymentCaptured, ApplyTopUp, CancelTopUp and ResolveTopUp."""

    def __init__(self, worker: TopUpWorker, carriers: Carriers, patience: Patience) -> None:
        self._worker = worker
        self._carriers = carriers
        self._patience = patience

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        told = _by_renewal(batch)
        room = await self._worker.room(len(told), ROOM_SECONDS)
        # Before the first statement, so that it lies before what the database makes of the same window.
        sent_at = asyncio.get_running_loop().time()
        new = {
            renewal_id: messages
            for renewal_id, messages in told.items()
            if _cannot_be_archived(messages, transaction.now)
        }
        begun = await self._insert(transaction, new, room, sent_at)
        known = {
            renewal_id: messages for renewal_id, messages in told.items() if renewal_id not in begun.inserted
        }
        if known:
            begun = await self._obey_known(transaction, known, begun, sent_at)
        jobs = begun.jobs
        if begun.decided:
            jobs += await decisions.write(
                transaction, begun.decided, self._patience, room=begun.room, sent_at=sent_at
            )
        if jobs:
            transaction.after_commit(lambda: self._worker.submit(jobs))

    async def _insert(self, transaction: Transaction, told: _Told, room: int, sent_at: float) -> _Begun:
        """Begin the top-ups that are missing; `room` of them are called by this process."""
        fresh = _fresh(told, transaction.now)
        if not fresh:
            return _Begun(room)
        rows = list(fresh.values())
        for row in rows:
            if room and row.top_up.state == "pending":
                room -= 1
                row.top_up = row.top_up._replace(state="sending")
        inserted = await store.insert(
            transaction.connection,
            rows,
            send_window=self._patience.send_window,
            lease=self._patience.lease,
            lanes=self._carriers.names,
        )
        jobs, decided = self._begin(transaction, fresh, inserted, sent_at)
        met = [renewal_id for renewal_id in fresh if renewal_id not in inserted]
        return _Begun(room, set(inserted), met, jobs, decided)

    async def _obey_known(
        self, transaction: Transaction, told: _Told, begun: _Begun, sent_at: float
    ) -> _Begun:
        """Fold what is told on the top-ups that are there, archived or not; begin those that are nowhere."""
        held = await archive.hold(transaction.connection, list(told))
        missing = {renewal_id: messages for renewal_id, messages in told.items() if renewal_id not in held}
        if missing:
            late = await self._insert(transaction, missing, begun.room, sent_at)
            if late.met:
                # Begun by somebody else just now.
                held |= await store.lock(transaction.connection, late.met)
            begun = _Begun(
                late.room,
                begun.inserted | late.inserted,
                [],
                begun.jobs + late.jobs,
                begun.decided + late.decided,
            )
        begun.decided += [
            self._fold(transaction, held[renewal_id], messages)
            for renewal_id, messages in told.items()
            if renewal_id in held
        ]
        return begun

    def _begin(
        self,
        transaction: Transaction,
        fresh: dict[UUID, NewTopUp],
        inserted: dict[UUID, tuple[str | None, str | None]],
        sent_at: float,
    ) -> tuple[list[Job], list[Decided]]:
        """What follows from the rows just inserted: calls to make, answers to give."""
        jobs: list[Job] = []
        decided: list[Decided] = []
        send_by = sent_at + self._patience.send_window
        for renewal_id, (iccid, carrier) in inserted.items():
            row = fresh[renewal_id]
            top_up, order = row.top_up, row.order
            if top_up.state == "held":
                transaction.after_commit(metrics.HELD.inc)
            elif top_up.state in SPOKEN:
                decided.append(Decided(order, top_up, top_up, says=True))
            elif iccid is None:
                refused, _ = refuse_unknown(top_up)
                decided.append(Decided(order, top_up, refused, says=True))
            elif top_up.state == "sending" and row.key is not None:
                addressed = order._replace(iccid=iccid, carrier=carrier)
                jobs.append(Job(addressed, "apply", top_up.ordinal, 1, "apply", row.key, send_by))
        return jobs, decided

    def _fold(self, transaction: Transaction, held: Held, told: Sequence[Received]) -> Decided:
        order = held.order
        known = held.iccid is not None
        ground = Ground(
            transaction.now, known, known and self._carriers[order.carrier or held.carrier].can.cancels
        )
        after = held.top_up
        says = False
        for received in told:
            if received.message.subscription_id != order.subscription_id:
                raise DomainError("the renewal belongs to another subscription")
            after, spoken = fold(after, received.message, ground)
            says = says or spoken
        if after.ordinal != held.top_up.ordinal:
            order = order._replace(iccid=held.iccid, carrier=held.carrier)
        if after.state == "held" and held.top_up.state != "held":
            transaction.after_commit(metrics.HELD.inc)
        return Decided(order, held.top_up, after, says=says and after.state in SPOKEN)


def _cannot_be_archived(messages: Sequence[Received], now: datetime) -> bool:
    """Whether the capture is too recent, as it always is on the happy path: then no archive is asked."""
    return any(
        isinstance(received.message, PaymentCaptured) and is_young(received.message.captured_at, now)
        for received in messages
    )


def _by_renewal(batch: Sequence[Received]) -> dict[UUID, list[Received]]:
    told: dict[UUID, list[Received]] = {}
    for received in batch:
        told.setdefault(received.message.renewal_id, []).append(received)
    return told


def _fresh(told: _Told, now: datetime) -> dict[UUID, NewTopUp]:
    """What every renewal would be if none of them had a row yet."""
    rows: dict[UUID, NewTopUp] = {}
    ground = Ground(now)
    for renewal_id, messages in told.items():
        top_up: TopUp | None = None
        began: Received | None = None
        for received in messages:
            top_up, _ = fold(top_up, received.message, ground)
            began = began or (received if top_up is not None else None)
        if top_up is None or began is None:
            continue
        order = order_of(began.message, began.traceparent)
        key = idempotency_key(renewal_id, "apply", top_up.ordinal) if top_up.state == "pending" else None
        rows[renewal_id] = NewTopUp(order, top_up, key)
    return rows


def order_of(message: Instruction, traceparent: str | None) -> Order:
    """What the first message about a renewal fixes."""
    if isinstance(message, StartsEffect):
        return Order(
            message.renewal_id,
            message.subscription_id,
            message.terms,
            message.grant,
            message.amount_minor,
            message.currency,
            None,
            None,
            traceparent,
        )
    return Order(
        message.renewal_id, message.subscription_id, message.terms, None, None, None, None, None, traceparent
    )
