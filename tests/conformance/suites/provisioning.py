"""Top-ups: decisions with their attempts, cycles, claims and queues; the archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, cast, get_args
from uuid import UUID

from services.provisioning.topups import archive, store
from services.provisioning.topups.domain.attempt import Attempt, Operation, Status
from services.provisioning.topups.domain.top_up import Order, State, TopUp
from services.provisioning.topups.store import AttemptKey, AttemptRow, DecisionRow, NewTopUp
from shared.contracts.message import Grant, Terms
from tests.conformance.actors import Actor
from tests.conformance.lots import RENEWALS, SUBSCRIPTIONS, TRACES, Lot
from tests.conformance.stage import Mirror, Stage
from tests.conformance.suites.ground import archived_by, functions_of, untied
from tests.simulation.stores import archive as archives
from tests.simulation.stores import provisioning as memory
from tests.simulation.stores.provisioning import ArchivedLine, AttemptLine, SubscriptionLine, TopUpLine

STATES: Final[tuple[State, ...]] = get_args(State)
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)
CARRIERS: Final = ("cubacel", "digicel")
UNKNOWN: Final = "s-unheard-of"
GRANT: Final = Grant(data_bytes=2**30, validity_seconds=86_400, product_code="cu1")
WINDOW: Final[dict[str, Any]] = {"send_window": 3.0, "lease": 15.0}


class ProvisioningSuite:
    functions = functions_of(memory, archives, store, archive)
    not_kept: Mapping[str, frozenset[str]] = {
        "top_ups": frozenset({"accepted_at"}),
        # Of a subscription no more is kept than top-ups ask for.
        "subscriptions": frozenset("*"),
        "archived_top_ups": frozenset({"closed_at", "subscription_id"}),
        "archive_register": frozenset({"closed_at"}),
        "call_permits": frozenset("*"),
    }

    def __init__(self) -> None:
        self.removal = archive.removal(cast(Any, None), timedelta(), timedelta())
        self.steps = {
            "begin": _begin,
            "begin again": _begin,
            "apply": _apply,
            "decide": _decide,
            "decide again": _decide,
            "try": _try,
            "take due": _take_due,
            "take queued": _take_queued,
            "lock": _lock,
            "hear": _hear,
            "bring back": _bring_back,
            "bring back again": _bring_back,
        }
        self.between = {"archive": self._archive, "archive again": self._archive, "move": _move}
        self.mirrors = (
            Mirror("top_ups", "top_ups", "select * from top_ups", _top_up_of),
            Mirror("attempts", "top_up_attempts", "select * from top_up_attempts", _attempt_of),
            Mirror("subscriptions", "subscriptions", "select * from subscriptions", _subscription_of),
            Mirror("archive", "archived_top_ups", _ARCHIVED, _archived_of),
        )

    def memory(self, clock: Callable[[], datetime]) -> memory.ProvisioningDatabase:
        return memory.ProvisioningDatabase(clock)

    async def settle_in(self, stage: Stage) -> None:
        for name in SUBSCRIPTIONS:
            await _put(stage, name, SubscriptionLine(f"iccid-{name}", CARRIERS[0], 2))

    async def _archive(self, stage: Stage, lot: Lot) -> None:
        await stage.alone(_close, lot)
        await archived_by(self.removal, stage)
        archives.archive_top_ups(stage.memory)


async def _move(stage: Stage, lot: Lot) -> None:
    """A subscription gets another profile, or another carrier."""
    name = lot.one(SUBSCRIPTIONS)
    known = stage.memory.subscriptions.rows[name]
    line = known._replace(iccid=f"iccid-{name}-{lot.number(1, 3)}", carrier=lot.one(CARRIERS))
    await _put(stage, name, line)


async def _put(stage: Stage, name: str, line: SubscriptionLine) -> None:
    await stage.put(
        "subscriptions",
        name,
        line,
        "subscriptions",
        subscription_id=name,
        **line._asdict(),
        brand="nauta",
        eid="89",
        owner_id="payer-1",
        status="active",
        changed_at=stage.now,
    )


# -- steps ------------------------------------------------------------------------------------------


async def _begin(actor: Actor, lot: Lot) -> None:
    archived = actor.stage.memory.archive.rows
    rows = []
    for renewal_id in lot.some([each for each in RENEWALS if each not in archived], at_least=0):
        terms = Terms(
            offering_id="cuba-1gb",
            max_amount_minor=1500,
            currency="USD",
            payment_method_ids=("card-1",),
            payer_id="payer-1",
            origin=lot.one(("customer", "rule")),
            is_bulk=lot.one((False, True)),
        )
        is_called_off = lot.chance(0.2)
        order = Order(
            renewal_id,
            lot.one((*SUBSCRIPTIONS, UNKNOWN)),
            terms,
            None if is_called_off else GRANT,
            None if is_called_off else 700,
            None if is_called_off else "USD",
            None,
            None,
            lot.one(TRACES),
        )
        state = lot.one(("held", "pending", "pending", "sending", "sending", "rejected", "cancelled"))
        top_up = TopUp(
            cast(State, state),
            lot.number(1, 2),
            lot.number(1, 2),
            lot.near(actor.stage.now),
            lot.number(0, 1),
            cancel_wanted=is_called_off,
            reason=lot.perhaps("too_late"),
        )
        rows.append(NewTopUp(order, top_up, None))
    if rows:
        await actor.call(store.insert, rows, **WINDOW, lanes=lot.some((*CARRIERS, "*"), at_least=0))


async def _apply(actor: Actor, lot: Lot) -> None:
    """What was being sent is applied: one of each subscription at most."""
    held = await actor.call(store.lock, lot.some(RENEWALS))
    decisions = {
        each.order.subscription_id: DecisionRow(each.order, _applied(actor, lot, each.top_up))
        for each in held.values()
        if each.top_up.state not in ("applied", "rejected", "cancelled")
    }
    if decisions:
        await actor.call(store.write_applied, list(decisions.values()))


async def _decide(actor: Actor, lot: Lot) -> None:
    held = await actor.call(store.lock, lot.some(RENEWALS, at_most=6, at_least=3))
    places: dict[str, int] = {}
    decisions = []
    for each in held.values():
        top_up = each.top_up
        is_applied = top_up.state != "applied" and lot.chance(0.35)
        if is_applied:
            places[each.order.subscription_id] = places.get(each.order.subscription_id, 0) + 1
            after = _applied(actor, lot, top_up)
        else:
            after = _drawn(actor, lot, top_up)
        order = each.order._replace(iccid=lot.perhaps(each.iccid), carrier=lot.perhaps(each.carrier))
        place = places[order.subscription_id] if is_applied else 0
        decisions.append(DecisionRow(order, after, place, readdressed=lot.chance(0.3)))
    attempts = [_settled(actor, lot, key) for renewal_id in held for key in _keys(actor, lot, renewal_id)]
    if decisions:
        await actor.call(store.write, decisions, attempts)


async def _close(actor: Actor, lot: Lot) -> None:
    """What may be archived soon."""
    held = await actor.call(store.lock, lot.some(RENEWALS, at_most=6, at_least=3))
    decisions = [
        DecisionRow(each.order, each.top_up._replace(state=lot.one(("rejected", "cancelled"))))
        for each in held.values()
    ]
    attempts = [
        AttemptRow(key, "failed", None, None, None, 0.0, ended=True)
        for key, _ in actor.sees().scan(actor.stage.memory.attempts)
        if key[0] in held
    ]
    if decisions:
        await actor.call(store.write, decisions, attempts)


async def _try(actor: Actor, lot: Lot) -> None:
    """Further attempts of what is locked, the same ordinal again among them."""
    held = await actor.call(store.lock, lot.some(RENEWALS))
    opened = [
        (renewal_id, lot.one(OPERATIONS), lot.number(1, 3), renewal_id, lot.chance(0.5))
        for renewal_id in held
    ]
    if opened:
        await actor.call(store.open_attempts, opened, **WINDOW)


async def _take_due(actor: Actor, lot: Lot) -> None:
    dues = {
        key: line.due_at
        for key, line in actor.sees().scan(actor.stage.memory.attempts)
        if line.ended_at is None
    }
    limit = untied(lot.one((1, 2, 9)), list(dues.values()))
    due = await actor.call(store.lock_due, limit, order=lambda one: dues[_key_of(one.order, one.attempt)])
    await _take(actor, lot, due)


async def _take_queued(actor: Actor, lot: Lot) -> None:
    queued = {key: line for key, line in actor.sees().scan(actor.stage.memory.attempts) if line.is_queued}
    dues = [line.due_at for line in queued.values()]
    wanted = {lane: untied(lot.number(1, 6), dues) for lane in lot.some((*CARRIERS, "*"))}

    def place(one: Any) -> Any:
        line = queued[_key_of(one.order, one.attempt)]
        return line.is_bulk, line.lane, line.due_at

    due = await actor.call(store.lock_queued, wanted, order=place)
    await actor.call(store.count_queued)
    await _take(actor, lot, due)


async def _take(actor: Actor, lot: Lot, due: Any) -> None:
    taken = [(*_key_of(one.order, one.attempt), lot.chance(0.6)) for one in due]
    if taken and lot.chance(0.8):
        await actor.call(store.take, taken, **WINDOW)


async def _lock(actor: Actor, lot: Lot) -> None:
    await actor.call(store.lock, lot.some(RENEWALS, at_most=1))


async def _hear(actor: Actor, lot: Lot) -> None:
    """A carrier tells of attempts: one of each renewal, for a renewal's attempts are locked together."""
    keys: list[AttemptKey] = [
        (renewal_id, lot.one(OPERATIONS), lot.number(0, 2)) for renewal_id in lot.some(RENEWALS)
    ]
    await actor.call(store.lock_attempts, keys)


