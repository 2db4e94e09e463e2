"""What usage keeps: functions over queries.sql, no decisions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.usage.domain.balance import Balance, Bucket
from services.usage.domain.triggers import Trigger
from shared.contracts.usage_records import BalanceReported, UsageRecorded
from shared.database import Connection
from shared.database.arrays import columns, sparse
from shared.database.queries import load_queries

SQL = load_queries(__file__)

RecordKey = tuple[str, str]
"""(`source`, `record_id`): what a usage record is known by."""


class Placed(NamedTuple):
    """A record after the insert: whose it is (None: nobody's yet), and whether it is new."""

    subscription_id: str | None
    is_fresh: bool


class Taken(NamedTuple):
    """A kept record that has found its subscription."""

    subscription_id: str
    size: int
    started_at: datetime
    refused_reason: str | None


async def insert_usage_records(
    connection: Connection,
    records: Mapping[RecordKey, UsageRecorded],
    refused: Mapping[RecordKey, str],
    *,
    keep_unknown: bool,
) -> dict[RecordKey, Placed]:
    """Insert what is new; `keep_unknown` says whether records of unknown ICCIDs may be stored."""
    rows = [
        (
            record.source,
            record.record_id,
            record.iccid,
            record.session_id,
            record.imei,
            record.bytes_up,
            record.bytes_down,
            record.country,
            record.started_at,
            record.ended_at,
            refused.get(key),
        )
        for key, record in records.items()
    ]
    placed = await connection.fetch(SQL["insert_usage_records"], *columns(rows, 11), keep_unknown)
    return {(row[0], row[1]): Placed(row[2], row[3]) for row in placed}


async def take_kept_records(connection: Connection, iccids: Collection[str], limit: int) -> list[Taken]:
    """Give up to `limit` kept records of these ICCIDs their subscription."""
    rows = await connection.fetch(SQL["take_kept_records"], list(iccids), limit)
    return [Taken(*row) for row in rows]


async def insert_balance_reports(connection: Connection, reports: Sequence[BalanceReported]) -> None:
    rows = [
        (
            report.source,
            report.report_id,
            report.iccid,
            report.remaining_bytes,
            report.expires_at,
            report.reported_at,
        )
        for report in reports
    ]
    await connection.execute(SQL["insert_balance_reports"], *columns(rows, 6))


async def insert_balances(connection: Connection, subscription_ids: Collection[str]) -> None:
    """Make sure that each of these subscriptions has a row to lock."""
    await connection.execute(SQL["insert_balances"], list(subscription_ids))


async def lock_balances(
    connection: Connection,
    subscription_ids: Collection[str],
    named: Collection[tuple[str, str]] = (),
) -> dict[str, Balance]:
    """Lock and read. `named` are (subscription_id, bucket_id) that must be read even if closed."""
    ids = list(subscription_ids)
    rows = await connection.fetch(SQL["lock_balances"], ids)
    balances = {row[0]: Balance(*row) for row in rows}
    # Only after the lock: what a statement reads together with it may be older than the lock.
    for row in await connection.fetch(SQL["read_buckets"], ids, *columns(named, 2)):
        balances[row["subscription_id"]].buckets.append(
            Bucket(
                bucket_id=row["bucket_id"],
                cycle=row["cycle"],
                stacking=row["stacking"],
                granted_bytes=row["granted_bytes"],
                initial_bytes=row["initial_bytes"],
                remaining_bytes=row["remaining_bytes"],
                initial_expires_at=row["initial_expires_at"],
                expires_at=row["expires_at"],
                priority=row["priority"],
                created_at=row["created_at"],
                closed_at=row["closed_at"],
            )
        )
    return balances


async def insert_buckets(connection: Connection, balances: Collection[Balance]) -> None:
    """Write the buckets that were added to these balances."""
    rows = [
        (
            balance.subscription_id,
            bucket.bucket_id,
            bucket.cycle,
            bucket.stacking,
            bucket.priority,
            bucket.granted_bytes,
            bucket.initial_bytes,
            bucket.remaining_bytes,
            bucket.initial_expires_at,
            bucket.expires_at,
            bucket.created_at,
            bucket.closed_at,
        )
        for balance in balances
        for bucket in balance.buckets
        if bucket.is_new
    ]
    await connection.execute(SQL["insert_buckets"], *sparse(columns(rows, 12)))


async def update_balances(connection: Connection, balances: Collection[Balance]) -> None:
    """Write the totals, and the buckets that were there before and changed."""
    buckets = [
        (
            balance.subscription_id,
            bucket.bucket_id,
            bucket.remaining_bytes,
            bucket.expires_at,
            bucket.closed_at,
        )
        for balance in balances
        for bucket in balance.buckets
        if bucket.is_changed and not bucket.is_new
    ]
    totals = [
        (
            balance.subscription_id,
            balance.cycle,
            balance.replaced_cycle,
            balance.threshold_bytes,
            balance.used_bytes,
            balance.overrun_bytes,
        )
        for balance in balances
    ]
    await connection.execute(
        SQL["update_balances"], *sparse(columns(buckets, 5)), *sparse(columns(totals, 6))
    )


async def insert_triggers(
    connection: Connection, triggers: Collection[Trigger], now: datetime
) -> set[tuple[str, str]]:
    """The (subscription_id, kind) of those that were not said before in their cycle."""
    rows = [(each.subscription_id, each.cycle, each.kind, each.remaining_bytes) for each in triggers]
    fresh = await connection.fetch(SQL["insert_triggers"], *columns(rows, 4), now)
    return {(row[0], row[1]) for row in fresh}


async def upsert_iccids(connection: Connection, owners: Collection[tuple[str, str, datetime]]) -> None:
    """Each (iccid, subscription_id, changed_at) once; the newest owner of an ICCID wins."""
    await connection.execute(SQL["upsert_iccids"], *columns(owners, 3))
