"""Renewals: admission, the saga's batches and history, timers, catch-up, kept triggers; the archive.

Longer than others: one run for each statement of a store, in the store's order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from services.renewal import archive, burst_store, store, waiting_store
from services.renewal.acceptance import review_store
from services.renewal.cut_over import store as cut_over_store
from services.renewal.domain.admission import REVIEW_EXPIRED, Admitted, Refusal, Standing
from services.renewal.domain.asking import PAUSED, RULE, UNTIL, Request, Trigger
from services.renewal.domain.burst import BurstLimit, Trip
from services.renewal.domain.renewal import CLOSED_STATES, OPEN_STATES, HistoryEntry, Renewal
from services.renewal.domain.review import Review
from services.renewal.domain.waiting import Waiting
from services.renewal.operators import charge_store
from services.renewal.operators import store as operator_store
from services.renewal.rules import decision_store
from services.renewal.rules import store as rule_store
from services.renewal.rules.domain.decision import OUTCOMES, Decision, last_words
from services.renewal.rules.domain.judgement import Told
from services.renewal.rules.domain.rule import Pause
from services.renewal.rules.domain.spending import REPLIES
from services.renewal.store import Asked, Orphan, Progress
from shared.contracts.message import Terms, deterministic_id
from tests.conformance.actors import Actor
from tests.conformance.lots import RENEWALS, SUBSCRIPTIONS, TRACES, Lot
from tests.conformance.stage import Mirror, Stage
from tests.conformance.suites.ground import archived_by, functions_of, untied
from tests.conformance.suites.renewal_rows import MIRRORS, NOT_KEPT
from tests.conformance.suites.renewal_world import IMEI, METHODS, OFFERING, SCOPES, change, settle
from tests.simulation.stores import archive as archives
from tests.simulation.stores import bursts as bursts_in_memory
from tests.simulation.stores import cut_over as cut_over_in_memory
from tests.simulation.stores import renewal as memory
from tests.simulation.stores import reviews as reviews_in_memory
from tests.simulation.stores import rules as rules_in_memory
from tests.simulation.stores import waiting as waiting_in_memory

CALLERS: Final = ("app", "crm", RULE, f"{REPLIES}sms-a")
PLACES: Final = (("payments.v1", 0), ("payments.v1", 1), ("topups.v1", 0))
ALL: Final = 100
"""Where no order is asked for, which of more than a limit are taken is luck: so all are."""
TERMS: Final = Terms(
    offering_id=OFFERING,
    max_amount_minor=1500,
    currency="USD",
    payment_method_ids=METHODS,
    payer_id="payer-1",
)


class RenewalSuite:
    functions = functions_of(
        memory,
        rules_in_memory,
        cut_over_in_memory,
        bursts_in_memory,
        waiting_in_memory,
        reviews_in_memory,
        archives,
        store,
        waiting_store,
        review_store,
        burst_store,
        charge_store,
        archive,
        rule_store,
        operator_store,
        decision_store,
        cut_over_store,
    )
    mirrors: Sequence[Mirror] = MIRRORS
    not_kept: Mapping[str, frozenset[str]] = NOT_KEPT

    def __init__(self) -> None:
        self.removal = archive.removal(cast(Any, None), timedelta(), timedelta())
        self.steps = {
            "admit": _admit,
            "admit another": _admit,
            "go on": _go_on,
            "go on again": _go_on,
            "deviate": _deviate,
            "wake": _wake,
            "refuse": _refuse,
            "keep triggers": _keep_triggers,
            "take triggers": _take_triggers,
            "wait": _wait_for_slots,
            "stop waiting": _stop_waiting,
            "review": _review,
            "stop reviewing": _stop_reviewing,
            "judge triggers": _judge_triggers,
            "decide": _decide,
            "pause rules": _pause_rules,
            "count bursts": _count_bursts,
            "tell ends": _tell_ends,
            "keep orphans": _keep_orphans,
            "report progress": _report_progress,
            "look": _look,
            "bring back": _bring_back,
            "bring back again": _bring_back,
            "lock": _lock,
        }
        self.between = {"archive": self._archive, "archive again": self._archive, "change": change}

    def memory(self, clock: Callable[[], datetime]) -> memory.RenewalDatabase:
        return memory.RenewalDatabase(clock)

    async def settle_in(self, stage: Stage) -> None:
        await settle(stage)

    async def _archive(self, stage: Stage, lot: Lot) -> None:
        await stage.alone(_close, lot)
        await archived_by(self.removal, stage)
        archives.archive_renewals(stage.memory)


# -- steps ------------------------------------------------------------------------------------------


async def _admit(actor: Actor, lot: Lot) -> None:
    """What admission does: read how things stand, then insert what may be."""
    archived = actor.stage.memory.archive.rows
    ids = lot.some(RENEWALS)
    await actor.call(store.read_standing, [_asked(lot, each) for each in ids], canonical=_standings)
    admitted = [_admitted(actor, lot, each) for each in ids if each not in archived]
    if admitted and lot.chance(0.8):
        await actor.call(store.insert, actor.stage.now, admitted)


async def _go_on(actor: Actor, lot: Lot) -> None:
    """A batch of good news: fewer columns are written, facts are added."""
    locked = await actor.call(store._lock, lot.some(RENEWALS))
    now = actor.stage.now
    moves = [(before, _further(lot, before, now)) for before in locked]
    history = [_entry(lot, after, now) for _, after in moves]
    if moves:
        await actor.call(store.advance, now, moves, history)


async def _close(actor: Actor, lot: Lot) -> None:
    """What may be archived soon."""
    now = actor.stage.now
    locked = await actor.call(store._lock, lot.some(RENEWALS, at_most=6, at_least=3))
    closed = [
        renewal._replace(state=lot.one(CLOSED_STATES), closed_at=now) for renewal in locked if renewal.is_open
    ]
    if closed:
        await actor.call(store.save, closed)


async def _deviate(actor: Actor, lot: Lot) -> None:
    locked = await actor.call(store._lock, lot.some(RENEWALS))
    changed = [_drawn(lot, renewal, actor.stage.now) for renewal in locked]
    if changed:
        await actor.call(store.save, changed)
        history = [_entry(lot, renewal, actor.stage.now) for renewal in changed]
        await actor.call(store.advance, actor.stage.now, [], history)


async def _wake(actor: Actor, lot: Lot) -> None:
    now = lot.near(actor.stage.now)
    dues = {
        renewal_id: line.renewal.next_due_at
        for renewal_id, line in actor.sees().scan(actor.stage.memory.renewals)
        if line.renewal.closed_at is None and line.renewal.next_due_at is not None
    }
    limit = untied(lot.one((1, 2, 9)), list(dues.values()))
    await actor.call(
        store.claim_due,
        now,
        limit,
        caught_up=lot.chance(0.6),
        promise=timedelta(seconds=lot.one((0, 1, 180))),
        order=lambda renewal: dues[renewal.renewal_id],
    )


async def _refuse(actor: Actor, lot: Lot) -> None:
    refused = [
        (_request(lot, each), Refusal(lot.one(("slot_taken", "too_late")), lot.one(("Wait.", "Ask again."))))
        for each in lot.some(RENEWALS)
    ]
    await actor.call(store.keep_refusals, refused, actor.stage.now)


async def _keep_triggers(actor: Actor, lot: Lot) -> None:
    triggers = [
        _trigger(actor, lot, name)
        for name in [*lot.some(SUBSCRIPTIONS), *lot.some(SUBSCRIPTIONS, at_least=0)]
    ]
    await actor.call(store.keep_triggers, triggers, actor.stage.now)


async def _take_triggers(actor: Actor, lot: Lot) -> None:
    if lot.chance(0.4):
        await actor.call(store.take_kept_triggers, lot.some(SUBSCRIPTIONS), order=_any)
    elif lot.chance(0.5):
        await actor.call(charge_store.take_resumed, ALL, order=_any)
    elif lot.chance(0.5):
        await actor.call(rule_store.take_due, lot.near(actor.stage.now), ALL, order=_any)
        after, before = sorted((lot.near(actor.stage.now), lot.near(actor.stage.now)))
        await actor.call(rule_store.take_unpaused, after, before, ALL, order=_any)
        await actor.call(rule_store.take_answered, after, before, ALL, order=_any)
    else:
        await actor.call(charge_store.take_freed, lot.near(actor.stage.now), ALL, order=_any)
    await actor.call(charge_store.count_stops)
    await actor.call(charge_store.count_kept)


async def _wait_for_slots(actor: Actor, lot: Lot) -> None:
    waiting = [_waiting(actor, lot, each) for each in lot.some(RENEWALS)]
    await actor.call(waiting_store.keep, waiting)


async def _stop_waiting(actor: Actor, lot: Lot) -> None:
    now = actor.stage.now
    if lot.chance(0.5):
        await actor.call(waiting_store.take_freed, lot.some(SUBSCRIPTIONS, at_most=1), canonical=_taken)
    elif lot.chance(0.7):
        await actor.call(waiting_store.take_overdue, lot.near(now), lot.near(now), ALL, order=_any)
    else:
        await actor.call(waiting_store.forget, lot.near(now), ALL)


async def _review(actor: Actor, lot: Lot) -> None:
    reviews = [_asked_about(actor, lot, each) for each in lot.some(RENEWALS)]
    await actor.call(review_store.open_reviews, reviews)
    if lot.chance(0.3):
        await actor.call(review_store.promise_answers, lot.some(RENEWALS))


async def _stop_reviewing(actor: Actor, lot: Lot) -> None:
    now = actor.stage.now
    if lot.chance(0.4):
        await actor.call(review_store.drop, lot.some(RENEWALS))
    elif lot.chance(0.7):
        await actor.call(review_store.expire, lot.near(now), REVIEW_EXPIRED, ALL, order=_any)
    else:
        await actor.call(review_store.forget, lot.near(now), ALL)


async def _judge_triggers(actor: Actor, lot: Lot) -> None:
    names = lot.some((*SUBSCRIPTIONS, "s-unheard-of"))
    await actor.call(rule_store.read_told, names, actor.stage.now, canonical=_tolds)
    if lot.chance(0.2):
        rows = [(OFFERING, lot.number(1, 3), lot.one((86_400, 3600)), 10**9, "CU", "on_sale")]
        await actor.call(rule_store.upsert_offering_terms, rows)
    if lot.chance(0.2):
        await actor.call(rule_store.adopt, [])
    triggers = [_trigger(actor, lot, name) for name in [*names, *SUBSCRIPTIONS]]
    await actor.call(cut_over_store.read_cohorts, triggers)


async def _count_bursts(actor: Actor, lot: Lot) -> None:
    """What the breaker does: read, count, stop; and, seldom, forget."""
    now = actor.stage.now
    windows = burst_store.Windows(lot.near(now), lot.near(now), lot.near(now), lot.number(1, 3))
    names = lot.some(SUBSCRIPTIONS)
    await actor.call(burst_store.read, names, windows, canonical=dict)
    begun = [
        (
            scope,
            now.replace(microsecond=0) - timedelta(seconds=lot.number(0, 1)),
            lot.number(1, 3),
            lot.near(now),
        )
        for scope in ("brand nauta", "everywhere")
    ]
    await actor.call(burst_store.add, begun)
    if lot.chance(0.3):
        trips = [
            Trip("brand", "nauta", 5, BurstLimit(1, 60)),
            Trip("subscription", names[0], 2, BurstLimit(1, 60)),
        ]
        await actor.call(burst_store.trip, [trip.stop(now) for trip in trips])
    if lot.chance(0.3):
        await actor.call(burst_store.forget, lot.near(now))
    await actor.call(burst_store.count_tripped)


async def _decide(actor: Actor, lot: Lot) -> None:
    decisions = [
        Decision(
            name,
            lot.number(1, 2),
            lot.one(("exhausted", "threshold")),
            lot.number(1, 2),
            lot.near(actor.stage.now),
            lot.one(OUTCOMES),
            lot.perhaps(lot.one(("cycle_over", "slot_taken"))),
            "As it is.",
            lot.perhaps(lot.one(RENEWALS)),
            lot.perhaps(lot.near(actor.stage.now)),
            lot.perhaps("m-1"),
            lot.perhaps("consent"),
            lot.chance(0.3),
            lot.perhaps('{"offering_id": "cuba-1gb"}'),
        )
        for name in [*lot.some(SUBSCRIPTIONS), *lot.some(SUBSCRIPTIONS, at_least=0)]
    ]
    rows = last_words(decisions)
    await actor.call(decision_store._settle, rows)
    await actor.call(decision_store._keep, rows)
    if lot.chance(0.3):
        await actor.call(decision_store.forget, lot.near(actor.stage.now), ALL)


async def _pause_rules(actor: Actor, lot: Lot) -> None:
    """What dunning does in the end: pause, call off what was announced, write it down."""
    now = actor.stage.now
    known = await actor.call(rule_store.lock, lot.some(SUBSCRIPTIONS))
    changed = [
        rule._replace(
            version=rule.version + 1,
            pause=lot.one((None, Pause(now, "dunning", "The last try."))),
            opt_out=lot.one((None, Pause(now, f"{REPLIES}sms-a", "Stopped."))),
        )
        for rule in known.values()
    ]
    if changed:
        await actor.call(rule_store.write, changed, "dunning", now, canonical=dict)
    await actor.call(rule_store.call_off_announcements, lot.some(SUBSCRIPTIONS, at_most=1))
    deeds = [
        operator_store.Deed("dunning", "done", "pause rule", rule.subscription_id, "") for rule in changed
    ]
    await actor.call(operator_store.write_audit, now, deeds)


async def _tell_ends(actor: Actor, lot: Lot) -> None:
    renewals = [
        Renewal(
            each, name, "{}", lot.number(1, 2), actor.stage.now, None, actor.stage.now, actor.stage.now, ""
        )
        for each in lot.some(RENEWALS)
        for name in SUBSCRIPTIONS
    ]
    await actor.call(decision_store.read_of, renewals)


async def _keep_orphans(actor: Actor, lot: Lot) -> None:
    orphans = [
        Orphan(
            deterministic_id("orphan", number),
            "payments.v1",
            "PaymentCaptured",
            lot.one(RENEWALS),
            lot.one(SUBSCRIPTIONS),
            '{"version": 1}',
            lot.one(TRACES),
            actor.stage.now,
        )
        for number in lot.some(range(4))
    ]
    await actor.call(store.keep_orphans, orphans)


async def _report_progress(actor: Actor, lot: Lot) -> None:
    now = actor.stage.now + timedelta(days=lot.one((0, 0, 0, 4)))
    rows = [Progress(*place, lot.number(0, 5), lot.chance(0.6)) for place in lot.some(PLACES)]
    await actor.call(store.report_progress, rows, now, lot.one((0.5, 2.0)))
    await actor.call(store.is_caught_up, now, 3.0)


async def _look(actor: Actor, lot: Lot) -> None:
    now = actor.stage.now
    await actor.call(store.is_caught_up, lot.near(now), lot.one((3.0, 30.0)))
    ended = [ended_at for _, ended_at in actor.sees().scan(actor.stage.memory.stalls)]
    limit = untied(lot.number(1, 4), ended)
    await actor.call(store.read_stalls, lot.near(now), limit, order=lambda stall: stall[1])
    await actor.call(store.read_methods, lot.some((*METHODS, "unheard-of")), order=_any)


async def _bring_back(actor: Actor, lot: Lot) -> None:
    found = await actor.call(archive.lock, lot.some(RENEWALS, at_most=6, at_least=3), order=_any)
    if found and lot.chance(0.7):
        await actor.call(archive.bring_back, [renewal.renewal_id for renewal in found])


async def _lock(actor: Actor, lot: Lot) -> None:
    await actor.call(store._lock, lot.some(RENEWALS, at_most=1))


# -- values -----------------------------------------------------------------------------------------


def _any(_: Any) -> int:
    """The same place for all: no order is promised."""
    return 0


def _standings(standings: list[Standing]) -> list[Standing]:
    """In no array of theirs does the order mean anything."""
    return [
        standing._replace(
            methods=sorted(standing.methods),
            charges_stopped=standing.charges_stopped and sorted(standing.charges_stopped),
        )
        for standing in standings
    ]


def _tolds(told: list[Told]) -> list[Told]:
    """Charges in no order, as the rest."""
    return [each._replace(charges=sorted(each.charges, key=str), sold=sorted(each.sold)) for each in told]


def _trigger(actor: Actor, lot: Lot, name: str) -> Trigger:
    until = lot.perhaps(lot.near(actor.stage.now), 0.3)
    asked = lot.perhaps(f"{OFFERING} {lot.number(800, 1000)} USD", 0.3)
    return Trigger(
        name,
        lot.number(1, 3),
        "exhausted",
        lot.one(TRACES),
        UNTIL if until or asked else lot.perhaps(lot.one((*SCOPES, PAUSED))),
        lot.number(1, 2),
        until,
        lot.perhaps(f"{OFFERING} 900 USD"),
        lot.perhaps(5),
        lot.perhaps(10**9),
        lot.perhaps(actor.stage.now),
        lot.perhaps(actor.stage.now),
        lot.perhaps(actor.stage.now),
        lot.perhaps(OFFERING),
        lot.perhaps(METHODS[0]),
        asked,
        lot.perhaps(IMEI),
        lot.perhaps(7),
    )


def _taken(taken: waiting_store.Taken) -> tuple[list[Trigger], list[Waiting]]:
    return sorted(taken.kept, key=str), sorted(taken.waiting, key=str)


def _waiting(actor: Actor, lot: Lot, renewal_id: UUID) -> Waiting:
    now, request = actor.stage.now, _request(lot, renewal_id)
    waiting = Waiting(
        renewal_id,
        request.subscription_id,
        request.caller,
        request.request_id,
        request.fingerprint,
        OFFERING,
        request.max_amount_minor,
        "USD",
        ",".join(METHODS),
        lot.perhaps("owner-1"),
        "owner-1",
        lot.number(0, 3),
        lot.perhaps(lot.near(now)),
        lot.one(TRACES),
        lot.chance(0.5),
        lot.one(RENEWALS),
        now,
        lot.near(now),
    )
    if lot.chance(0.7):
        return waiting
    return waiting.ended("refused", lot.near(now), Refusal("automatic_completed", "The data is there."))


def _asked_about(actor: Actor, lot: Lot, renewal_id: UUID) -> Review:
    now, request = actor.stage.now, _request(lot, renewal_id)
    review = Review(
        renewal_id,
        request.subscription_id,
        request.caller,
        request.request_id,
        request.fingerprint,
        OFFERING,
        request.max_amount_minor,
        "USD",
        ",".join(METHODS),
        lot.perhaps("owner-1"),
        "owner-1",
        lot.number(0, 3),
        lot.perhaps(lot.number(1, 2)),
        lot.perhaps(lot.near(now)),
        lot.one(TRACES),
        lot.chance(0.5),
        lot.perhaps("CU"),
        lot.perhaps("US"),
        METHODS[0],
        "card",
        now,
        lot.near(now),
    )
    if lot.chance(0.7):
        return review
    return review.ended(lot.one(("approved", "refused", "withdrawn")), lot.near(now), REVIEW_EXPIRED)


def _asked(lot: Lot, renewal_id: UUID) -> Asked:
    subscription_id = lot.one((*SUBSCRIPTIONS, "s-unheard-of"))
    methods = ",".join(lot.some((*METHODS, "unheard-of")))
    return Asked(renewal_id, subscription_id, lot.one((OFFERING, "unheard-of")), methods)


def _request(lot: Lot, renewal_id: UUID) -> Request:
    limit = lot.one((1500, 2000))
    name = lot.one(SUBSCRIPTIONS)
    return _Named(
        lot.one(CALLERS),
        f"request-{renewal_id.hex[-2:]}",
        name,
        OFFERING,
        limit,
        "USD",
        METHODS,
        None,
        dunning_try=lot.perhaps(1),
    )


class _Named(Request):
    """A request whose renewal is one of the few."""

    __slots__ = ()

    @property
    def renewal_id(self) -> UUID:
        return next(each for each in RENEWALS if self.request_id.endswith(each.hex[-2:]))


def _admitted(actor: Actor, lot: Lot, renewal_id: UUID) -> Admitted:
    now, request = actor.stage.now, _request(lot, renewal_id)
    renewal = Renewal(
        renewal_id,
        request.subscription_id,
        TERMS.model_dump_json(),
        lot.number(0, 3),
        now,
        lot.one(TRACES),
        now,
        now + timedelta(hours=1),
        METHODS[0],
        next_due_at=lot.perhaps(lot.near(now), 0.8),
    )
    return Admitted(renewal, TERMS, request)


def _further(lot: Lot, before: Renewal, now: datetime) -> Renewal:
    after = before._replace(
        heard_at=now,
        version=before.version + 1,
        amount_minor=lot.one((before.amount_minor, 700)),
        granted=lot.one((before.granted, '{"data_bytes": 1}')),
        priced_at=lot.one((before.priced_at, now)),
        captured_at=lot.one((before.captured_at, now)),
        applied_at=lot.one((before.applied_at, now)),
        top_up_cycle=lot.one((before.top_up_cycle, 4)),
    )
    return _stated(lot, after, now)


def _stated(lot: Lot, renewal: Renewal, now: datetime) -> Renewal:
    """Open or closed for good, and now and then against the table's check."""
    if renewal.closed_at is None and lot.chance(0.6):
        return renewal._replace(
            state=lot.one((*OPEN_STATES, *CLOSED_STATES) if lot.chance(0.1) else OPEN_STATES)
        )
    return renewal._replace(state=lot.one(CLOSED_STATES), closed_at=renewal.closed_at or now)


