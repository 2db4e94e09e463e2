"""Prices in Postgres: functions over queries.sql, no decisions."""

from collections.abc import Collection

from services.catalog.prices.domain.schedule import Price
from shared.database import Connection, Pool
from shared.database.arrays import columns
from shared.database.queries import load_queries

_SQL = load_queries(__file__)


async def read_prices(connection: Connection, offering_ids: Collection[str]) -> dict[str, list[Price]]:
    """All prices of each of these offerings that exists; an offering without prices has an empty list."""
    ids = list(offering_ids)
    prices: dict[str, list[Price]] = {
        row["offering_id"]: [] for row in await connection.fetch(_SQL["known_offerings"], ids)
    }
    for row in await connection.fetch(_SQL["read_prices"], ids):
        prices[row["offering_id"]].append(Price(*row))
    return prices


async def write_prices(connection: Connection, prices: Collection[Price], revision: int) -> None:
    """Write new and changed prices."""
    keys = [(price.offering_id, price.price_id) for price in prices]
    await connection.execute(_SQL["free_starts"], *columns(keys, 2))
    rows = [
        (
            price.offering_id,
            price.price_id,
            price.currency,
            price.amount_minor,
            price.effective_from,
            price.withdrawn_from,
        )
        for price in prices
    ]
    await connection.execute(_SQL["insert_prices"], *columns(rows, 6), revision)


async def prices_since(pool: Pool, revision: int, timeout_seconds: float) -> list[Price]:
    """Every price that was written after that revision of the price list."""
    rows = await pool.fetch(_SQL["prices_since"], revision, timeout=timeout_seconds)
    return [Price(*row) for row in rows]
