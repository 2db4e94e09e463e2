"""The HTTP API that tells why a subscription did, or did not, renew by itself."""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, Field, TypeAdapter

from services.renewal.rules import decision_store
from services.renewal.rules.domain.decision import Decision
from services.renewal.rules.views import DecisionView, decision_view
from shared.contracts.fields import Count, Id
from shared.http.paging import Cursor, Page
from shared.messaging.transaction import Transactions

_Kind = Annotated[str, Field(max_length=20, pattern=r"^[a-z]+$")]
_PLACE: Final[TypeAdapter[tuple[AwareDatetime, int, str, int]]] = TypeAdapter(
    tuple[AwareDatetime, Count, _Kind, Count]
)


class DecisionRoutes:
    """The route /v1/subscriptions/{subscription_id}/renewal-decisions."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self.router = router = APIRouter(tags=["renewal rules"])
        path = "/v1/subscriptions/{subscription_id}/renewal-decisions"
        router.add_api_route(path, self.find, methods=["GET"])

    async def find(self, subscription_id: Annotated[Id, Path()], position: Cursor) -> Page[DecisionView]:
        """What became of each trigger of the subscription, why, and when it is tried again; newest first."""
        after = position.after(_PLACE)
        async with self._transactions.begin() as transaction:
            rows = await decision_store.list_decisions(
                transaction.connection, subscription_id, after, position.limit + 1
            )
        kept, next_cursor = position.cut(rows, _place)
        return Page(items=[decision_view(decision) for decision in kept], next_cursor=next_cursor)


def _place(decision: Decision) -> decision_store.Place:
    return decision.decided_at, decision.cycle, decision.kind, decision.dunning_try
