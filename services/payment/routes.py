"""Payments and the ledger over HTTP: to look at, never to change. Commands come over Kafka."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import TypeAdapter

from services.payment import archive, store
from services.payment.domain.payment import Payment
from shared.contracts.fields import Id
from shared.http.body import Answer
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transactions

ACQUIRE_SECONDS = 10.0
PLACE: TypeAdapter[tuple[UUID]] = TypeAdapter(tuple[UUID])


class AttemptAnswer(Answer):
    """One call to a gateway; `ordinal` counts all calls of the renewal."""

    ordinal: int
    operation: str
    status: str
    code: str | None
    gateway: str
    payment_method_id: str
    provider_reference: str | None
    first_sent_at: datetime
    ended_at: datetime | None


class TransferAnswer(Answer):
    """One ledger line."""

    kind: str
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str
    transferred_at: datetime


class PaymentAnswer(Answer):
    """A payment as it stands. `decision` is null until money is taken for good or never will be."""

    renewal_id: UUID
    subscription_id: str
    payer_id: str
    version: int
    state: str
    decision: str | None
    attempt: int
    operation: str | None
    amount_minor: int | None
    currency: str
    payment_method_id: str | None
    gateway: str | None
    provider_reference: str | None
    cancel_wanted: str | None
    act_before: datetime | None
    captured_at: datetime | None
    applied_at: datetime | None
    disputed_at: datetime | None


class PaymentDetail(PaymentAnswer):
    """A payment with its calls and its ledger lines."""

    attempts: list[AttemptAnswer]
    transfers: list[TransferAnswer]


class AccountAnswer(Answer):
    """What was ever debited and credited to an account of the ledger."""

    account: str
    currency: str
    debit_minor: int
    credit_minor: int


class ProofAnswer(Answer):
    """captured = applied + refunded + held + disputed; debits equal credits; wallets agree."""

    currency: str
    captured_minor: int
    applied_minor: int
    refunded_minor: int
    held_minor: int
    disputed_minor: int
    surplus_minor: int
    wallets_minor: int
    balanced: bool


class BalancesAnswer(Answer):
    """The books: balanced where every currency is."""

    balanced: bool
    currencies: list[ProofAnswer]
    accounts: list[AccountAnswer]


def routes(transactions: Transactions) -> APIRouter:
    """The routes, on this service's database."""
    router = APIRouter(prefix="/v1")

    @router.get("/payments/{renewal_id}", tags=["payments"])
    async def get_payment(renewal_id: Annotated[UUID, Path()]) -> PaymentDetail:
        """One payment, with every call made for it and every ledger line."""
        async with transactions.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            payment = await archive.find_payment(connection, renewal_id)
            if payment is None:
                raise _not_found(renewal_id)
            attempts = await archive.find_attempts(connection, renewal_id)
            transfers = await store.read_transfers(connection, renewal_id)
        return PaymentDetail(
            **_fields(payment),
            attempts=[AttemptAnswer(**attempt) for attempt in attempts],
            transfers=[TransferAnswer(**transfer) for transfer in transfers],
        )

    @router.get("/payments", tags=["payments"])
    async def list_payments(subscription_id: Annotated[Id, Query()], position: Cursor) -> Page[PaymentAnswer]:
        """The payments of a subscription, newest first."""
        place = position.after(PLACE)
        async with transactions.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            payments = await archive.list_payments(
                connection, subscription_id, place[0] if place else None, position.limit + 1
            )
        kept, following = position.cut(payments, lambda payment: (str(payment.renewal_id),))
        return Page(items=[PaymentAnswer(**_fields(payment)) for payment in kept], next_cursor=following)

    @router.get("/ledger/balances", tags=["ledger"])
    async def get_balances() -> BalancesAnswer:
        """Whether the books balance, per currency, and what each account holds."""
        async with (
            transactions.pool.acquire(timeout=ACQUIRE_SECONDS) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            proofs = await store.read_proof(connection)
            accounts = await store.read_accounts(connection)
        currencies = [_proof(proof) for proof in proofs]
        return BalancesAnswer(
            balanced=all(proof.balanced for proof in currencies),
            currencies=currencies,
            accounts=[AccountAnswer(**account) for account in accounts],
        )

    return router


def _fields(payment: Payment) -> dict[str, Any]:
    fields = {name: getattr(payment, name, None) for name in PaymentAnswer.model_fields}
    return fields | {"payer_id": payment.terms.payer_id}


def _proof(row: dict[str, Any]) -> ProofAnswer:
    wallets_agree = row["wallets_minor"] == row["wallet_accounts_minor"]
    known = {name: row[name] for name in ProofAnswer.model_fields}
    return ProofAnswer(**known | {"balanced": row["balanced"] and wallets_agree})


def _not_found(renewal_id: UUID) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="payment-not-found",
        title="There is no payment for this renewal",
        detail=f"Payment was never told to capture or cancel anything for renewal {renewal_id}. "
        "It may still be priced: ask the renewal service, or ask here again in a few seconds.",
    )
