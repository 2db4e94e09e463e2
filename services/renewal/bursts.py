"""The burst breaker at work: read what began lately, count what begins, stop what is beyond, tell people."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Final

from services.renewal import burst_store, metrics
from services.renewal.domain.admission import Admitted, Answer, Kept
from services.renewal.domain.asking import Trigger
from services.renewal.domain.burst import BREAKER, BurstLimits, Place, Tally, Trip
from services.renewal.operators.store import Deed, write_audit
from shared.contracts.renewals import AutomaticChargesStopped
from shared.messaging.transaction import Transaction
from shared.observability.logging import get_logger

_log: Final = get_logger(__name__)
REMEMBERED: Final = timedelta(days=2)
"""Longer than any window."""


async def read(transaction: Transaction, triggers: Iterable[Trigger], limits: BurstLimits) -> Tally:
    """What was counted before these triggers, and who stopped what; nothing is read where there is none.

    From here to the end of the transaction whoever stops charges waits for it: what decides whether a trigger
    may begin has to be read after this.
    """
    names = [trigger.subscription_id for trigger in triggers]
    if not names:
        return Tally(limits, {})
    now = transaction.now
    windows = burst_store.Windows(
        limits.everywhere.since(now),
        limits.brand.since(now),
        now - timedelta(seconds=limits.subscription.window_seconds),
        limits.subscription.renewals,
    )
    return Tally(limits, await burst_store.read(transaction.connection, names, windows))


def judged(tally: Tally, trigger: Trigger, place: Place, answer: Answer) -> Answer:
    """The answer to a trigger, once the breaker has seen it: what is beyond a limit waits."""
    if isinstance(answer, Kept) and answer.reason == "charges_stopped":
        return answer._replace(reason=BREAKER) if tally.is_tripped(answer.trigger.held_by) else answer
    if not isinstance(answer, Admitted):
        return answer
    trip = tally.full(place)
    if trip is None:
        tally.take(place)
        return answer
    kept = trigger._replace(held_by=_scope(trip), not_before=None)
    return Kept(kept, BREAKER, f"Stopped: {_scope(trip)}.")


def _scope(trip: Trip) -> str:
    return trip.kind if trip.name is None else f"{trip.kind} {trip.name}"


async def settle(transaction: Transaction, tally: Tally) -> None:
    """Count what began, as the last thing of its transaction; stop what is beyond its limit."""
    connection, now = transaction.connection, transaction.now
    rows = tally.rows(now)
    totals = await burst_store.add(connection, rows) if rows else {}
    trips = tally.trips(totals)
    if not trips:
        return
    new = await burst_store.trip(connection, [trip.stop(now) for trip in trips])
    tripped = [trip for trip in trips if _scope(trip) in new]
    if tripped:
        await _tell(transaction, tripped)


async def _tell(transaction: Transaction, tripped: Collection[Trip]) -> None:
    deeds = [Deed(BREAKER, "done", "stop charges", _scope(trip), trip.why) for trip in tripped]
    await write_audit(transaction.connection, transaction.now, deeds)
    for trip in tripped:
        said = AutomaticChargesStopped(
            kind=trip.kind,
            name=trip.name,
            counted=trip.counted,
            limit=trip.limit.renewals,
            window_seconds=trip.limit.window_seconds,
            stopped_at=transaction.now,
        )
        transaction.send(said)
    transaction.after_commit(lambda: _report(tripped))


def _report(tripped: Collection[Trip]) -> None:
    for trip in tripped:
        metrics.breaker_tripped(trip.kind).inc()
        named = trip.name if trip.kind == "brand" else None
        _log.error("burst_breaker_tripped", kind=trip.kind, brand=named, counted=trip.counted, why=trip.why)
