"""What the end of a rule's renewal tells its triggers: the reason, the next try, whom to ask for what."""

from collections.abc import Mapping, Sequence
from typing import cast
from uuid import UUID

from services.renewal.domain.asking import RULE, UNTIL, Trigger, TriggerKind
from services.renewal.domain.renewal import Renewal
from services.renewal.rules import decision_store, dunning
from services.renewal.rules.domain.decision import Decision, after_end
from services.renewal.rules.domain.question import Question
from shared.contracts.renewals import ConsentRequired
from shared.messaging.transaction import Transaction


async def tell(transaction: Transaction, ended: Sequence[Renewal]) -> list[Trigger]:
    """Renewals that have closed in this transaction without being completed, whoever asked for them.

    What is to be kept of those that are tried anew. Nothing is read where no rule asked; the number of
    statements does not depend on how many there are.
    """
    by_rule = {renewal.renewal_id: renewal for renewal in ended if renewal.agreed.origin == RULE}
    if not by_rule:
        return []
    known = await decision_store.read_of(transaction.connection, list(by_rule.values()))
    ends = [
        (after_end(decision, renewal, transaction.now), renewal)
        for decision in known
        if decision.outcome != "joined" and (renewal := _of(decision, by_rule)) is not None
    ]
    told, following = await dunning.go_on(transaction, ends)
    joined = {decision.renewal_id: decision for decision in told}
    told += [
        decision._replace(
            decided_at=end.decided_at, outcome=end.outcome, reason=end.reason, detail=end.detail
        )
        for decision in known
        if decision.outcome == "joined" and (end := joined.get(decision.renewal_id)) is not None
    ]
    if told:
        await decision_store.keep(transaction.connection, told)
    for end in joined.values():
        if end.outcome == "asked" and end.renewal_id is not None:
            renewal = by_rule[end.renewal_id]
            _ask(transaction, end, renewal)
            following += _waiting(end, renewal)
    return following


def _of(decision: Decision, renewals: Mapping[UUID, Renewal]) -> Renewal | None:
    return None if decision.renewal_id is None else renewals.get(decision.renewal_id)


def _ask(transaction: Transaction, decision: Decision, renewal: Renewal) -> None:
    terms = renewal.agreed
    asked = ConsentRequired(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        mandate_id=decision.mandate_id or "",
        offering_id=terms.offering_id,
        max_amount_minor=terms.max_amount_minor,
        currency=terms.currency,
        reason=decision.reason or "",
        amount_minor=renewal.amount_minor,
        asked_at=transaction.now,
    )
    transaction.send(asked, renewal.traceparent)


def _waiting(decision: Decision, renewal: Renewal) -> list[Trigger]:
    """What waits for the payer's answer, as a try of its own; an older catalog names no price to ask for."""
    if renewal.amount_minor is None:
        return []
    terms = renewal.agreed
    question = Question(terms.offering_id, renewal.amount_minor, terms.currency)
    waiting = Trigger(
        renewal.subscription_id,
        decision.cycle,
        cast(TriggerKind, decision.kind),
        renewal.traceparent,
        held_by=UNTIL,
        dunning_try=decision.dunning_try + 1,
        offering_id=terms.offering_id,
        asked=question.text,
    )
    return [waiting]
