"""The HTTP API of rules: one standing instruction per subscription, set as a whole, paused and resumed."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Response

from services.renewal.domain.admission import Refusal
from services.renewal.domain.policy import Policy
from services.renewal.operators.views import Because
from services.renewal.routes import refusal_problem
from services.renewal.rules import pausing, setting, store
from services.renewal.rules.domain.rule import RenewalRule
from services.renewal.rules.views import BulkRule, RuleBody, RuleView, rule_view
from shared.contracts.fields import Id
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.caller import Caller
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

SubscriptionId = Annotated[Id, Path()]


class RuleRoutes:
    """The routes of renewal rules."""

    def __init__(self, transactions: Transactions, policy: Policy) -> None:
        self._transactions = transactions
        self._policy = policy
        self.router = router = APIRouter(tags=["renewal rules"])
        path = "/v1/subscriptions/{subscription_id}/renewal-rule"
        router.add_api_route(path, self.put, methods=["PUT"])
        router.add_api_route(path, self.read, methods=["GET"])
        router.add_api_route(f"{path}/pause", self.pause, methods=["POST"])
        router.add_api_route(f"{path}/resume", self.resume, methods=["POST"])
        router.add_api_route("/v1/renewal-rules/bulk", self.put_many, methods=["POST"])

    async def put(
        self, subscription_id: SubscriptionId, body: RuleBody, caller: Caller, response: Response
    ) -> RuleView:
        """Set the rule, replacing the one before. To stop it for good, set `enabled` to false."""

        async def work(transaction: Transaction) -> RenewalRule:
            [refusal] = await setting.set_rules(transaction, [body.wanted(subscription_id)], caller)
            if refusal is not None:
                raise refusal_problem(refusal)
            return await _known(transaction, subscription_id)

        return _shown(await self._transactions.run(work), response)

    async def read(self, subscription_id: SubscriptionId, response: Response) -> RuleView:
        """The subscription's rule."""
        async with self._transactions.begin() as transaction:
            return _shown(await _known(transaction, subscription_id), response)

    async def pause(
        self, subscription_id: SubscriptionId, body: Because, caller: Caller, response: Response
    ) -> RuleView:
        """Charge nothing until it is resumed; what was announced is called off. Twice is once."""

        async def work(transaction: Transaction) -> RenewalRule:
            await pausing.pause(transaction, [subscription_id], caller, body.why)
            return await _known(transaction, subscription_id)

        return _shown(await self._transactions.run(work), response)

    async def resume(
        self, subscription_id: SubscriptionId, body: Because, caller: Caller, response: Response
    ) -> RuleView:
        """Let it go on; data that ran out meanwhile is renewed now, if its other limits allow.

        Where its subscriber has stopped it besides (`opted_out`), only what others have paused is lifted by
        this: once more lifts the subscriber's word, too.
        """

        async def work(transaction: Transaction) -> RenewalRule:
            await setting.resume(
                transaction, [subscription_id], caller, body.why, self._policy, opt_outs=True
            )
            return await _known(transaction, subscription_id)

        return _shown(await self._transactions.run(work), response)

    async def put_many(self, body: Bulk[BulkRule], caller: Caller) -> BulkAnswer:
        """Set many rules; each is judged by itself."""
        items = body.valid
        wanted = [item.wanted(item.subscription_id) for _, item in items]

        async def work(transaction: Transaction) -> list[Refusal | None]:
            return await setting.set_rules(transaction, wanted, caller)

        refusals = await self._transactions.run(work) if wanted else []
        return body.answer(
            {
                index: refusal_problem(refusal)
                for (index, _), refusal in zip(items, refusals, strict=True)
                if refusal is not None
            }
        )


def _shown(rule: RenewalRule, response: Response) -> RuleView:
    response.headers["ETag"] = f'"{rule.version}"'
    return rule_view(rule)


async def _known(transaction: Transaction, subscription_id: str) -> RenewalRule:
    rule = await store.read(transaction.connection, subscription_id)
    if rule is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            type="renewal-rule-not-found",
            title="The subscription has no rule",
            detail=f"No rule was ever set for subscription {subscription_id}. Set one with PUT.",
        )
    return rule
