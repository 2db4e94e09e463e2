"""Writes subscriptions, many at once: at most three statements and the outbox, whatever the number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from services.provisioning import metrics
from services.provisioning.subscriptions import store
from services.provisioning.subscriptions.domain.subscription import Subscription, changed, revised, used_by
from shared.contracts.devices import ForeignDeviceSeen
from shared.contracts.fields import SubscriptionStatus
from shared.messaging.transaction import Transaction

Change = Literal["created", "changed", "unchanged", "iccid_taken", "device_changed"]


@dataclass(frozen=True, slots=True)
class Written:
    """What came of one of them: as it is now (as it was asked for, where its ICCID is taken)."""

    change: Change
    subscription: Subscription


async def put(transaction: Transaction, wanted: Sequence[Subscription]) -> list[Written]:
    """Create or revise subscriptions with different ids and ICCIDs; the results are in the order asked.

    Raises:
        asyncpg.UniqueViolationError: somebody took one of the ICCIDs at this very moment; nothing was done.
    """
    created = await store.insert(transaction.connection, wanted, transaction.now)
    known = [(s.subscription_id, s.iccid) for s in wanted if s.subscription_id not in created]
    held = await store.lock(transaction.connection, known) if known else {}
    written = [_judge(one, created, held) for one in wanted]
    changes = [each.subscription for each in written if each.change == "changed"]
    if changes:
        await store.update(transaction.connection, changes, transaction.now)
    _publish(transaction, written)
    return written


async def set_status(
    transaction: Transaction, subscription_id: str, status: SubscriptionStatus
) -> Subscription | None:
    """The subscription with that status; None where there is none."""
    held = await store.lock(transaction.connection, [(subscription_id, "")])
    if subscription_id not in held:
        return None
    before, _ = held[subscription_id]
    after = revised(before, replace(before, status=status))
    if after is not before:
        await store.update(transaction.connection, [after], transaction.now)
        _publish(transaction, [Written("changed", after)])
    return after


async def mark_foreign(transaction: Transaction, seen: Sequence[ForeignDeviceSeen]) -> None:
    """Mark what was used in another device than the bound one; `seen` names each binding once."""
    bindings = [(each.subscription_id, each.bound_imei, each.started_at) for each in seen]
    held = await store.lock_bound(transaction.connection, bindings)
    if not held:
        return
    imeis = {(each.subscription_id, each.bound_imei): each.imei for each in seen}
    marked = [used_by(one, imeis[one.subscription_id, one.bound_imei or ""]) for one in held]
    await store.update(transaction.connection, marked, transaction.now)
    _publish(transaction, [Written("device_changed", one) for one in marked])


def _judge(wanted: Subscription, created: set[str], held: dict[str, tuple[Subscription, bool]]) -> Written:
    if wanted.subscription_id in created:
        return Written("created", wanted)
    if wanted.subscription_id not in held:
        return Written("iccid_taken", wanted)
    before, iccid_taken = held[wanted.subscription_id]
    if iccid_taken:
        return Written("iccid_taken", wanted)
    after = revised(before, wanted)
    return Written("unchanged" if after is before else "changed", after)


def _publish(transaction: Transaction, written: Sequence[Written]) -> None:
    for each in written:
        if each.change in ("created", "changed", "device_changed"):
            transaction.send(changed(each.subscription, transaction.now))
            transaction.after_commit(metrics.subscription_changes(each.change).inc)
