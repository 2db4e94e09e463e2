"""Carries admission out, for HTTP, for Kafka and for kept triggers alike: read, judge, insert, answer."""

from collections.abc import Sequence
from typing import Final

from services.renewal import bursts, metrics, store
from services.renewal.acceptance import opening
from services.renewal.acceptance import store as acceptance_store
from services.renewal.cut_over import store as cut_over_store
from services.renewal.cut_over.domain.cohort import EVERYTHING_LIVE, Cohort, is_live
from services.renewal.domain import wording
from services.renewal.domain.admission import (
    SLOT_TAKEN,
    Admitted,
    Announced,
    Answer,
    InReview,
    Joined,
    Kept,
    NotMeant,
    Refusal,
    Shadowed,
    Standing,
    Waits,
    answer_request,
)
from services.renewal.domain.asking import RULE, UNTIL, Request, Trigger
from services.renewal.domain.burst import Place, Tally
from services.renewal.domain.policy import Moment, Policy
from services.renewal.domain.review import REVIEW_OPEN
from services.renewal.rules import decision_store, dunning
from services.renewal.rules import store as rule_store
from services.renewal.rules.domain.decision import decision_of
from services.renewal.rules.domain.judgement import NO_OTHER_CARD, Told, answer_trigger, wish_of
from shared.contracts.renewals import RenewalAnnounced, RenewalRefused
from shared.messaging.transaction import Transaction

Asking = Request | Trigger

# Whoever loses the slot to a transaction that commits meanwhile is judged once more, then refused.
_ROUNDS: Final = 2


async def admit(transaction: Transaction, asking: Sequence[Asking], policy: Policy) -> list[Answer]:
    """One answer per request or trigger, in their order. What is admitted is stored and said.

    The number of statements does not depend on how many there are.
    """
    answers: dict[int, Answer] = {}
    in_question: set[int] = set()
    pending = list(range(len(asking)))
    triggers = [asked for asked in asking if isinstance(asked, Trigger)]
    tally = await bursts.read(transaction, triggers, policy.bursts)
    for _ in range(_ROUNDS):
        told = await _read_told(transaction, asking, pending)
        cohorts = await _read_cohorts(transaction, asking, told)
        keys = [_key(asking[place], told.get(place)) for place in pending]
        standings = await store.read_standing(transaction.connection, keys)
        standings = await _with_acceptance(transaction, asking, told, pending, keys, standings)
        lost: list[int] = []
        admitted: dict[int, Admitted] = {}
        for place, standing in zip(pending, standings, strict=True):
            answer = _answer(asking[place], told.get(place), standing, transaction, policy)
            answer = _as_live(answer, asking[place], cohorts.get(place, EVERYTHING_LIVE), standing)
            answer = _within_limits(tally, asking[place], standing, answer)
            answers[place] = answer
            if isinstance(answer, Admitted):
                admitted[place] = answer
            if opening.is_asked(standing):
                in_question.add(place)
        lost += await opening.open_for_people(transaction, asking, answers, pending)
        if admitted:
            late = await _begin(transaction, admitted, policy)
            lost += late
            again = [asking[place] for place in late]
            tally.give_back(one.subscription_id for one in again if isinstance(one, Trigger))
        pending = lost
        if not pending:
            break
    for place in pending:
        answers[place] = _lost(asking[place], answers[place])
    ordered = [answers[place] for place in range(len(asking))]
    await _settle(transaction, asking, ordered)
    await opening.drop(transaction, {place: (asking[place], answers[place]) for place in in_question})
    await bursts.settle(transaction, tally)
    return ordered


