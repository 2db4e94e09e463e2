"""The HTTP API of mandates: evidence of consent is recorded, read, and revoked."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Response

from services.renewal.operators.views import Because
from services.renewal.rules import mandate_store, mandates
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.views import BulkMandate, MandateBody, MandateView, mandate_of, mandate_view
from shared.contracts.fields import Id
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.caller import Caller
from shared.http.paging import Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

SubscriptionId = Annotated[Id, Path()]
MandateId = Annotated[Id, Path()]


class MandateRoutes:
    """The routes under /v1/subscriptions/{subscription_id}/mandates."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self.router = router = APIRouter(tags=["mandates"])
        path = "/v1/subscriptions/{subscription_id}/mandates"
        router.add_api_route(path, self.find, methods=["GET"])
        router.add_api_route(f"{path}/{{mandate_id}}", self.put, methods=["PUT"])
        router.add_api_route(f"{path}/{{mandate_id}}", self.read, methods=["GET"])
        router.add_api_route(f"{path}/{{mandate_id}}/revoke", self.revoke, methods=["POST"])
        router.add_api_route("/v1/mandates/bulk", self.put_many, methods=["POST"])

    async def put(
        self,
        subscription_id: SubscriptionId,
        mandate_id: MandateId,
        body: MandateBody,
        caller: Caller,
        response: Response,
    ) -> MandateView:
        """Record what a payer agreed to. 201: recorded; 200: it was, with the same contents."""

        async def work(transaction: Transaction) -> tuple[Mandate, bool]:
            given = mandate_of(body, subscription_id, mandate_id, caller, transaction.now)
            return await mandates.record(transaction, given)

        mandate, is_new = await self._transactions.run(work)
        if is_new:
            response.status_code = HTTPStatus.CREATED
        return mandate_view(mandate)

    async def put_many(self, body: Bulk[BulkMandate], caller: Caller) -> BulkAnswer:
        """Record many; each is judged by itself, and the same again changes nothing."""
        items = body.valid

        async def work(transaction: Transaction) -> list[Problem | None]:
            now = transaction.now
            given = [
                mandate_of(item, item.subscription_id, item.mandate_id, caller, now) for _, item in items
            ]
            problems, _new = await mandates.record_many(transaction, given)
            return problems

        problems = await self._transactions.run(work) if items else []
        return body.answer(
            {
                index: problem
                for (index, _), problem in zip(items, problems, strict=True)
                if problem is not None
            }
        )

    async def read(self, subscription_id: SubscriptionId, mandate_id: MandateId) -> MandateView:
        """One mandate."""
        async with self._transactions.begin() as transaction:
            return mandate_view(await mandates.known(transaction, (subscription_id, mandate_id)))

    async def find(self, subscription_id: SubscriptionId) -> Page[MandateView]:
        """All mandates of a subscription, newest first."""
        async with self._transactions.begin() as transaction:
            found = await mandate_store.list_mandates(transaction.connection, subscription_id)
        return Page(items=[mandate_view(mandate) for mandate in found])

    async def revoke(
        self, subscription_id: SubscriptionId, mandate_id: MandateId, body: Because, caller: Caller
    ) -> MandateView:
        """Charge nothing on it any more, for good; what is under way finishes. Twice is once."""

        async def work(transaction: Transaction) -> Mandate:
            return await mandates.revoke(transaction, (subscription_id, mandate_id), caller, body.why)

        return mandate_view(await self._transactions.run(work))
