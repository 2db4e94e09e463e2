"""renewal-rules.v1: when each subscription's rule wants to hear that data runs out."""

from collections.abc import Sequence

from services.usage import store
from services.usage.counting import Carriers, say
from services.usage.domain.triggers import next_due_at, rearm, take_due
from shared.contracts.renewal_rules import RenewalRuleChanged
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction


class ProjectRules:
    """Keeps it in the balances. What holds by the new limits is said at once."""

    def __init__(self, carriers: Carriers) -> None:
        self._carriers = carriers

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        connection, now = transaction.connection, transaction.now
        newest: dict[str, Received] = {}
        for received in batch:
            known = newest.get(received.message.subscription_id)
            if known is None or known.message.version < received.message.version:
                newest[received.message.subscription_id] = received
        await store.insert_balances(connection, newest)
        balances = await store.lock_balances(connection, newest)
        versions = await store.read_rule_versions(connection, newest)
        carrier_of = await self._carriers.read(transaction)
        changed = []
        said = []
        for name, balance in balances.items():
            rule: RenewalRuleChanged = newest[name].message
            if versions.get(name, -1) >= rule.version:
                continue
            balance.rule_wants = wants_of(rule)
            wants = carrier_of(balance).wants
            rearm(balance, now, wants)
            said += take_due(balance, now, wants)
            balance.next_due_at = next_due_at(balance, now, wants)
            changed.append((balance, rule.version))
        if changed:
            await store.update_wants(connection, changed)
        await say(transaction, said, {name: received.traceparent for name, received in newest.items()})


def wants_of(rule: RenewalRuleChanged) -> tuple[int | None, ...] | None:
    """None where the rule leaves all to the carrier."""
    if rule.paused or not rule.enabled:
        return None
    # Below 0: so much earlier than the carrier's setting. Processes of an older version say nothing then.
    ahead = None if rule.lead_seconds is None else -rule.lead_seconds
    wants = (
        rule.threshold_percent,
        rule.threshold_bytes,
        ahead if rule.predicted_seconds is None else rule.predicted_seconds,
        ahead if rule.expiring_seconds is None else rule.expiring_seconds,
    )
    return wants if any(limit is not None for limit in wants) else None
