"""Carries admission out, for HTTP, for Kafka and for kept triggers alike: read, judge, insert, answer."""

from collections.abc import Sequence
from typing import Final

from services.renewal import metrics, store
from services.renewal.domain import wording
from services.renewal.domain.admission import (
    SLOT_TAKEN,
    Admitted,
    Answer,
    Joined,
    Kept,
    NotMeant,
    Refusal,
    Standing,
    answer_request,
    answer_trigger,
)
from services.renewal.domain.policy import Moment, Policy
from services.renewal.domain.rule import RULE, Request, Trigger
from shared.contracts.renewals import RenewalRefused
from shared.messaging.transaction import Transaction

Asking = Request | Trigger

# Whoever loses the slot to a transaction that commits meanwhile is judged once more, then refused.
_ROUNDS: Final = 2


async def admit(transaction: Transaction, asking: Sequence[Asking], policy: Policy) -> list[Answer]:
    """One answer per request or trigger, in their order. What is admitted is stored and said.

    The number of statements does not depend on how many there are.
    """
    answers: dict[int, Answer] = {}
    pending = list(range(len(asking)))
    for _ in range(_ROUNDS):
        keys = [store.asked(asking[place]) for place in pending]
        standings = await store.read_standing(transaction.connection, keys)
        lost: list[int] = []
        admitted: dict[int, Admitted] = {}
        for place, standing in zip(pending, standings, strict=True):
            answer = _answer(asking[place], standing, transaction, policy)
            answers[place] = answer
            if isinstance(answer, Admitted):
                admitted[place] = answer
        if admitted:
            lost = await _begin(transaction, admitted, policy)
        pending = lost
        if not pending:
            break
    for place in pending:
        answers[place] = _slot_lost(asking[place])
    ordered = [answers[place] for place in range(len(asking))]
    await _settle(transaction, asking, ordered)
    return ordered


def _answer(asked: Asking, standing: Standing, transaction: Transaction, policy: Policy) -> Answer:
    if isinstance(asked, Trigger):
        return answer_trigger(asked, standing, transaction.now, policy)
    return answer_request(asked, standing, transaction.now, policy)


def _slot_lost(asked: Asking) -> Answer:
    return Kept(asked) if isinstance(asked, Trigger) else SLOT_TAKEN


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
    """Keep what must be answered alike again, tell those who wait for a message, count."""
    refused: list[tuple[Request, Refusal]] = []
    kept: list[Trigger] = []
    for asked, answer in zip(asking, answers, strict=True):
        if isinstance(answer, Kept):
            kept.append(answer.trigger)
        if not isinstance(answer, Refusal):
            continue
        if isinstance(asked, Trigger):
            refused.append((_as_request(asked), answer))
        elif asked.is_told:
            refused.append((asked, answer))
            transaction.send(_refusal(asked, answer, transaction), asked.traceparent)
    if refused:
        await store.keep_refusals(transaction.connection, refused, transaction.now)
    if kept:
        await store.keep_triggers(transaction.connection, kept, transaction.now)
    transaction.after_commit(lambda: _count(answers))


def _as_request(trigger: Trigger) -> Request:
    """How a rule's refusal is kept: support finds it by the subscription."""
    return Request(RULE, trigger.request_id, trigger.subscription_id, "", 0, "", (), None)


def _refusal(request: Request, refusal: Refusal, transaction: Transaction) -> RenewalRefused:
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
}
