"""What a payer's new consent leads to where they were asked: the rule stands on it, what was kept goes on."""

from collections.abc import Sequence

from services.renewal.rules import mandate_store, pausing, store
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.question import is_answer
from services.renewal.rules.domain.rule import RenewalRule
from shared.messaging.transaction import Transaction

_WHY = "It answers what the payer was asked: the price had been above the consent."


async def take(transaction: Transaction, given: Sequence[Mandate]) -> None:
    """Mandates that are new. One statement where nobody was asked anything, six where somebody was."""
    connection, now = transaction.connection, transaction.now
    questions = await store.read_questions(connection, {one.subscription_id for one in given})
    if not questions:
        return
    rules = await store.lock(connection, questions)
    names = sorted((name, rule.mandate_id) for name, rule in rules.items() if rule.mandate_id is not None)
    stood_on = {
        mandate.subscription_id: mandate for mandate in (await mandate_store.read(connection, names)).values()
    }
    moved: dict[str, tuple[RenewalRule, Mandate]] = {}
    for one in given:
        rule, question = rules.get(one.subscription_id), questions.get(one.subscription_id)
        if rule is None or question is None:
            continue
        if is_answer(one, question, stood_on.get(one.subscription_id), now):
            moved[one.subscription_id] = rule._replace(mandate_id=one.mandate_id), one
    for recorded_by in sorted({mandate.recorded_by for _, mandate in moved.values()}):
        standing = [rule for rule, mandate in moved.values() if mandate.recorded_by == recorded_by]
        await pausing.write(transaction, rules, standing, recorded_by)
        await pausing.audit(transaction, "take mandate", standing, recorded_by, _WHY)
    await store.look_again(connection, moved, now)