def _drawn(lot: Lot, renewal: Renewal, now: datetime) -> Renewal:
    changed = _further(lot, renewal, now)._replace(
        deadline_at=lot.near(now),
        payment_method_id=lot.one(METHODS),
        next_due_at=lot.perhaps(lot.near(now), 0.8),
        reason=lot.perhaps("deadline"),
        parked_from=lot.perhaps(lot.one(OPEN_STATES)),
        parked_reason=lot.perhaps("undetermined"),
        payment_attempt=lot.number(1, 3),
        top_up_attempt=lot.number(1, 3),
        refund_attempt=lot.number(1, 3),
        spent=lot.number(0, 2),
        failures=lot.perhaps("*:2:1"),
        asked=lot.number(0, 2),
        retry_at=lot.perhaps(lot.near(now)),
        action=lot.perhaps("confirm_payment"),
        action_before=lot.perhaps(lot.near(now)),
        delayed=lot.chance(0.5),
        promised_from=lot.perhaps(lot.near(now)),
        top_up=lot.perhaps("rejected"),
        refund_before=lot.perhaps(lot.near(now)),
        flags=lot.one(("", "disputed", "unresolved disputed", "surplus_refunded_1")),
    )
    # What the happy path only adds to, an operator's word may take away again.
    return changed._replace(amount_minor=lot.perhaps(900), captured_at=lot.perhaps(now))


def _entry(lot: Lot, renewal: Renewal, now: datetime) -> HistoryEntry:
    """Its line of history; now and then under a version that has one."""
    version = 1 if lot.chance(0.03) else renewal.version
    return HistoryEntry(
        renewal.renewal_id,
        version,
        now,
        "PaymentCaptured",
        None,
        renewal.state,
        lot.perhaps(1),
        lot.perhaps("deadline"),
        lot.perhaps("by hand"),
    )