async def _read_told(
    transaction: Transaction, asking: Sequence[Asking], pending: Sequence[int]
) -> dict[int, Told]:
    """What rules say to the triggers among these, by place; nothing is asked where people ask."""
    triggers = {place: asked for place in pending if isinstance(asked := asking[place], Trigger)}
    if not triggers:
        return {}
    connection, now = transaction.connection, transaction.now
    names = [trigger.subscription_id for trigger in triggers.values()]
    told = await rule_store.read_told(connection, names, now)
    if any(one.rule is not None and one.rule.mandate_id is None for one in told):
        # A process of an older version has set it meanwhile: it lacks the evidence that it stands on.
        await rule_store.adopt(connection, names)
        told = await rule_store.read_told(connection, names, now)
    return dict(zip(triggers, told, strict=True))


async def _read_cohorts(
    transaction: Transaction, asking: Sequence[Asking], told: dict[int, Told]
) -> dict[int, Cohort]:
    """By place; of triggers that a rule is there for. Everything else is live."""
    triggers = {
        place: asked
        for place, one in told.items()
        if one.rule is not None and isinstance(asked := asking[place], Trigger)
    }
    if not triggers:
        return {}
    found = await cut_over_store.read_cohorts(transaction.connection, list(triggers.values()))
    return dict(zip(triggers, found, strict=True))


def _as_live(answer: Answer, asked: Asking, cohort: Cohort, standing: Standing) -> Answer:
    """The answer, or where the subscription is not live only what it would have been."""
    if not isinstance(answer, Admitted | Refusal | Kept | Announced | InReview):
        return answer
    if is_live(cohort, asked.subscription_id, standing.brand, standing.carrier):
        return answer
    return Shadowed(answer)


async def _with_acceptance(
    transaction: Transaction,
    asking: Sequence[Asking],
    told: dict[int, Told],
    pending: Sequence[int],
    keys: Sequence[store.Asked],
    standings: list[Standing],
) -> list[Standing]:
    """With what the acceptance policy says; nothing is asked where it says nothing at all."""
    if not any(standing.has_acceptance for standing in standings):
        return standings
    wanted = []
    for place, key, standing in zip(pending, keys, standings, strict=True):
        asked = asking[place]
        rule = told[place].rule if isinstance(asked, Trigger) else None
        named = rule.says.payer_id if rule is not None else None
        payer_id = asked.payer_id if isinstance(asked, Request) else named
        payer_id = payer_id or standing.owner_id
        wanted.append(
            acceptance_store.Asked(key.renewal_id, key.offering_id, payer_id, key.payment_method_ids)
        )
    found = await acceptance_store.read(transaction.connection, wanted)
    return [
        standing._replace(acceptance=acceptance)
        for standing, acceptance in zip(standings, found, strict=True)
    ]


def _within_limits(tally: Tally, asked: Asking, standing: Standing, answer: Answer) -> Answer:
    if not isinstance(asked, Trigger):
        return answer
    return bursts.judged(tally, asked, Place(asked.subscription_id, standing.brand or ""), answer)


def _key(asked: Asking, told: Told | None) -> store.Asked:
    if isinstance(asked, Trigger):
        offering_id, methods = wish_of(told or Told(), asked)
        return store.Asked(asked.renewal_id, asked.subscription_id, offering_id, ",".join(methods))
    return store.asked(asked)


def _answer(
    asked: Asking, told: Told | None, standing: Standing, transaction: Transaction, policy: Policy
) -> Answer:
    if isinstance(asked, Trigger):
        return answer_trigger(asked, told or Told(), standing, transaction.now, policy)
    return answer_request(asked, standing, transaction.now, policy)


def _lost(asked: Asking, answer: Answer) -> Answer:
    if isinstance(answer, InReview):
        return REVIEW_OPEN
    return Kept(asked._replace(held_by=None, not_before=None)) if isinstance(asked, Trigger) else SLOT_TAKEN


