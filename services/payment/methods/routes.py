"""Payment methods over HTTP. A token is taken in, and neither shown, logged nor told to anybody."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field, SecretStr, StringConstraints, TypeAdapter, field_validator, model_validator

from services.payment.domain.capabilities import GATEWAYS
from services.payment.domain.payment import WALLET
from services.payment.methods import store
from services.payment.methods.store import Given, Kept
from shared.contracts.checks import luhn_is_valid
from shared.contracts.fields import Id, PaymentMethodKind
from shared.contracts.payment_methods import PaymentMethodChanged
from shared.http.body import Answer, Body
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

ACQUIRE_SECONDS = 10.0
_GROUPING = str.maketrans("", "", " -.")
PLACE: TypeAdapter[tuple[Id]] = TypeAdapter(tuple[Id])
"""Where a page begins: the id of the last method that was seen."""

Network = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""As PSPs name them: visa, mastercard, amex, ..."""


def looks_like_a_card_number(text: str) -> bool:
    """12 to 19 digits, however grouped, with a Luhn digit at their end."""
    digits = text.translate(_GROUPING)
    return 12 <= len(digits) <= 19 and luhn_is_valid(digits)


class MethodBody(Body):
    """A payer's way to pay. `token` is the PSP's name for the card; a wallet has none."""

    payer_id: Id
    kind: PaymentMethodKind
    token: SecretStr | None = Field(None, description="from the PSP's own form, never a card number")
    gateway: Id | None = Field(None, description="the PSP that issued the token; the default one if left out")
    network: Network | None = Field(
        None, description="the card's, as the PSP tells it; unknown ones are tried least often"
    )

    @field_validator("token")
    @classmethod
    def _is_a_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is None:
            return None
        text = token.get_secret_value()
        if not 1 <= len(text) <= 255 or not all("!" <= character <= "~" for character in text):
            raise ValueError("must be 1 to 255 visible ASCII characters")
        if looks_like_a_card_number(text):
            raise ValueError("looks like a card number: send the token that the PSP made of it")
        return token

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "MethodBody":
        if (self.kind == "wallet") != (self.token is None):
            raise ValueError("a wallet has no token, every other kind needs one")
        if self.gateway is not None and self.gateway != WALLET and self.gateway not in GATEWAYS:
            raise ValueError(f"the gateway must be one of {', '.join(sorted(GATEWAYS))}")
        if self.gateway is not None and (self.gateway == WALLET) != (self.kind == "wallet"):
            raise ValueError("a wallet pays by the gateway `wallet`, and nothing else does")
        if self.network is not None and self.kind != "card":
            raise ValueError("only a card has a network")
        return self


class MethodItem(MethodBody):
    """One method of a bulk request."""

    payment_method_id: Id


class MethodAnswer(Answer):
    """A way to pay, without its token."""

    payment_method_id: str
    payer_id: str
    kind: str
    status: str
    gateway: str
    network: str | None
    version: int


def routes(transactions: Transactions, *, default_gateway: str) -> APIRouter:
    """The routes, on this service's transactions."""
    router = APIRouter(prefix="/v1/payment-methods", tags=["payment methods"])

    def given(payment_method_id: str, body: MethodBody) -> Given:
        gateway = WALLET if body.kind == "wallet" else body.gateway or default_gateway
        token = body.token.get_secret_value() if body.token is not None else None
        return Given(payment_method_id, body.payer_id, body.kind, gateway, token, body.network)

    @router.post("/bulk")
    async def put_methods(body: Bulk[MethodItem]) -> BulkAnswer:
        """Up to 1,000 methods, each judged by itself; of one id that comes twice the last one counts."""
        valid = {item.payment_method_id: (index, item) for index, item in body.valid}
        methods = [given(id_, item) for id_, (_, item) in valid.items()]
        kept = await transactions.run(lambda transaction: _put(transaction, methods)) if methods else {}
        refused = {
            index: _of_another(id_)
            for id_, (index, item) in valid.items()
            if kept[id_].payer_id != item.payer_id
        }
        return body.answer(refused)

    @router.get("")
    async def list_methods(position: Cursor) -> Page[MethodAnswer]:
        """All methods, those that were removed too, by their ids and without their tokens."""
        [after] = position.after(PLACE) or ("",)
        async with transactions.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            found = await store.list_methods(connection, after, position.limit + 1)
        page, next_cursor = position.cut(found, lambda one: [one.payment_method_id])
        return Page(items=[MethodAnswer.model_validate(asdict(one)) for one in page], next_cursor=next_cursor)

    @router.put("/{payment_method_id}")
    async def put_method(payment_method_id: Annotated[Id, Path()], body: MethodBody) -> MethodAnswer:
        """Write a method. The same again changes nothing; a removed one becomes active again."""
        method = given(payment_method_id, body)
        kept = (await transactions.run(lambda transaction: _put(transaction, [method])))[payment_method_id]
        if kept.payer_id != body.payer_id:
            raise _of_another(payment_method_id)
        return MethodAnswer.model_validate(asdict(kept))

    @router.get("/{payment_method_id}")
    async def get_method(payment_method_id: Annotated[Id, Path()]) -> MethodAnswer:
        """One method, without its token."""
        async with transactions.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            kept = (await store.read_methods(connection, [payment_method_id])).get(payment_method_id)
        if kept is None:
            raise _not_found(payment_method_id)
        return MethodAnswer.model_validate(asdict(kept))

    @router.delete("/{payment_method_id}")
    async def remove_method(payment_method_id: Annotated[Id, Path()]) -> MethodAnswer:
        """Remove a method and forget its token. What was paid with it stays, and can be refunded."""
        kept = await transactions.run(lambda transaction: _remove(transaction, payment_method_id))
        return MethodAnswer.model_validate(asdict(kept))

    return router


async def _put(transaction: Transaction, methods: list[Given]) -> dict[str, Kept]:
    changed = await store.put_methods(transaction.connection, methods)
    _tell(transaction, changed)
    kept = {method.payment_method_id: method for method in changed}
    others = [method.payment_method_id for method in methods if method.payment_method_id not in kept]
    return kept | (await store.read_methods(transaction.connection, others) if others else {})


async def _remove(transaction: Transaction, payment_method_id: str) -> Kept:
    removed = await store.remove_method(transaction.connection, payment_method_id)
    if removed is not None:
        _tell(transaction, [removed])
        return removed
    known = await store.read_methods(transaction.connection, [payment_method_id])
    if payment_method_id not in known:
        raise _not_found(payment_method_id)
    return known[payment_method_id]


def _tell(transaction: Transaction, changed: list[Kept]) -> None:
    for method in changed:
        transaction.send(
            PaymentMethodChanged.model_validate(
                {
                    "payment_method_id": method.payment_method_id,
                    "payer_id": method.payer_id,
                    "kind": method.kind,
                    "status": method.status,
                    "version": method.version,
                }
            )
        )


def _not_found(payment_method_id: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="payment-method-not-found",
        title="The payment method is not known",
        detail=f"There is no payment method {payment_method_id}. PUT it first, with its payer and token.",
    )


def _of_another(payment_method_id: str) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        type="payment-method-of-another-payer",
        title="The payment method belongs to somebody else",
        detail=f"{payment_method_id} is another payer's method, so nothing was changed. Use another id.",
    )