async def _bring_back(actor: Actor, lot: Lot) -> None:
    found = await actor.call(archive._lock, lot.some(RENEWALS, at_most=6, at_least=3))
    if found and lot.chance(0.6):
        await actor.call(archive._bring_back, list(found))


# -- values -----------------------------------------------------------------------------------------


def _applied(actor: Actor, lot: Lot, top_up: TopUp) -> TopUp:
    now = actor.stage.now
    return top_up._replace(
        state="applied",
        version=top_up.version + 1,
        provider_reference=lot.perhaps("tu-1"),
        applied_at=lot.near(now),
        expires_at=now + timedelta(days=1),
        reason=None,
    )


def _drawn(actor: Actor, lot: Lot, top_up: TopUp) -> TopUp:
    return top_up._replace(
        state=lot.one(STATES),
        attempt=lot.number(1, 3),
        version=top_up.version + 1,
        act_before=lot.near(actor.stage.now),
        ordinal=lot.number(0, 2),
        same_ordinal=lot.chance(0.3),
        cancel_wanted=lot.chance(0.3),
        unsure=lot.chance(0.3),
        cancel_ordinal=lot.number(0, 2),
        reason=lot.perhaps("carrier_refused"),
        reached_provider=lot.one((None, True, False)),
        retry_after_seconds=lot.perhaps(7),
    )