async def _begin(transaction: Transaction, admitted: dict[int, Admitted], policy: Policy) -> list[int]:
    """Insert and announce; the places of those whose slot was gone."""
    # In the order of the slots: two transactions that want the same ones wait, they do not deadlock.
    places = sorted(admitted, key=lambda place: (admitted[place].renewal.subscription_id, place))
    inserted = await store.insert(
        transaction.connection, transaction.now, [admitted[place] for place in places]
    )
    moment = Moment(transaction.now, policy)
    lost: list[int] = []
    for place in places:
        answer = admitted[place]
        # Removed once found: the same request twice in a batch begins once.
        if answer.renewal.renewal_id not in inserted:
            lost.append(place)
            continue
        inserted.remove(answer.renewal.renewal_id)
        said = wording.renewal_requested(answer.renewal, moment, answer.terms)
        transaction.send(said, answer.renewal.traceparent)
    return lost


async def _settle(transaction: Transaction, asking: Sequence[Asking], answers: Sequence[Answer]) -> None:
    """Keep what must be answered alike again, what waits and why; tell who waits for a message; count."""
    refused: list[tuple[Request, Refusal]] = []
    kept: list[Trigger] = []
    in_review: list[InReview] = []
    decisions = []
    for asked, answer in zip(asking, answers, strict=True):
        if isinstance(answer, Kept | Announced):
            kept.append(answer.trigger)
        if isinstance(answer, InReview) and isinstance(asked, Trigger):
            kept.append(asked._replace(held_by=UNTIL, not_before=answer.deadline_at))
            in_review.append(answer)
        if isinstance(answer, Announced):
            transaction.send(_announcement(answer), answer.trigger.traceparent)
        if isinstance(asked, Trigger):
            decisions.append(decision_of(asked, answer, transaction.now))
        if not isinstance(answer, Refusal):
            continue
        if isinstance(asked, Trigger):
            refused.append((_as_request(asked), answer))
        elif asked.is_told:
            refused.append((asked, answer))
            transaction.send(refusal_of(asked, answer, transaction), asked.traceparent)
    if refused:
        await store.keep_refusals(transaction.connection, refused, transaction.now)
    if kept:
        await store.keep_triggers(transaction.connection, kept, transaction.now)
    if in_review:
        # Behind the kept triggers: whoever decides locks them in this order, too.
        await opening.put(transaction, in_review)
    if decisions:
        await decision_store.keep(transaction.connection, decisions)
    without_card = {request.subscription_id for request, refusal in refused if refusal == NO_OTHER_CARD}
    if without_card:
        await dunning.pause(transaction, without_card)
    transaction.after_commit(lambda: _count(answers))


def _announcement(answer: Announced) -> RenewalAnnounced:
    trigger = answer.trigger
    if trigger.not_before is None:
        raise AssertionError("what is announced has its instant")
    return RenewalAnnounced(
        renewal_id=trigger.renewal_id,
        subscription_id=trigger.subscription_id,
        mandate_id=answer.mandate_id,
        offering_id=answer.offering_id,
        max_amount_minor=answer.max_amount_minor,
        currency=answer.currency,
        charge_at=trigger.not_before,
    )


def _as_request(trigger: Trigger) -> Request:
    """How a rule's refusal is kept: support finds it by the subscription."""
    return Request(RULE, trigger.request_id, trigger.subscription_id, "", 0, "", (), None)


def refusal_of(request: Request, refusal: Refusal, transaction: Transaction) -> RenewalRefused:
    """What whoever sent the request is told."""
    return RenewalRefused(
        subscription_id=request.subscription_id,
        caller=request.caller,
        request_id=request.request_id,
        reason=refusal.reason,
        detail=refusal.detail,
        refused_at=transaction.now,
    )


def _count(answers: Sequence[Answer]) -> None:
    for answer in answers:
        metrics.requests(_NAMES[type(answer)]).inc()
        if isinstance(answer, Admitted):
            metrics.admitted[answer.terms.origin].inc()
        elif isinstance(answer, Refusal):
            metrics.refused(answer.reason).inc()


_NAMES: Final[dict[type, str]] = {
    Admitted: "admitted",
    Joined: "joined",
    Refusal: "refused",
    Kept: "kept",
    NotMeant: "not_meant",
    Announced: "announced",
    Waits: "waits",
    Shadowed: "shadowed",
    InReview: "in_review",
}
