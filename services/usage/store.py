"""What usage keeps: functions over queries.sql, no decisions.

Longer than most: balances and records have many columns, each is named on its way in and on its way out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from services.usage.domain.balance import Balance, Bucket, Granted, Taken
from services.usage.domain.burn import Burn
from services.usage.domain.carrier import Carrier
from services.usage.domain.records import Contents, Reason, RecordKey
from services.usage.domain.triggers import Trigger, Wants
from shared.contracts.fields import Stacking
from shared.contracts.subscriptions import SubscriptionChanged
from shared.contracts.usage_records import BalanceReported, UsageRecorded
from shared.database import Connection
from shared.database.arrays import columns, sparse
from shared.database.queries import load_queries

SQL = load_queries(__file__)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REBOUND: Final = 2
"""The first version is one binding, the second may be another: only a later one may be the first again."""
_MICROSECOND: Final = timedelta(microseconds=1)
Row = Sequence[Any] | asyncpg.Record
_BURN_AT: Final = 12
_BURN_UNTIL: Final = _BURN_AT + len(Burn._fields)
"""Where the columns of the burn lie in a row of balances."""

_RECORD_COLUMNS: Final = (
    "source",
    "record_id",
    "ended_on",
    "iccid",
    "subscription_id",
    "session_id",
    "imei",
    "bytes_up",
    "bytes_down",
    "country",
    "started_at",
    "ended_at",
    "allocation",
    "overrun_bytes",
)


class KeptRecord(NamedTuple):
    """A record that was kept until its subscription was known."""

    key: RecordKey
    imei: str | None
    size: int
    started_at: datetime
    ended_at: datetime
    subscription_id: str


# -- balances ---------------------------------------------------------------------------------------


async def lock_balances_by_iccid(connection: Connection, iccids: Collection[str]) -> dict[str, Balance]:
    """By ICCID, the locked balance of whoever holds it; the same object where two belong to one.

    Raises:
        asyncpg.DeadlockDetectedError: another transaction wanted the same in another order, which can only
            be where an eSIM was replaced; doing it again succeeds.
    """
    rows = await connection.fetch(SQL["lock_balances_by_iccid"], list(iccids))
    if len(rows) < len(iccids):
        former = set(iccids).difference([row[0] for row in rows])
        rows += await connection.fetch(SQL["lock_balances_by_former_iccid"], list(former))
    balances: dict[str, Balance] = {}
    found: dict[str, Balance] = {}
    for row in rows:
        subscription_id = row[1]
        if subscription_id not in balances:
            balances[subscription_id] = _balance_of(row[1:])
        found[row[0]] = balances[subscription_id]
    return found


async def lock_balances(connection: Connection, subscription_ids: Collection[str]) -> dict[str, Balance]:
    rows = await connection.fetch(SQL["lock_balances"], list(subscription_ids))
    return {row[0]: _balance_of(row) for row in rows}


async def read_balance(connection: Connection, subscription_id: str) -> Balance | None:
    """As it is now, without a lock."""
    row = await connection.fetchrow(SQL["balance"], subscription_id)
    return None if row is None else _balance_of(row)


async def lock_due_balances(connection: Connection, now: datetime, limit: int) -> list[Balance]:
    """Those where something lapsed by now, or is about to, and that nobody else has locked."""
    return [_balance_of(row) for row in await connection.fetch(SQL["lock_due_balances"], now, limit)]


def _balance_of(row: Row) -> Balance:
    """A row of balances, in the order in which every statement selects it."""
    said, next_due_at, reported_at, open_buckets, rule_wants, place = row[_BURN_UNTIL:]
    buckets = [_bucket_of(*kept) for kept in orjson.loads(open_buckets)]
    wants = None if rule_wants is None else _wants_of(rule_wants)
    burn = Burn(*row[_BURN_AT:_BURN_UNTIL])
    fields: list[Any] = [*row[:_BURN_AT], burn, said, next_due_at, reported_at, wants, buckets, place]
    return Balance(*fields)


def _bucket_of(
    bucket_id: str,
    cycle: int,
    stacking: Stacking | None,
    priority: int,
    remaining_bytes: int,
    expires: int,
    began: int = 0,
    own_end: int | None = None,
    sold_seconds: int | None = None,
    borrowed_bytes: int = 0,
) -> Bucket:
    """An open bucket as its row has it; one from an older version has less: it was always there."""
    return Bucket(
        bucket_id,
        cycle,
        stacking,
        priority,
        remaining_bytes,
        _EPOCH + expires * _MICROSECOND,
        _EPOCH + began * _MICROSECOND,
        None if own_end is None else _EPOCH + own_end * _MICROSECOND,
        sold_seconds,
        borrowed_bytes,
    )


def _wants_of(told: str) -> tuple[int | None, ...]:
    return tuple(int(each) if each else None for each in told.split(","))


def _open_buckets(balance: Balance) -> str:
    return orjson.dumps(
        [
            (
                b.bucket_id,
                b.cycle,
                b.stacking,
                b.priority,
                b.remaining_bytes,
                (b.expires_at - _EPOCH) // _MICROSECOND,
                (b.began_at - _EPOCH) // _MICROSECOND,
                None if b.own_end is None else (b.own_end - _EPOCH) // _MICROSECOND,
                b.sold_seconds,
                b.borrowed_bytes,
            )
            for b in balance.buckets
        ]
    ).decode()


async def insert_balances(connection: Connection, subscription_ids: Collection[str]) -> None:
    """Make sure that each of these subscriptions has a row to lock."""
    await connection.execute(SQL["insert_balances"], list(subscription_ids))


async def project_subscriptions(
    connection: Connection, states: Collection[SubscriptionChanged], owned: Collection[tuple[str, str]]
) -> None:
    """Each subscription once: its newest state. `owned` are (iccid, subscription_id) that are news."""
    rows = [
        (
            each.subscription_id,
            each.version,
            each.carrier,
            each.bound_imei,
            each.changed_at,
            each.iccid if (each.iccid, each.subscription_id) in owned else None,
        )
        for each in states
    ]
    matching = [each.subscription_id for each in states if each.device_matches and each.version > _REBOUND]
    await connection.execute(SQL["project_subscriptions"], *columns(rows, 6), matching)


async def read_rule_versions(connection: Connection, subscription_ids: Collection[str]) -> dict[str, int]:
    """Of those whose rule was heard of."""
    rows = await connection.fetch(SQL["read_rule_versions"], list(subscription_ids))
    return {row["subscription_id"]: row["rule_version"] for row in rows}


async def update_wants(connection: Connection, changed: Collection[tuple[Balance, int]]) -> None:
    """Write what the rules of these locked balances want, each with its rule's version."""
    rows = [
        (
            balance.subscription_id,
            version,
            balance.rule_wants and ",".join("" if told is None else str(told) for told in balance.rule_wants),
            balance.said,
            balance.next_due_at,
        )
        for balance, version in changed
    ]
    await connection.execute(SQL["update_wants"], *columns(rows, 5))


