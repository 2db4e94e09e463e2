"""Wallets over HTTP: open them, pay in, look."""

from http import HTTPStatus
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Path

from services.payment.domain import ledger
from services.payment.domain.payment import Transfer
from services.payment.wallets import store
from shared.contracts.fields import ChargeMinor, Currency, Id
from shared.database import Connection
from shared.http.body import Answer, Body
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.caller import Caller
from shared.http.idempotency import IdempotencyKey, key_reused, request_hash
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

ACQUIRE_SECONDS = 10.0
PayerId = Annotated[Id, Path()]
CurrencyPath = Annotated[Currency, Path()]


class WalletItem(Body):
    """One wallet of a bulk request."""

    payer_id: Id
    currency: Currency


class DepositBody(Body):
    """Money paid in, in minor units of the wallet's currency."""

    amount_minor: ChargeMinor


class _Deposit(Body):
    """What a deposit's Idempotency-Key stands for."""

    payer_id: Id
    currency: Currency
    amount_minor: ChargeMinor


class WalletAnswer(Answer):
    """A wallet and what is in it."""

    payer_id: str
    currency: str
    balance_minor: int


def routes(transactions: Transactions) -> APIRouter:
    """The routes, on this service's transactions."""
    router = APIRouter(prefix="/v1/wallets", tags=["wallets"])

    @router.post("/bulk")
    async def open_wallets(body: Bulk[WalletItem]) -> BulkAnswer:
        """Open up to 1,000 wallets; one that is open stays as it is."""
        wallets = sorted({(item.payer_id, item.currency) for _, item in body.valid})
        if wallets:
            async with transactions.begin() as transaction:
                await store.open_wallets(transaction.connection, wallets)
        return body.answer()

    @router.put("/{payer_id}/{currency}")
    async def open_wallet(payer_id: PayerId, currency: CurrencyPath) -> WalletAnswer:
        """Open a payer's wallet in a currency; one that is open stays as it is."""
        async with transactions.begin() as transaction:
            await store.open_wallets(transaction.connection, [(payer_id, currency)])
            return await _read(transaction.connection, payer_id, currency)

    @router.get("/{payer_id}/{currency}")
    async def get_wallet(payer_id: PayerId, currency: CurrencyPath) -> WalletAnswer:
        """One wallet."""
        async with transactions.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            return await _read(connection, payer_id, currency)

    @router.post("/{payer_id}/{currency}/deposits", status_code=HTTPStatus.CREATED)
    async def deposit(
        payer_id: PayerId, currency: CurrencyPath, body: DepositBody, key: IdempotencyKey, caller: Caller
    ) -> WalletAnswer:
        """Pay in. The same key and body is the same deposit; the answer is the balance right after it."""
        request = request_hash(_Deposit(payer_id=payer_id, currency=currency, amount_minor=body.amount_minor))
        transfer = ledger.deposit(caller, key, payer_id, body.amount_minor, currency)

        async def work(transaction: Transaction) -> int:
            return await _deposit(transaction.connection, caller, key, request, payer_id, transfer)

        try:
            balance = await transactions.run(work)
        except asyncpg.UniqueViolationError:
            # Another request with the same key committed meanwhile: now it can be read.
            balance = await transactions.run(work)
        return WalletAnswer(payer_id=payer_id, currency=currency, balance_minor=balance)

    return router


async def _deposit(
    connection: Connection, caller: str, key: str, request: bytes, payer_id: str, transfer: Transfer
) -> int:
    made = await store.made_deposit(connection, caller, key)
    if made is not None:
        if made[0] != request:
            raise key_reused()
        return made[1]
    balance = await store.deposit(connection, caller, key, request, payer_id, transfer)
    if balance is None:
        raise _not_found(payer_id, transfer.currency)
    return balance


async def _read(connection: Connection, payer_id: str, currency: str) -> WalletAnswer:
    balance = await store.balance(connection, payer_id, currency)
    if balance is None:
        raise _not_found(payer_id, currency)
    return WalletAnswer(payer_id=payer_id, currency=currency, balance_minor=balance)


def _not_found(payer_id: str, currency: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="wallet-not-found",
        title="There is no such wallet",
        detail=f"{payer_id} has no wallet in {currency}. Open it with PUT, then pay in.",
    )
