"""services/renewal/rules: what triggers ask of rules, and what became of them, on tables in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from services.renewal.domain.asking import PAUSED, UNTIL, Trigger
from services.renewal.domain.renewal import Renewal
from services.renewal.operators import store as operator_store
from services.renewal.rules import decision_store, store
from services.renewal.rules.domain.decision import Decision, replaces, settled
from services.renewal.rules.domain.judgement import Told
from services.renewal.rules.domain.mandate import BEFORE_MANDATES, Mandate
from services.renewal.rules.domain.offering import OfferingTerms
from services.renewal.rules.domain.question import question_of
from services.renewal.rules.domain.rule import DAY_SECONDS, RenewalRule
from services.renewal.rules.domain.spending import REPLIES, Charge
from tests.simulation.database import Open, statement
from tests.simulation.stores.renewal import OfferingTermsLine, RenewalLine, tables


@statement
async def read_told(transaction: Open, subscription_ids: Sequence[str], now: datetime) -> list[Told]:
    return [_told(transaction, name, now) for name in subscription_ids]


def _told(transaction: Open, name: str, now: datetime) -> Told:
    own = tables(transaction)
    rule = transaction.get(own.rules, name)
    if rule is None:
        return Told()
    mandate = transaction.get(own.mandates, (name, rule.mandate_id or ""))
    known = [
        (each, transaction.get(own.offering_terms, each)) for each in sorted(set(rule.says.offerings.named))
    ]
    cycles = [
        line.renewal.top_up_cycle
        for _, line in transaction.scan(own.renewals)
        if line.renewal.subscription_id == name and line.renewal.top_up_cycle is not None
    ]
    kept = transaction.get(own.kept, name)
    return Told(
        rule,
        mandate,
        _charges(transaction, name, _since(rule, mandate, now)),
        [OfferingTerms(each, line.validity_seconds, line.status) for each, line in known if line is not None],
        max(cycles, default=None),
        kept and _waiting(kept[0]),
    )


def _waiting(trigger: Trigger) -> Trigger:
    return Trigger(
        trigger.subscription_id,
        trigger.cycle,
        trigger.kind,
        None,
        dunning_try=trigger.dunning_try,
        not_before=trigger.not_before,
        announced=trigger.announced,
    )


def _since(rule: RenewalRule, mandate: Mandate | None, now: datetime) -> datetime:
    says = rule.says
    period = DAY_SECONDS * says.period_days if says.cap_period_minor is not None else 0
    since = now - timedelta(seconds=max(DAY_SECONDS, period, says.cool_down_seconds))
    if says.max_renewals is None or mandate is None:
        return since
    return min(since, mandate.given_at)


def _charges(transaction: Open, name: str, since: datetime) -> list[Charge]:
    own = tables(transaction)
    lines = [line for _, line in transaction.scan(own.renewals)]
    lines += [kept.line for _, kept in transaction.scan(own.archive)]
    return [
        _charge(line)
        for line in lines
        if line.renewal.subscription_id == name
        and line.renewal.requested_at >= since
        and (line.dunning_try is not None or line.caller.startswith(REPLIES))
        and (line.renewal.closed_at is None or line.renewal.state == "completed")
    ]


def _charge(line: RenewalLine) -> Charge:
    renewal, terms = line.renewal, line.renewal.agreed
    amount: Any = terms.max_amount_minor if renewal.closed_at is None else renewal.amount_minor
    return Charge(renewal.requested_at, amount, terms.currency)


@statement
async def adopt(transaction: Open, subscription_ids: Collection[str]) -> None:
    own = tables(transaction)
    for name in sorted(set(subscription_ids)):
        rule = transaction.get(own.rules, name)
        subscription = transaction.get(own.subscriptions, name)
        if rule is None or rule.mandate_id is not None:
            continue
        if subscription is not None:
            evidence = Mandate(
                name,
                BEFORE_MANDATES,
                subscription.owner_id,
                BEFORE_MANDATES,
                None,
                "api",
                transaction.clock,
                "und",
                rule.says.cap_amount_minor,
                rule.says.currency,
                None,
                "app",
                transaction.clock,
            )
            await transaction.insert(own.mandates, (name, BEFORE_MANDATES), evidence)
        await transaction.lock(own.rules, name)
        transaction.put(own.rules, name, rule._replace(mandate_id=BEFORE_MANDATES))


@statement
async def take_due(transaction: Open, now: datetime, limit: int) -> list[Trigger]:
    table = tables(transaction).kept
    due = sorted(
        (trigger.not_before, name)
        for name, (trigger, _) in transaction.scan(table)
        if trigger.not_before is not None and trigger.not_before <= now
    )
    taken: list[Trigger] = []
    for _, name in due:
        row = transaction.get(table, name)
        if row is not None and len(taken) < limit and transaction.is_free(table, name):
            transaction.take(table, name)
            transaction.remove(table, name)
            taken.append(row[0])
    return taken


@statement
async def take_unpaused(
    transaction: Open, kept_after: datetime, kept_before: datetime, limit: int
) -> list[Trigger]:
    own = tables(transaction)
    taken: list[Trigger] = []
    for name, (trigger, kept_at) in sorted(transaction.scan(own.kept)):
        rule = transaction.get(own.rules, name)
        is_paused = rule is not None and bool(rule.pauses)
        if trigger.held_by != PAUSED or is_paused or not kept_after < kept_at < kept_before:
            continue
        if len(taken) < limit and transaction.is_free(own.kept, name):
            transaction.take(own.kept, name)
            transaction.remove(own.kept, name)
            taken.append(trigger)
    return taken


@statement
async def take_answered(
    transaction: Open, kept_after: datetime, kept_before: datetime, limit: int
) -> list[Trigger]:
    own = tables(transaction)
    taken: list[Trigger] = []
    for name, (trigger, kept_at) in sorted(transaction.scan(own.kept)):
        question = question_of(trigger)
        rule = transaction.get(own.rules, name)
        mandate = rule and transaction.get(own.mandates, (name, rule.mandate_id or ""))
        if question is None or rule is None or mandate is None or not _waits_for_an_answer(trigger):
            continue
        if not kept_after < kept_at < kept_before or rule.says.currency != question.currency:
            continue
        if min(rule.says.cap_amount_minor, mandate.max_amount_minor) < question.amount_minor:
            continue
        if len(taken) < limit and transaction.is_free(own.kept, name):
            transaction.take(own.kept, name)
            transaction.remove(own.kept, name)
            taken.append(trigger)
    return taken


def _waits_for_an_answer(trigger: Trigger) -> bool:
    return trigger.asked is not None and trigger.held_by == UNTIL and trigger.not_before is None


@statement
async def upsert_offering_terms(transaction: Open, rows: Collection[tuple[Any, ...]]) -> None:
    table = tables(transaction).offering_terms
    for offering_id, *told in rows:
        line = OfferingTermsLine(*told)
        known = await transaction.upsert(table, offering_id, line)
        if known is not None and known.version < line.version:
            transaction.put(table, offering_id, line)


@statement
async def settle_decisions(transaction: Open, rows: Collection[Decision]) -> None:
    own = tables(transaction)
    said: dict[str, list[Decision]] = {}
    for row in rows:
        said.setdefault(row.subscription_id, []).append(row)
    places = {row.place for row in rows}
    wanted = {
        place: (_is_told if place in places else _is_open)
        for place, _ in sorted(transaction.scan(own.decisions))
        if place[0] in said
    }
    for place, old in await transaction.lock_where(own.decisions, wanted):
        new = _newest_word(said[old.subscription_id], old.cycle)
        if place in places or new is None:
            continue
        kept = transaction.get(own.kept, old.subscription_id)
        is_kept = kept is not None and (kept[0].cycle, kept[0].dunning_try) == (old.cycle, old.dunning_try)
        transaction.put(own.decisions, place, settled(old, new, is_kept=is_kept))


def _newest_word(told: Iterable[Decision], cycle: int) -> Decision | None:
    """What is said last, by cycle and try, of those that are not older than this cycle."""
    return min(
        (one for one in told if one.cycle >= cycle),
        key=lambda one: (-one.cycle, -one.dunning_try, one.outcome == "not_meant", one.kind),
        default=None,
    )


def _is_open(row: Decision) -> bool:
    return row.outcome in ("waiting", "announced") or row.next_try_at is not None


def _is_told(_row: Decision) -> bool:
    return True


@statement
async def keep_decisions(transaction: Open, rows: Collection[Decision]) -> None:
    table = tables(transaction).decisions
    for decision in rows:
        known = await transaction.upsert(table, decision.place, decision)
        if known is not None and replaces(known, decision):
            transaction.put(table, decision.place, decision)


@statement
async def read_of(transaction: Open, renewals: Collection[Renewal]) -> list[Decision]:
    wanted = {(renewal.subscription_id, renewal.cycle, renewal.renewal_id) for renewal in renewals}
    found = [
        decision
        for _, decision in transaction.scan(tables(transaction).decisions)
        if (decision.subscription_id, decision.cycle, decision.renewal_id) in wanted
    ]
    return sorted(found, key=lambda decision: decision.place)


@statement
async def forget(transaction: Open, before: datetime, limit: int) -> None:
    table = tables(transaction).decisions
    old = [place for place, decision in transaction.scan(table) if decision.decided_at < before]
    for place in sorted(old)[:limit]:
        if await transaction.lock(table, place) is not None:
            transaction.remove(table, place)


@statement
async def lock(transaction: Open, subscription_ids: Collection[str]) -> dict[str, RenewalRule]:
    return dict(await transaction.lock_each(tables(transaction).rules, sorted(set(subscription_ids))))


@statement
async def write(
    transaction: Open, rules: Collection[RenewalRule], set_by: str, now: datetime
) -> dict[str, int]:
    table = tables(transaction).rules
    versions = {}
    for rule in sorted(rules):
        known = await transaction.upsert(table, rule.subscription_id, rule)
        if known is not None:
            rule = rule._replace(version=max(known.version + 1, rule.version))
            transaction.put(table, rule.subscription_id, rule)
        versions[rule.subscription_id] = rule.version
    return versions


@statement
async def call_off_announcements(transaction: Open, subscription_ids: Collection[str]) -> None:
    table = tables(transaction).kept
    wanted = dict.fromkeys(sorted(set(subscription_ids)), _is_announced)
    for name, (trigger, kept_at) in await transaction.lock_where(table, wanted):
        transaction.put(table, name, (trigger._replace(announced=None), kept_at))


def _is_announced(row: tuple[Trigger, datetime]) -> bool:
    return row[0].announced is not None


@statement
async def write_audit(_transaction: Open, now: datetime, deeds: Collection[operator_store.Deed]) -> None:
    """Nothing that is simulated reads it."""


FUNCTIONS: Final = {
    operator_store: {"write_audit": write_audit},
    store: {
        "lock": lock,
        "write": write,
        "call_off_announcements": call_off_announcements,
        "read_told": read_told,
        "adopt": adopt,
        "take_due": take_due,
        "take_unpaused": take_unpaused,
        "take_answered": take_answered,
        "upsert_offering_terms": upsert_offering_terms,
    },
    decision_store: {
        "_settle": settle_decisions,
        "_keep": keep_decisions,
        "read_of": read_of,
        "forget": forget,
    },
}
NOT_ASKED: Final = {
    operator_store: {
        "list_audit",
        "list_kinds",
        "insert_proposal",
        "find_proposal",
        "lock_proposal",
        "lock_open_proposal",
        "decide_proposal",
        "list_proposals",
    },
    store: {
        "rule_of",
        "row_of",
        "told_of",
        "read",
        "read_what_rules_name",
        "try_other_cards",
        "read_questions",
        "look_again",
    },
    decision_store: {"keep", "list_decisions"},
}
"""Functions that only HTTP needs, or that are made of others."""
