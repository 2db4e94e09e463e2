"""Usage comes down on the buckets, and triggers go out: for batches and for records that were kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.usage import metrics, store
from services.usage.domain import triggers
from services.usage.domain.balance import consume
from shared.messaging.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Use:
    """Bytes of one subscription that began to flow at `started_at`."""

    subscription_id: str
    size: int
    started_at: datetime
    traceparent: str | None = None


async def count_use(transaction: Transaction, uses: Sequence[Use]) -> None:
    """Take each use from its subscription's buckets, in the given order; say which cycles run out.

    Four statements and the outbox, however many uses there are; every subscription must have a balance.
    """
    if not uses:
        return
    connection, now = transaction.connection, transaction.now
    cause = {use.subscription_id: use.traceparent for use in uses}
    balances = await store.lock_balances(connection, cause)
    overrun_before = sum(balance.overrun_bytes for balance in balances.values())
    for use in uses:
        consume(balances[use.subscription_id], use.size, use.started_at)
    await store.update_balances(connection, balances.values())

    due = [trigger for balance in balances.values() for trigger in triggers.due(balance, now)]
    fresh = await store.insert_triggers(connection, due, now) if due else set()
    said = [trigger for trigger in due if (trigger.subscription_id, trigger.kind) in fresh]
    for trigger in said:
        transaction.send(trigger.message(now), cause[trigger.subscription_id])

    size = sum(use.size for use in uses)
    overrun = sum(balance.overrun_bytes for balance in balances.values()) - overrun_before

    def measure() -> None:
        metrics.consumed(size, overrun)
        for trigger in said:
            metrics.triggers(trigger.kind)

    transaction.after_commit(measure)
