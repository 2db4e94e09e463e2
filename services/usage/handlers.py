"""Batches in, one transaction each, triggers out. A constant number of statements whatever the batch size."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Final

from services.usage import metrics, store
from services.usage.counting import Carriers, Use, count_use, say
from services.usage.domain.arrivals import TAKEN, Arrived, Batch, Result
from services.usage.domain.balance import Balance, Granted, add_bucket, top_up_bucket_id
from services.usage.domain.records import REASONS, Bounds
from services.usage.domain.triggers import next_due_at, take_due
from services.usage.kept_records import KeptRecords
from services.usage.polls import store as polls
from services.usage.reports import Reports
from shared.contracts.subscriptions import SubscriptionChanged
from shared.contracts.topups import TopUpApplied
from shared.contracts.usage_records import BalanceReported, ThresholdCrossed, UsageRecorded
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction

IMPORTED_WITHIN: Final = timedelta(hours=1)
"""Whoever brings a subscription's bucket from before Recarga has brought the others, too, by then: nothing is
said of one without the others."""


class CountUsage:
    """usage-records.v1: each record counts once, against the buckets of whoever holds the ICCID."""

    def __init__(self, bounds: Bounds, carriers: Carriers, kept: KeptRecords, reports: Reports) -> None:
        self._bounds = bounds
        self._carriers = carriers
        self._kept = kept
        self._reports = reports

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        reports = [each.message for each in batch if isinstance(each.message, BalanceReported)]
        crossed = [each.message for each in batch if isinstance(each.message, ThresholdCrossed)]
        if reports or crossed:
            # All locks at once, in one order: records and reports lock again what is theirs.
            await store.lock_balances_by_iccid(transaction.connection, {each.message.iccid for each in batch})
        records = [
            Arrived(each.message, each.traceparent)
            for each in batch
            if isinstance(each.message, UsageRecorded)
        ]
        if records:
            await self.count(transaction, records)
        if reports or crossed:
            await self._reports.hear(transaction, reports, crossed)

    async def count(self, transaction: Transaction, arrived: Sequence[Arrived]) -> list[Result]:
        """Count these records; what becomes of each, in their order, once the transaction commits."""
        batch = Batch(arrived, self._bounds, transaction.now)
        if batch.fresh:
            await self._take(transaction, batch)
        if batch.quarantined:
            await store.quarantine_records(transaction.connection, batch.quarantined)
        transaction.after_commit(lambda: self._measure(batch.results))
        return batch.results

    async def _take(self, transaction: Transaction, batch: Batch) -> None:
        connection, fresh = transaction.connection, batch.fresh
        # What is known of a record is read under the lock on what it would change.
        owners = await store.lock_balances_by_iccid(
            connection, {each.record.iccid for each in fresh.values()}
        )
        batch.compare(await store.find_usage_records(connection, fresh))
        uses = {
            key: _use(each, owners[each.record.iccid])
            for key, each in fresh.items()
            if each.record.iccid in owners
        }
        taken = await count_use(transaction, list(uses.values()), await self._carriers.read(transaction))
        if len(uses) < len(fresh):
            batch.keep(fresh.keys() - uses.keys(), has_room=self._kept.has_room)
        if fresh:
            await store.insert_usage_records(
                connection,
                {key: each.record for key, each in fresh.items()},
                {iccid: balance.subscription_id for iccid, balance in owners.items()},
                {key: each for key, each in zip(uses, taken, strict=True) if each is not None},
            )

    def _measure(self, results: Sequence[Result]) -> None:
        numbers = Counter(results)
        for result in TAKEN:
            metrics.records(result, numbers[result])
        for reason in REASONS:
            metrics.quarantined(reason, numbers[reason])
        self._kept.added(numbers["unknown_iccid"])
        if numbers["dropped"]:
            self._kept.overflowed(numbers["dropped"])


def _use(arrived: Arrived, balance: Balance) -> Use:
    record = arrived.record
    return Use(
        balance,
        record.bytes_up + record.bytes_down,
        record.imei,
        record.started_at,
        record.ended_at,
        arrived.traceparent,
    )


class ApplyTopUps:
    """topups.v1: a top-up brings a bucket and begins a cycle, once, in whatever order they come."""

    def __init__(self, carriers: Carriers, late_records: timedelta) -> None:
        self._carriers = carriers
        self._late_records = late_records

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        top_ups = {
            (each.message.subscription_id, top_up_bucket_id(each.message.cycle)): _granted(each.message)
            for each in batch
        }
        added = await add_buckets(transaction, top_ups, self._carriers, self._late_records)
        transaction.after_commit(lambda: metrics.top_ups(len(added), len(batch) - len(added)))


def _granted(top_up: TopUpApplied) -> Granted:
    grant = top_up.grant
    return Granted(
        bucket_id=top_up_bucket_id(top_up.cycle),
        cycle=top_up.cycle,
        stacking=grant.stacking,
        granted_bytes=grant.data_bytes,
        initial_bytes=grant.data_bytes,
        expires_at=top_up.expires_at,
        began_at=top_up.applied_at,
        sold_seconds=None if top_up.expiry_stated else grant.validity_seconds,
    )


async def add_buckets(
    transaction: Transaction,
    wanted: dict[tuple[str, str], Granted],
    carriers: Carriers,
    late_records: timedelta,
) -> set[tuple[str, str]]:
    """Add those of these (subscription_id, bucket_id) that are not there yet, and say which they were."""
    connection, now = transaction.connection, transaction.now
    ids = {subscription_id for subscription_id, _ in wanted}
    balances = await store.lock_balances(connection, ids)
    if len(balances) < len(ids):
        # The first top-up of a subscription that usage has not heard of yet.
        await store.insert_balances(connection, ids)
        balances = await store.lock_balances(connection, ids)
    known = await store.find_buckets(connection, wanted.keys())
    added = {name: granted for name, granted in wanted.items() if name not in known}
    if not added:
        return set()
    carrier_of = await carriers.read(transaction)
    changed = {}
    for name, granted in added.items():
        balance = changed[name[0]] = balances[name[0]]
        added[name] = add_bucket(balance, granted, now, late_records)
    begun = {name[0] for name, granted in added.items() if granted.initial_bytes < granted.granted_bytes}
    waited_for = await store.read_rule_versions(connection, begun) if begun else {}
    said = []
    for subscription_id, balance in changed.items():
        wants = carrier_of(balance).wants
        if any(event.kind == "paid_overrun" for event in balance.events):
            # Part of what was just bought is eaten by what was used before: no record may come to tell it.
            said += take_due(balance, now, wants)
        balance.next_due_at = next_due_at(balance, now, wants)
        if subscription_id in waited_for:
            # Nor does one of what an import says is used up, and a rule waits for that.
            look_at = now + IMPORTED_WITHIN
            balance.next_due_at = min(look_at, balance.next_due_at or look_at)
    await store.insert_buckets(connection, [(name[0], granted) for name, granted in added.items()])
    await store.update_cycles(connection, changed.values(), now)
    await say(transaction, said, {})
    return set(added)


class ProjectSubscriptions:
    """subscriptions.v1: whose usage an ICCID's is. `appeared` hears of every ICCID after the commit."""

    def __init__(self, appeared: Callable[[Collection[str]], None]) -> None:
        self._appeared = appeared

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        newest: dict[str, SubscriptionChanged] = {}
        holders: dict[str, SubscriptionChanged] = {}
        for received in batch:
            changed: SubscriptionChanged = received.message
            known = newest.get(changed.subscription_id)
            if known is None or changed.version > known.version:
                newest[changed.subscription_id] = changed
            holder = holders.get(changed.iccid)
            if holder is None or _order(changed) > _order(holder):
                holders[changed.iccid] = changed
        owners = [(each.iccid, each.subscription_id, each.changed_at) for each in holders.values()]
        owned = await store.upsert_iccids(transaction.connection, owners)
        await store.project_subscriptions(transaction.connection, newest.values(), owned)
        await polls.project(transaction.connection, newest.values())
        transaction.after_commit(lambda: self._appeared(holders.keys()))


def _order(changed: SubscriptionChanged) -> tuple[object, int, str]:
    return changed.changed_at, changed.version, changed.subscription_id