def _keys(actor: Actor, lot: Lot, renewal_id: UUID) -> list[AttemptKey]:
    """Some of the attempts of a renewal, and one that there may not be."""
    known = [key for key, _ in actor.sees().scan(actor.stage.memory.attempts) if key[0] == renewal_id]
    return lot.some(sorted({*known, (renewal_id, "apply", 9)}), at_least=0)


def _settled(actor: Actor, lot: Lot, key: AttemptKey) -> AttemptRow:
    return AttemptRow(
        key,
        lot.one(STATUSES),
        lot.perhaps(lot.number(1, 3)),
        lot.perhaps("tu-1"),
        lot.perhaps("carrier_refused"),
        lot.one((0.5, 15.0, 60.0)),
        ended=lot.chance(0.5),
        lane=lot.perhaps(lot.one((*CARRIERS, "*")), 0.4),
        is_bulk=lot.chance(0.4),
    )


def _key_of(order: Order, attempt: Attempt) -> AttemptKey:
    return order.renewal_id, attempt.operation, attempt.ordinal


# -- rows -------------------------------------------------------------------------------------------

_ARCHIVED: Final = """
select t.*, r.renewal_id as registered, (
    select array_agg(c) from json_populate_recordset(null::top_up_attempts, a.attempts) as c
) as attempts
from archive_register as r
left join archived_top_ups as a on r.renewal_id = a.renewal_id and r.closed_at = a.closed_at
left join lateral json_populate_record(null::top_ups, a.top_up) as t on true
"""


def _top_up_of(row: Mapping[str, Any]) -> tuple[Any, TopUpLine]:
    top_up = TopUp._make(row[name] for name in TopUp._fields)
    return row["renewal_id"], TopUpLine(top_up, store.order_of(cast(Any, row)))


def _attempt_of(row: Mapping[str, Any]) -> tuple[Any, AttemptLine]:
    known = [row[name] for name in Attempt._fields[:-1]]
    attempt = Attempt._make((*known, row["ended_at"] is not None))
    line = AttemptLine(
        attempt, row["due_at"], row["ended_at"], row["lane"], row["is_bulk"], row["queued_until"]
    )
    return (row["renewal_id"], row["operation"], row["ordinal"]), line


def _subscription_of(row: Mapping[str, Any]) -> tuple[Any, SubscriptionLine]:
    return row["subscription_id"], SubscriptionLine(row["iccid"], row["carrier"], row["top_ups"])


def _archived_of(row: Mapping[str, Any]) -> tuple[Any, ArchivedLine]:
    tries = sorted(_attempt_of(each) for each in row["attempts"] or ())
    return row["registered"], ArchivedLine(_top_up_of(row)[1], tuple(tries))
