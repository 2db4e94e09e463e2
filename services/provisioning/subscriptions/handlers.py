"""Devices that use a subscription's data without being bound to it: a batch in, what others must know out."""

from collections.abc import Sequence

from services.provisioning.subscriptions import changes
from shared.contracts.devices import ForeignDeviceSeen
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction


async def mark_foreign_devices(transaction: Transaction, batch: Sequence[Received]) -> None:
    """devices.v1: the subscription does not match its device any more, once, until another one is bound."""
    latest: dict[tuple[str, str], ForeignDeviceSeen] = {}
    for received in batch:
        seen: ForeignDeviceSeen = received.message
        known = latest.setdefault((seen.subscription_id, seen.bound_imei), seen)
        if seen.started_at > known.started_at:
            latest[seen.subscription_id, seen.bound_imei] = seen
    await changes.mark_foreign(transaction, list(latest.values()))
