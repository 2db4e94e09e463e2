"""The HTTP API for whoever reads all rules and mandates: page by page, in the order of their keys."""

from typing import Final

from fastapi import APIRouter
from pydantic import TypeAdapter

from services.renewal.rules import listing_store
from services.renewal.rules.views import MandateView, RuleView, mandate_view, rule_view
from shared.http.paging import Cursor, Page
from shared.messaging.transaction import Transactions

_RULE: Final[TypeAdapter[tuple[str]]] = TypeAdapter(tuple[str])
_MANDATE: Final[TypeAdapter[tuple[str, str]]] = TypeAdapter(tuple[str, str])


class ListingRoutes:
    """GET /v1/renewal-rules and GET /v1/mandates: of every subscription."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self.router = router = APIRouter()
        router.add_api_route("/v1/renewal-rules", self.rules, methods=["GET"], tags=["renewal rules"])
        router.add_api_route("/v1/mandates", self.mandates, methods=["GET"], tags=["mandates"])

    async def rules(self, position: Cursor) -> Page[RuleView]:
        """Every subscription's rule, by the subscriptions' ids."""
        [after] = position.after(_RULE) or ("",)
        async with self._transactions.begin() as transaction:
            found = await listing_store.list_rules(transaction.connection, after, position.limit + 1)
        kept, next_cursor = position.cut(found, lambda rule: (rule.subscription_id,))
        return Page(items=[rule_view(rule) for rule in kept], next_cursor=next_cursor)

    async def mandates(self, position: Cursor) -> Page[MandateView]:
        """Every mandate, those that were revoked too, by subscription and name."""
        after = position.after(_MANDATE) or ("", "")
        async with self._transactions.begin() as transaction:
            found = await listing_store.list_mandates(transaction.connection, after, position.limit + 1)
        kept, next_cursor = position.cut(found, lambda each: (each.subscription_id, each.mandate_id))
        return Page(items=[mandate_view(each) for each in kept], next_cursor=next_cursor)