async def upsert_iccids(
    connection: Connection, owners: Collection[tuple[str, str, datetime]]
) -> set[tuple[str, str]]:
    """Each (iccid, subscription_id, changed_at) once; the newest owner of an ICCID wins.

    Returns those (iccid, subscription_id) that are news; whoever had the ICCID has it no more.
    """
    news = await connection.fetch(SQL["upsert_iccids"], *columns(owners, 3))
    if news:
        await connection.execute(SQL["take_iccids_away"], [row["iccid"] for row in news])
    return {(row["iccid"], row["subscription_id"]) for row in news}


async def update_counts(connection: Connection, balances: Collection[Balance]) -> None:
    """Write what usage has changed, where each row lies: nothing can move it while it is locked.

    Raises:
        RuntimeError: one of them is not as it was locked in this transaction.
    """
    rows = [
        (
            balance.place,
            balance.used_bytes,
            balance.overrun_bytes,
            balance.owed_bytes or None,
            *balance.burn,
            balance.said,
            balance.foreign_imei,
            _open_buckets(balance),
        )
        for balance in balances
    ]
    answer = await connection.execute(SQL["update_counts"], *sparse(columns(rows, 10)))
    if answer != f"UPDATE {len(rows)}":
        raise RuntimeError(f"{len(rows)} balances to write, and the answer was {answer}")


async def update_cycles(connection: Connection, balances: Collection[Balance], now: datetime) -> None:
    """Write what top-ups, lapses and reports have changed, with what befell the buckets."""
    rows = [
        (
            balance.subscription_id,
            balance.cycle,
            balance.cycle_began_at,
            balance.replaced_cycle,
            balance.granted_bytes,
            balance.owed_bytes,
            balance.said,
            balance.next_due_at,
            balance.reported_at,
            _open_buckets(balance),
            *balance.burn,
        )
        for balance in balances
    ]
    await connection.execute(SQL["update_cycles"], *sparse(columns(rows, 13)))
    events = [(balance.subscription_id, *event) for balance in balances for event in balance.events]
    if events:
        await connection.execute(SQL["insert_bucket_events"], *columns(events, 5), now)


