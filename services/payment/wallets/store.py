"""Functions over queries.sql: wallets and what is paid into them."""

from collections.abc import Sequence

from services.payment.domain.payment import Transfer
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__)


async def open_wallets(connection: Connection, wallets: Sequence[tuple[str, str]]) -> None:
    """Open wallets given as (payer, currency)."""
    await connection.execute(SQL["open_wallets"], *columns(wallets, 2))


async def balance(connection: Connection, payer_id: str, currency: str) -> int | None:
    """In minor units; None where there is no such wallet."""
    found: int | None = await connection.fetchval(SQL["read_wallet"], payer_id, currency)
    return found


async def made_deposit(connection: Connection, caller: str, key: str) -> tuple[bytes, int] | None:
    """The request's hash and the balance after the deposit that was made under the caller's key."""
    row = await connection.fetchrow(SQL["read_deposit"], caller, key)
    return None if row is None else (row[0], row[1])


async def deposit(
    connection: Connection, caller: str, key: str, request: bytes, payer_id: str, transfer: Transfer
) -> int | None:
    """The balance after the deposit, in minor units; None where there is no such wallet.

    Raises:
        asyncpg.UniqueViolationError: another request with this key came first.
    """
    after: int | None = await connection.fetchval(
        SQL["deposit"],
        caller,
        key,
        request,
        payer_id,
        transfer.currency,
        transfer.amount_minor,
        transfer.id,
        transfer.debit_account,
        transfer.credit_account,
    )
    return after
