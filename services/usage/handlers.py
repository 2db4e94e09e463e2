"""Batches in, one transaction each, triggers out. A constant number of statements whatever the batch size."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from services.usage import metrics, store
from services.usage.counting import Use, count_use
from services.usage.domain.balance import Bucket, add_bucket, top_up_bucket_id
from services.usage.domain.records import Bounds, refusal
from services.usage.kept_records import KeptRecords
from shared.contracts.subscriptions import SubscriptionChanged
from shared.contracts.topups import TopUpApplied
from shared.contracts.usage_records import BalanceReported, UsageRecorded
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction


class CountUsage:
    """usage-records.v1: each record counts once, against the buckets of whoever holds the ICCID."""

    def __init__(self, bounds: Bounds, kept: KeptRecords) -> None:
        self._bounds = bounds
        self._kept = kept

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        reports = [each.message for each in batch if isinstance(each.message, BalanceReported)]
        if reports:
            await store.insert_balance_reports(transaction.connection, reports)
            transaction.after_commit(lambda: metrics.reports(len(reports)))
        usage: dict[store.RecordKey, Received] = {}
        for received in batch:
            if isinstance(received.message, UsageRecorded):
                usage.setdefault((received.message.source, received.message.record_id), received)
        if usage:
            await self._count(transaction, usage, repeated=len(batch) - len(reports) - len(usage))

    async def _count(
        self, transaction: Transaction, usage: dict[store.RecordKey, Received], repeated: int
    ) -> None:
        records: dict[store.RecordKey, UsageRecorded] = {key: each.message for key, each in usage.items()}
        refused = {
            key: reason
            for key, record in records.items()
            if (reason := refusal(record, self._bounds, transaction.now)) is not None
        }
        keep_unknown = self._kept.has_room
        placed = await store.insert_usage_records(
            transaction.connection, records, refused, keep_unknown=keep_unknown
        )
        results: Counter[str] = Counter(duplicate=repeated)
        uses = []
        for key, (subscription_id, is_fresh) in placed.items():
            result = _result(subscription_id, is_fresh, is_refused=key in refused, keep_unknown=keep_unknown)
            results[result] += 1
            if result == "counted" and subscription_id is not None:
                record = records[key]
                size = record.bytes_up + record.bytes_down
                uses.append(Use(subscription_id, size, record.started_at, usage[key].traceparent))
        await count_use(transaction, uses)
        transaction.after_commit(lambda: self._measure(results))

    def _measure(self, results: Counter[str]) -> None:
        for result, count in results.items():
            metrics.records(result, count)
        self._kept.added(results["unknown_iccid"])
        if results["dropped"]:
            self._kept.overflowed(results["dropped"])


def _result(subscription_id: str | None, is_fresh: bool, *, is_refused: bool, keep_unknown: bool) -> str:
    if subscription_id is None and not keep_unknown:
        return "dropped"
    if not is_fresh:
        return "duplicate"
    if is_refused:
        return "refused"
    return "counted" if subscription_id is not None else "unknown_iccid"


class ApplyTopUps:
    """topups.v1: a top-up brings a bucket and begins a cycle, once, in whatever order they come."""

    def __init__(self, threshold_percent: int, late_records: timedelta) -> None:
        self._threshold_percent = threshold_percent
        self._late_records = late_records

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        top_ups: list[TopUpApplied] = [received.message for received in batch]
        connection = transaction.connection
        ids = {top_up.subscription_id for top_up in top_ups}
        named = {(each.subscription_id, top_up_bucket_id(each.cycle)) for each in top_ups}
        balances = await store.lock_balances(connection, ids, named)
        if len(balances) < len(ids):
            # The first top-up of a subscription that usage has not heard of yet.
            await store.insert_balances(connection, ids)
            balances = await store.lock_balances(connection, ids, named)
        changed = {}
        applied = 0
        for top_up in top_ups:
            balance = balances[top_up.subscription_id]
            if add_bucket(
                balance,
                _bucket(top_up),
                transaction.now,
                threshold_percent=self._threshold_percent,
                late_records=self._late_records,
            ):
                changed[balance.subscription_id] = balance
                applied += 1
        if changed:
            await store.insert_buckets(connection, changed.values())
            await store.update_balances(connection, changed.values())
        transaction.after_commit(lambda: metrics.top_ups(applied, len(top_ups) - applied))


def _bucket(top_up: TopUpApplied) -> Bucket:
    grant = top_up.grant
    return Bucket(
        bucket_id=top_up_bucket_id(top_up.cycle),
        cycle=top_up.cycle,
        stacking=grant.stacking,
        granted_bytes=grant.data_bytes,
        initial_bytes=grant.data_bytes,
        remaining_bytes=grant.data_bytes,
        initial_expires_at=top_up.expires_at,
        expires_at=top_up.expires_at,
    )


class ProjectSubscriptions:
    """subscriptions.v1: whose usage an ICCID's is. `appeared` hears of every ICCID after the commit."""

    def __init__(self, appeared: Callable[[Collection[str]], None]) -> None:
        self._appeared = appeared

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        newest: dict[str, SubscriptionChanged] = {}
        for received in batch:
            changed: SubscriptionChanged = received.message
            known = newest.get(changed.iccid)
            if known is None or _order(changed) > _order(known):
                newest[changed.iccid] = changed
        owners = [(each.iccid, each.subscription_id, each.changed_at) for each in newest.values()]
        await store.insert_balances(
            transaction.connection, {received.message.subscription_id for received in batch}
        )
        await store.upsert_iccids(transaction.connection, owners)
        transaction.after_commit(lambda: self._appeared(newest.keys()))


def _order(changed: SubscriptionChanged) -> tuple[object, int, str]:
    return changed.changed_at, changed.version, changed.subscription_id
