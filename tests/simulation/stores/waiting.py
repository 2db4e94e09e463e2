"""services/renewal/waiting_store.py on tables in memory: same names, same arguments, same answers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from services.renewal import waiting_store
from services.renewal.domain.asking import Trigger
from services.renewal.domain.waiting import Waiting
from services.renewal.waiting_store import Taken
from tests.simulation.database import Open, statement
from tests.simulation.stores.renewal import tables


@statement
async def keep(transaction: Open, waiting: Collection[Waiting]) -> set[UUID]:
    own = tables(transaction)
    kept = set()
    for one in waiting:
        transaction.about.add(one.renewal_id)
        if await transaction.is_taken(own.waiting, one.renewal_id):
            continue
        if one.ended_at is None:
            if await transaction.is_taken(own.waiting_places, one.subscription_id):
                continue
            await transaction.insert(own.waiting_places, one.subscription_id, one.renewal_id)
        await transaction.insert(own.waiting, one.renewal_id, one)
        kept.add(one.renewal_id)
    return kept


@statement
async def take_freed(transaction: Open, subscription_ids: Collection[str]) -> Taken:
    own = tables(transaction)
    names = sorted(set(subscription_ids))
    waiting = {one.renewal_id: one for _, one in transaction.scan(own.waiting)}
    wanted = [key for key, one in waiting.items() if one.subscription_id in names and one.ended_at is None]
    kept: list[Trigger] = []
    for name, (trigger, _) in await transaction.lock_each(own.kept, names):
        transaction.remove(own.kept, name)
        kept.append(trigger)
    taken = await transaction.lock_where(own.waiting, dict.fromkeys(wanted, _waits))
    return Taken(kept, [await _removed(transaction, one) for _, one in taken])


def _waits(one: Waiting) -> bool:
    return one.ended_at is None


async def _removed(transaction: Open, one: Waiting) -> Waiting:
    own = tables(transaction)
    transaction.remove(own.waiting, one.renewal_id)
    await transaction.hold(own.waiting_places, one.subscription_id)
    transaction.remove(own.waiting_places, one.subscription_id)
    return one


@statement
async def take_overdue(transaction: Open, now: datetime, asked_before: datetime, limit: int) -> list[Waiting]:
    own = tables(transaction)
    overdue = [
        (one.deadline_at, key)
        for key, one in transaction.scan(own.waiting)
        if one.ended_at is None
        and (
            one.deadline_at <= now
            or (one.asked_at < asked_before and transaction.get(own.slots, one.subscription_id) is None)
        )
    ]
    taken: list[Waiting] = []
    for _, key in sorted(overdue):
        if len(taken) < limit and transaction.is_free(own.waiting, key):
            transaction.take(own.waiting, key)
            one = transaction.get(own.waiting, key)
            assert one is not None
            taken.append(await _removed(transaction, one))
    return taken


@statement
async def forget(transaction: Open, before: datetime, limit: int) -> None:
    table = tables(transaction).waiting
    old = [key for key, one in transaction.scan(table) if one.ended_at is not None and one.ended_at < before]
    for key in sorted(old)[:limit]:
        if await transaction.lock(table, key) is not None:
            transaction.remove(table, key)


FUNCTIONS: Final = {
    waiting_store: {
        "keep": keep,
        "take_freed": take_freed,
        "take_overdue": take_overdue,
        "forget": forget,
    }
}
NOT_ASKED: Final = {waiting_store: {"read", "withdraw"}}
"""Functions that only HTTP needs."""
