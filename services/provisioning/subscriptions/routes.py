"""The HTTP API of subscriptions."""

from http import HTTPStatus
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Path, Query, Response
from pydantic import TypeAdapter

from services.provisioning.subscriptions import changes, store
from services.provisioning.subscriptions.bodies import (
    StatusBody,
    SubscriptionAnswer,
    SubscriptionBody,
    SubscriptionItem,
    answer_of,
    subscription_of,
)
from services.provisioning.subscriptions.domain.subscription import repeated
from shared.contracts.fields import Id
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transactions

SubscriptionId = Annotated[Id, Path()]
PLACE: TypeAdapter[tuple[Id]] = TypeAdapter(tuple[Id])
"""Where a page begins: the id of the last subscription that was seen."""


def routes(transactions: Transactions) -> APIRouter:
    """The routes, on this service's transactions."""
    router = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])

    @router.put("/{subscription_id}", responses={201: {"model": SubscriptionAnswer}})
    async def put_subscription(
        subscription_id: SubscriptionId, body: SubscriptionBody, response: Response
    ) -> SubscriptionAnswer:
        """Create a subscription (201) or make it what the body says (200)."""
        wanted = subscription_of(subscription_id, body)
        try:
            [written] = await transactions.run(lambda transaction: changes.put(transaction, [wanted]))
        except asyncpg.UniqueViolationError:
            raise _iccid_taken() from None
        if written.change == "iccid_taken":
            raise _iccid_taken()
        if written.change == "created":
            response.status_code = HTTPStatus.CREATED
        return answer_of(written.subscription)

    @router.post("/bulk")
    async def put_subscriptions(body: Bulk[SubscriptionItem]) -> BulkAnswer:
        """Up to 1,000 subscriptions, created or revised, each judged by itself."""
        wanted = [subscription_of(item.subscription_id, item) for _, item in body.valid]
        places = [index for index, _ in body.valid]
        doubles = repeated(wanted)
        refused = {places[at]: _repeated(places[first]) for at, first in doubles.items()}
        single = [at for at in range(len(wanted)) if at not in doubles]
        if single:
            try:
                written = await transactions.run(
                    lambda transaction: changes.put(transaction, [wanted[at] for at in single])
                )
            except asyncpg.UniqueViolationError:
                raise _iccid_taken() from None
            for at, one in zip(single, written, strict=True):
                if one.change == "iccid_taken":
                    refused[places[at]] = _iccid_taken()
        return body.answer(refused)

    @router.get("/{subscription_id}")
    async def get_subscription(subscription_id: SubscriptionId) -> SubscriptionAnswer:
        """One subscription."""
        async with transactions.pool.acquire(timeout=10) as connection:
            found = await store.get(connection, subscription_id)
        if found is None:
            raise _not_found(subscription_id)
        return answer_of(found)

    @router.patch("/{subscription_id}")
    async def patch_subscription(subscription_id: SubscriptionId, body: StatusBody) -> SubscriptionAnswer:
        """Change a subscription's status."""
        found = await transactions.run(
            lambda transaction: changes.set_status(transaction, subscription_id, body.status)
        )
        if found is None:
            raise _not_found(subscription_id)
        return answer_of(found)

    @router.get("")
    async def list_subscriptions(
        position: Cursor,
        owner_id: Annotated[Id | None, Query(description="Whose subscriptions; left out: all.")] = None,
    ) -> Page[SubscriptionAnswer]:
        """Subscriptions by their ids: those of one owner, or all there are."""
        [after] = position.after(PLACE) or ("",)
        async with transactions.pool.acquire(timeout=10) as connection:
            if owner_id is None:
                found = await store.every(connection, after, position.limit + 1)
            else:
                found = await store.of_owner(connection, owner_id, after, position.limit + 1)
        page, next_cursor = position.cut(found, lambda one: [one.subscription_id])
        return Page(items=[answer_of(one) for one in page], next_cursor=next_cursor)

    return router


def _not_found(subscription_id: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="subscription-not-found",
        title="The subscription is not known",
        detail=f"No subscription has the id {subscription_id}. Compare it with the list of its owner's "
        "(GET /v1/subscriptions?owner_id=), or create it with PUT.",
    )


def _iccid_taken() -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        type="iccid-taken",
        title="The ICCID belongs to another subscription",
        detail="An eSIM profile has one subscription, and this one's ICCID is another one's, so it was not "
        "written. Compare the ICCID with the profile; to move it, first give the other subscription another.",
    )


def _repeated(earlier: int) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        type="item-repeated",
        title="The item repeats an earlier one",
        detail=f"Item {earlier} of this request has the same id or ICCID, so only that one was taken. "
        "Send one item for each subscription.",
    )