# -- buckets ----------------------------------------------------------------------------------------


async def find_buckets(
    connection: Connection, named: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Granted]:
    """Those of these (subscription_id, bucket_id) that are there, open or closed, as they were granted."""
    rows = await connection.fetch(SQL["find_buckets"], *columns(named, 2))
    return {
        (row["subscription_id"], row["bucket_id"]): Granted(
            row["bucket_id"],
            row["cycle"],
            row["stacking"],
            row["granted_bytes"],
            row["initial_bytes"],
            row["initial_expires_at"],
            row["created_at"],
        )
        for row in rows
    }


async def insert_buckets(connection: Connection, added: Collection[tuple[str, Granted]]) -> None:
    """Write the buckets that these subscriptions were granted."""
    rows = [
        (
            subscription_id,
            granted.bucket_id,
            granted.cycle,
            granted.stacking,
            granted.granted_bytes,
            granted.initial_bytes,
            granted.expires_at,
            granted.began_at,
        )
        for subscription_id, granted in added
    ]
    await connection.execute(SQL["insert_buckets"], *sparse(columns(rows, 8)))


# -- records ----------------------------------------------------------------------------------------


async def find_usage_records(connection: Connection, keys: Iterable[RecordKey]) -> dict[RecordKey, Contents]:
    """Those of these records that came before."""
    rows = await connection.fetch(SQL["find_usage_records"], *columns(keys, 3))
    return {RecordKey(*row[:3]): Contents(*row[3:]) for row in rows}


async def insert_usage_records(
    connection: Connection,
    records: Mapping[RecordKey, UsageRecorded],
    owners: Mapping[str, str],
    taken: Mapping[RecordKey, Taken],
) -> None:
    """Insert records that are new. `owners` says whose an ICCID is; who is not there is nobody yet.

    By COPY: an array for each column would be put together first, 2 microseconds a record.

    Raises:
        asyncpg.UniqueViolationError: another transaction inserted one of them meanwhile.
    """
    rows = (
        (
            *key,
            record.iccid,
            owners.get(record.iccid),
            record.session_id,
            record.imei,
            record.bytes_up,
            record.bytes_down,
            record.country,
            record.started_at,
            record.ended_at,
            *_allocation(taken.get(key)),
        )
        for key, record in records.items()
    )
    await connection.copy_records_to_table("usage_records", records=rows, columns=_RECORD_COLUMNS)


def _allocation(taken: Taken | None) -> tuple[str | None, int]:
    if taken is None:
        return None, 0
    return " ".join([f"{bucket_id}={size}" for bucket_id, size in taken.buckets]), taken.overrun_bytes


async def quarantine_records(
    connection: Connection, records: Iterable[tuple[RecordKey, Reason, UsageRecorded]]
) -> None:
    rows = [(*key, reason, record.iccid, record.model_dump_json()) for key, reason, record in records]
    await connection.execute(SQL["quarantine_records"], *columns(rows, 6))


async def lock_kept_records(connection: Connection, iccids: Collection[str], limit: int) -> list[KeptRecord]:
    """Up to `limit` kept records of these ICCIDs whose subscription is known by now."""
    rows = await connection.fetch(SQL["lock_kept_records"], list(iccids), limit)
    return [KeptRecord(RecordKey(*row[:3]), *row[3:]) for row in rows]


async def take_kept_records(connection: Connection, taken: Sequence[tuple[KeptRecord, Taken | None]]) -> None:
    """Give kept records their subscription, and note what they took."""
    rows = [(*kept.key, kept.subscription_id, *_allocation(each)) for kept, each in taken]
    await connection.execute(SQL["take_kept_records"], *sparse(columns(rows, 6)))


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


# -- triggers and carriers --------------------------------------------------------------------------


async def insert_triggers(connection: Connection, triggers: Collection[Trigger], now: datetime) -> None:
    """Keep what was said."""
    rows = [
        (
            each.message.subscription_id,
            each.message.cycle,
            each.kind,
            each.message.remaining_bytes,
        )
        for each in triggers
    ]
    await connection.execute(SQL["insert_triggers"], *columns(rows, 4), now)


async def read_carriers(connection: Connection) -> dict[str, Carrier]:
    """The settings of every carrier that has any."""
    rows = await connection.fetch(SQL["read_carriers"])
    return {
        row["carrier"]: Carrier(row["counting"], row["overrun"], Wants(*row[3:7]), row["tolerance_bytes"])
        for row in rows
    }
