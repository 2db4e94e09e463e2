"""What the catalog hears of subscriptions."""

from collections.abc import Sequence

from services.catalog.offerings import store
from shared.contracts.subscriptions import SubscriptionChanged
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction


async def project_subscriptions(transaction: Transaction, batch: Sequence[Received]) -> None:
    """subscriptions.v1: keep as much as says who may buy what."""
    newest: dict[str, SubscriptionChanged] = {}
    for received in batch:
        changed: SubscriptionChanged = received.message
        known = newest.get(changed.subscription_id)
        if known is None or changed.version > known.version:
            newest[changed.subscription_id] = changed
    await store.upsert_subscriptions(transaction.connection, newest.values())
