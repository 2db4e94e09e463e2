"""The HTTP API of reviews: what is to be decided, the oldest first; approve it, or refuse it."""

from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, TypeAdapter

from services.renewal.acceptance import decisions, review_store
from services.renewal.acceptance.decisions import Wanted
from services.renewal.domain.acceptance import ReviewState
from services.renewal.domain.policy import Policy
from services.renewal.domain.review import Review
from services.renewal.operators.views import Seen
from shared.contracts.fields import Origin
from shared.http.body import Answer
from shared.http.paging import Cursor, Page
from shared.messaging.transaction import Transaction, Transactions
from shared.operators.who import Acting, Gate, Looking

_PLACE: Final[TypeAdapter[tuple[AwareDatetime, UUID]]] = TypeAdapter(tuple[AwareDatetime, UUID])


class ReviewView(Answer):
    """What is to be decided, or what became of it. `kinds` are those of `reviewed_method_ids`."""

    renewal_id: UUID
    version: int
    state: ReviewState
    subscription_id: str
    caller: str
    origin: Origin
    offering_id: str
    max_amount_minor: int
    currency: str
    payer_id: str
    destination: str | None
    payer_country: str | None
    kinds: list[str]
    reviewed_method_ids: list[str]
    opened_at: datetime
    decide_before: datetime
    ended_at: datetime | None
    reason: str | None
    detail: str | None


class ReviewRoutes:
    """The routes under /v1/operator/reviews."""

    def __init__(self, transactions: Transactions, policy: Policy, gate: Gate) -> None:
        self._transactions = transactions
        self._policy = policy
        self.router = router = APIRouter(tags=["operators"], dependencies=[Depends(gate)])
        add, path = router.add_api_route, "/v1/operator/reviews"
        one, accepted = f"{path}/{{renewal_id}}", HTTPStatus.ACCEPTED
        add(path, self.find, methods=["GET"])
        add(f"{one}/approve", self.approve, methods=["POST"], status_code=accepted)
        add(f"{one}/refuse", self.refuse, methods=["POST"])

    async def find(self, position: Cursor, _who: Looking) -> Page[ReviewView]:
        """What waits for a decision, the oldest first: who wants to pay for what, from where, until when."""
        after = position.after(_PLACE)
        async with self._transactions.begin() as transaction:
            rows = await review_store.list_open(transaction.connection, after, position.limit + 1)
        kept, next_cursor = position.cut(rows, lambda row: (row.opened_at, str(row.renewal_id)))
        return Page(items=[view(row) for row in kept], next_cursor=next_cursor)

    async def approve(self, renewal_id: UUID, body: Seen, who: Acting, response: Response) -> ReviewView:
        """Accept the reviewed methods for this renewal: it is admitted anew, everything else is checked now.

        `refused`, with the reason, where something else hinders it by now.
        """
        wanted = Wanted(who.name, body.why, body.version)

        async def work(transaction: Transaction) -> Review:
            return await decisions.approve(transaction, self._policy, renewal_id, wanted)

        found = await self._transactions.run(work)
        response.headers["Location"] = f"/v1/renewals/{renewal_id}"
        return view(found)

    async def refuse(self, renewal_id: UUID, body: Seen, who: Acting) -> ReviewView:
        """It is refused with `not_accepted`, and whoever asked is told."""
        wanted = Wanted(who.name, body.why, body.version)

        async def work(transaction: Transaction) -> Review:
            return await decisions.refuse(transaction, self._policy, renewal_id, wanted)

        return view(await self._transactions.run(work))


def view(review: Review) -> ReviewView:
    """A review as operators see it."""
    members = review._asdict() | {
        "origin": review.request.origin,
        "payer_id": review.payer_id or review.owner_id,
        "kinds": review.kinds.split(","),
        "reviewed_method_ids": review.reviewed.split(","),
        "decide_before": review.deadline_at,
    }
    return ReviewView.model_validate({name: members[name] for name in ReviewView.model_fields})
