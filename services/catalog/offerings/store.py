"""Offerings in Postgres: functions over queries.sql, no decisions."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

import asyncpg
import orjson

from services.catalog.offerings.domain.offering import Offering, OfferingVersion
from shared.contracts.subscriptions import SubscriptionChanged
from shared.database import Connection, Pool
from shared.database.arrays import columns
from shared.database.queries import load_queries

_SQL = load_queries(__file__)


class Buyer(NamedTuple):
    """What of a subscription decides whether it may buy."""

    brand: str
    carrier: str
    status: str


async def read_offerings(connection: Connection, ids: Collection[str]) -> dict[str, Offering]:
    rows = await connection.fetch(_SQL["read_offerings"], list(ids))
    return {row["offering_id"]: _offering(row) for row in rows}


async def write_offerings(
    connection: Connection,
    offerings: Sequence[Offering],
    versions: Sequence[OfferingVersion],
    revision: int,
    now: datetime,
) -> None:
    """Write the new state of offerings and what pricing will read of it."""
    rows = orjson.dumps([asdict(offering) for offering in offerings]).decode()
    await connection.execute(_SQL["write_offerings"], rows, now)
    history = [
        (
            version.offering_id,
            version.version,
            version.effective_from,
            version.data_bytes,
            version.validity_seconds,
            version.stacking,
            version.product_code,
            version.status,
        )
        for version in versions
    ]
    await connection.execute(_SQL["insert_versions"], *columns(history, 8), revision)


async def versions_since(pool: Pool, revision: int, timeout_seconds: float) -> list[OfferingVersion]:
    """Every version that was written after that revision of the price list."""
    rows = await pool.fetch(_SQL["versions_since"], revision, timeout=timeout_seconds)
    return [OfferingVersion(**dict(row)) for row in rows]


async def list_offerings(
    connection: Connection, destination: str | None, buyer: Buyer | None, after: str | None, limit: int
) -> list[Offering]:
    """Up to `limit` offerings after that id; only what `buyer` may buy, if one is given."""
    brand, carrier, status = buyer or (None, None, None)
    rows = await connection.fetch(_SQL["list_offerings"], destination, brand, carrier, status, after, limit)
    return [_offering(row) for row in rows]


async def buyer(connection: Connection, subscription_id: str) -> Buyer | None:
    row = await connection.fetchrow(_SQL["subscription"], subscription_id)
    return None if row is None else Buyer(*row)


async def upsert_subscriptions(
    connection: Connection, subscriptions: Collection[SubscriptionChanged]
) -> None:
    """Each subscription once; older versions than the ones that are there change nothing."""
    rows = [
        (each.subscription_id, each.version, each.brand, each.carrier, each.status) for each in subscriptions
    ]
    await connection.execute(_SQL["upsert_subscriptions"], *columns(rows, 5))


def _offering(row: asyncpg.Record) -> Offering:
    fields = dict(row)
    for name in ("brands", "carriers", "subscription_statuses"):
        fields[name] = tuple(fields[name])
    return Offering(**fields)
