"""What the end of a rule's renewal tells its triggers: the reason, and whom to ask where it was too dear."""

from collections.abc import Sequence

from services.renewal.domain.asking import RULE
from services.renewal.domain.renewal import Renewal
from services.renewal.rules import decision_store
from services.renewal.rules.domain.decision import Decision, after_end
from shared.contracts.renewals import ConsentRequired
from shared.messaging.transaction import Transaction


async def tell(transaction: Transaction, ended: Sequence[Renewal]) -> None:
    """Renewals that have closed in this transaction without being completed, whoever asked for them.

    Nothing is read where no rule asked, and two statements however many they are.
    """
    by_rule = {renewal.renewal_id: renewal for renewal in ended if renewal.agreed.origin == RULE}
    if not by_rule:
        return
    known = await decision_store.read_of(transaction.connection, list(by_rule.values()))
    told = [
        after_end(decision, by_rule[decision.renewal_id], transaction.now)
        for decision in known
        if decision.renewal_id is not None and decision.outcome != "joined"
    ]
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
            _ask(transaction, end, by_rule[end.renewal_id])


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
        asked_at=transaction.now,
    )
    transaction.send(asked, renewal.traceparent)
