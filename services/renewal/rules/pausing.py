"""Pauses rules, and writes what has changed of them: whoever sets, pauses or resumes rules ends here."""

from collections.abc import Collection

from services.renewal.operators import store as operator_store
from services.renewal.rules import store
from services.renewal.rules.domain.rule import Pause, RenewalRule, changed
from shared.messaging.transaction import Transaction


async def pause(
    transaction: Transaction, subscription_ids: Collection[str], by: str, why: str
) -> list[RenewalRule]:
    """Pause these rules; those that were paused by this. What was announced is called off.

    Five statements, however many they are. Those that somebody has paused already stay theirs.
    """
    known = await store.lock(transaction.connection, subscription_ids)
    pause = Pause(transaction.now, by, why)
    return await _stop(
        transaction,
        known,
        [rule._replace(pause=pause) for rule in known.values() if rule.pause is None],
        pause,
    )


async def opt_out(transaction: Transaction, subscription_id: str, by: str, why: str) -> bool:
    """The subscriber has stopped it, whoever else has: who lifts another pause does not lift this one.

    Whether there is a rule to stop. Twice is once.
    """
    known = await store.lock(transaction.connection, [subscription_id])
    word = Pause(transaction.now, by, why)
    stopped = [rule._replace(opt_out=word) for rule in known.values() if rule.opt_out is None]
    await _stop(transaction, known, stopped, word)
    return bool(known)


async def _stop(
    transaction: Transaction, known: dict[str, RenewalRule], paused: list[RenewalRule], pause: Pause
) -> list[RenewalRule]:
    if paused:
        await write(transaction, known, paused, pause.by)
        names = [rule.subscription_id for rule in paused]
        await store.call_off_announcements(transaction.connection, names)
        await audit(transaction, "pause rule", paused, pause.by, pause.why)
    return paused


async def write(
    transaction: Transaction,
    known: dict[str, RenewalRule],
    rules: Collection[RenewalRule],
    set_by: str,
) -> list[RenewalRule]:
    """Those that are different, with the next version; whoever counts is told."""
    different = [
        rule if before is None else rule._replace(version=before.version + 1)
        for rule in rules
        if (before := known.get(rule.subscription_id)) != rule
    ]
    if not different:
        return []
    versions = await store.write(transaction.connection, different, set_by, transaction.now)
    for rule in different:
        transaction.send(changed(rule._replace(version=versions[rule.subscription_id])))
    return different


async def audit(
    transaction: Transaction, action: str, rules: Collection[RenewalRule], by: str, why: str
) -> None:
    """By whom it was done, and why."""
    deeds = [operator_store.Deed(by, "done", action, rule.subscription_id, why) for rule in rules]
    await operator_store.write_audit(transaction.connection, transaction.now, deeds)
