"""services/renewal/burst_store.py on tables in memory: what began lately, and what the breaker stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Final

from services.renewal import burst_store
from services.renewal.burst_store import Windows
from services.renewal.domain.burst import BREAKER, Seen
from services.renewal.domain.charge_stop import EVERYWHERE, ChargeStop, scope_of
from tests.simulation.database import Open, statement
from tests.simulation.stores.renewal import tables


@statement
async def read(transaction: Open, subscription_ids: Collection[str], windows: Windows) -> dict[str, Seen]:
    own = tables(transaction)
    counted: Counter[str] = Counter()
    for (scope, began_at), renewals in transaction.scan(own.burst_counts):
        if began_at >= (windows.everywhere if scope == EVERYWHERE else windows.brand):
            counted[scope] += renewals
    lines = [line for _, line in transaction.scan(own.renewals)]
    for name in set(subscription_ids):
        scope = scope_of("subscription", name)
        closed = transaction.get(own.burst_resets, scope)
        since = windows.subscription if closed is None else max(windows.subscription, closed)
        began = sum(
            line.renewal.subscription_id == name
            and line.dunning_try is not None
            and line.renewal.requested_at > since
            for line in lines
        )
        counted[scope] = min(began, windows.most)
    own_scopes = {scope_of("subscription", name) for name in subscription_ids}
    stopped = {
        scope: by
        for scope, by in transaction.scan(own.stops)
        if not scope.startswith("subscription ") or scope in own_scopes
    }
    return {
        scope: Seen(counted.get(scope, 0), stopped.get(scope)) for scope in counted.keys() | stopped.keys()
    }


@statement
async def add(transaction: Open, rows: Collection[tuple[str, datetime, int, datetime]]) -> dict[str, int]:
    table = tables(transaction).burst_counts
    totals = {}
    for scope, began_at, renewals, since in rows:
        before = sum(
            counted
            for (other, began), counted in transaction.scan(table)
            if other == scope and since <= began < began_at
        )
        known = await transaction.upsert(table, (scope, began_at), renewals)
        if known is not None:
            transaction.put(table, (scope, began_at), known + renewals)
        totals[scope] = before + renewals + (known or 0)
    return totals


@statement
async def trip(transaction: Open, stops: Collection[ChargeStop]) -> list[str]:
    table = tables(transaction).stops
    return [stop.scope for stop in stops if await transaction.insert(table, stop.scope, stop.stopped_by)]


@statement
async def forget(transaction: Open, before: datetime) -> None:
    own = tables(transaction)
    for place, _ in transaction.scan(own.burst_counts):
        if place[1] < before and await transaction.lock(own.burst_counts, place) is not None:
            transaction.remove(own.burst_counts, place)
    for scope, reset_at in transaction.scan(own.burst_resets):
        if reset_at < before and await transaction.lock(own.burst_resets, scope) is not None:
            transaction.remove(own.burst_resets, scope)


@statement
async def count_tripped(transaction: Open) -> dict[str, int]:
    tripped = [scope for scope, by in transaction.scan(tables(transaction).stops) if by == BREAKER]
    return dict(Counter(scope.split()[0] for scope in tripped))


FUNCTIONS: Final = {
    burst_store: {
        "read": read,
        "add": add,
        "trip": trip,
        "forget": forget,
        "count_tripped": count_tripped,
    },
}
NOT_ASKED: Final = {burst_store: {"reset"}}
"""Functions that only HTTP needs."""
