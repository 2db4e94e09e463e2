"""Who asks in person comes before a rule: its renewal is called off where it may be; the request waits."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.renewal import admissions, freed_slots, store, waiting_store
from services.renewal.admissions import Asking
from services.renewal.domain.actions import CustomerCancels
from services.renewal.domain.admission import GIVES_WAY, SLOT_TAKEN, Answer, Joined, Waits
from services.renewal.domain.asking import Request
from services.renewal.domain.policy import Policy
from services.renewal.domain.waiting import WAITED_TOO_LONG, Waiting, waits
from services.renewal.moves import Moves
from shared.messaging.transaction import Transaction, Transactions
from shared.pause import pause

AT_ONCE: Final = 50
LOOK_SECONDS: Final = 1.0
FORGET_SECONDS: Final = 60.0
REMEMBERED: Final = timedelta(days=35)
"""How long the same Idempotency-Key is told again what became of a request that waited."""
_FORGOTTEN_AT_ONCE: Final = 2_000
_SETTLED: Final = timedelta(seconds=10)


async def ask(transaction: Transaction, asking: Sequence[Asking], policy: Policy) -> list[Answer]:
    """One answer per request or trigger, as admissions.admit has them.

    Nothing more is asked of the database where no slot is held by a rule's renewal that may give way.
    """
    answers = await admissions.admit(transaction, asking, policy)
    wanted = {
        place: waits(asked, answer, transaction.now, policy)
        for place, (asked, answer) in enumerate(zip(asking, answers, strict=True))
        if isinstance(answer, Waits) and isinstance(asked, Request)
    }
    if not wanted:
        return answers
    kept = await _wait(transaction, wanted, policy)
    begun: set[UUID] = set()
    lost = []
    for place, one in wanted.items():
        if one.renewal_id in begun:
            # The same request twice in a batch waits once.
            answers[place] = Joined(one.renewal_id)
        elif one.renewal_id in kept:
            begun.add(one.renewal_id)
        else:
            lost.append(place)
    if lost:
        # Closed, captured, or another request waits for it already: as things stand by now.
        again = await admissions.admit(transaction, [asking[place] for place in lost], policy)
        for place, answer in zip(lost, again, strict=True):
            answers[place] = SLOT_TAKEN if isinstance(answer, Waits) else answer
        still = [place for place, answer in zip(lost, again, strict=True) if isinstance(answer, Waits)]
        await _tell_taken(transaction, [asking[place] for place in still])
    return answers


async def _wait(transaction: Transaction, wanted: Mapping[int, Waiting], policy: Policy) -> set[UUID]:
    """Keep the requests and call off what gives way to them, under its lock; the ids of those that wait."""
    locked = await store.lock(transaction.connection, [one.gives_way for one in wanted.values()])
    moves = Moves(transaction, policy, locked)
    possible: dict[UUID, Waiting] = {}
    for one in sorted(wanted.values(), key=lambda one: one.subscription_id):
        renewal = moves.find(one.gives_way)
        if renewal is not None and renewal.state in GIVES_WAY:
            possible.setdefault(one.renewal_id, one)
    if not possible:
        return set()
    kept = await waiting_store.keep(transaction.connection, list(possible.values()))
    for renewal_id in kept:
        one = possible[renewal_id]
        renewal = moves.find(one.gives_way)
        if renewal is not None:
            action = CustomerCancels(one.caller, why=f"gives way to {one.renewal_id}")
            moves.apply(renewal, action, one.traceparent)
    await moves.write()
    return kept


async def _tell_taken(transaction: Transaction, asking: Sequence[Asking]) -> None:
    told = [asked for asked in asking if isinstance(asked, Request) and asked.is_told]
    if not told:
        return
    await store.keep_refusals(
        transaction.connection, [(asked, SLOT_TAKEN) for asked in told], transaction.now
    )
    for asked in told:
        transaction.send(admissions.refusal_of(asked, SLOT_TAKEN, transaction), asked.traceparent)


class WaitingRequests:
    """The loop that ends what has waited too long; any number of processes, each takes its own."""

    def __init__(self, transactions: Transactions, policy: Policy) -> None:
        self._transactions = transactions
        self._policy = policy

    async def run(self, stopping: asyncio.Event) -> None:
        forgotten = 0.0
        while not stopping.is_set():
            await self._transactions.run(self.look)
            if time.monotonic() - forgotten >= FORGET_SECONDS:
                await self._transactions.run(self.forget)
                forgotten = time.monotonic()
            await pause(stopping, LOOK_SECONDS)

    async def look(self, transaction: Transaction) -> int:
        """Refuse whose deadline has come; admit who waits for a slot that is free; how many.

        A slot that a process of an older version has freed is found here: it knows of nobody who waits.
        """
        connection, now = transaction.connection, transaction.now
        taken = await waiting_store.take_overdue(connection, now, now - _SETTLED, AT_ONCE)
        late = [one for one in taken if one.deadline_at <= now]
        free = [one for one in taken if one.deadline_at > now]
        if late:
            await freed_slots.refuse(transaction, [(one, WAITED_TOO_LONG) for one in late])
        if free:
            await freed_slots.admit(transaction, self._policy, free, [])
        return len(taken)

    async def forget(self, transaction: Transaction) -> None:
        """What has ended so long ago that nobody asks again."""
        before = transaction.now - REMEMBERED
        await waiting_store.forget(transaction.connection, before, _FORGOTTEN_AT_ONCE)
