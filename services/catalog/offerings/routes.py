"""The catalog's HTTP API: what is sold."""

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import TypeAdapter

from services.catalog import metrics
from services.catalog.offerings import store
from services.catalog.offerings.bodies import (
    OfferingAnswer,
    OfferingBody,
    OfferingItem,
    ScheduledOfferingAnswer,
    offering_answer,
    scheduled_offering_answer,
)
from services.catalog.offerings.changes import change_offerings
from services.catalog.offerings.domain.offering import Offering
from services.catalog.prices.store import read_prices
from shared.contracts.fields import Country, Id
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

PLACE: TypeAdapter[tuple[str]] = TypeAdapter(tuple[str])
"""Where a page begins: the id of the last offering that was seen."""

OfferingId = Annotated[Id, Path()]


def _not_found(what: str, value: str, hint: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type=f"{what}-not-found",
        title=f"The {what} is not known",
        detail=f"The catalog knows no {what} {value}. {hint}",
    )


def routes(transactions: Transactions, lead: timedelta) -> APIRouter:
    """The routes. `lead`: how long after a change requests are priced by it."""
    router = APIRouter(prefix="/v1", tags=["offerings"])

    async def change(transaction: Transaction, wanted: Sequence[Offering]) -> list[OfferingAnswer]:
        present = await change_offerings(transaction, wanted, lead)
        prices = await read_prices(transaction.connection, {each.offering_id for each in present})
        return [offering_answer(each, prices[each.offering_id], transaction.now) for each in present]

    @router.put("/offerings/{offering_id}")
    async def put_offering(offering_id: OfferingId, body: OfferingBody) -> OfferingAnswer:
        """Write an offering. The same again changes nothing; a change is told on offerings.v1."""
        wanted = [body.offering(offering_id)]
        answers = await transactions.run(lambda transaction: change(transaction, wanted))
        metrics.CHANGES("offering").inc()
        return answers[0]

    @router.post("/offerings/bulk")
    async def put_offerings(body: Bulk[OfferingItem]) -> BulkAnswer:
        """Up to 1,000 offerings, each judged by itself; the last of several with one id wins."""
        wanted = [item.offering(item.offering_id) for _, item in body.valid]
        await transactions.run(lambda transaction: change_offerings(transaction, wanted, lead))
        metrics.CHANGES("offering").inc(len(wanted))
        return body.answer()

    @router.get("/offerings")
    async def list_offerings(
        position: Cursor,
        destination: Annotated[Country | None, Query(description="ISO 3166-1 alpha-2")] = None,
        subscription_id: Annotated[Id | None, Query(description="only what it may buy")] = None,
    ) -> Page[OfferingAnswer]:
        """Offerings in the order of their ids, with the prices in force now."""
        after = position.after(PLACE)
        async with transactions.begin() as transaction:
            connection = transaction.connection
            buyer = None
            if subscription_id is not None:
                buyer = await store.buyer(connection, subscription_id)
                if buyer is None:
                    hint = "Compare the id; one that was just created is known here within seconds."
                    raise _not_found("subscription", subscription_id, hint)
            offerings = await store.list_offerings(
                connection, destination, buyer, after[0] if after else None, position.limit + 1
            )
            kept, next_cursor = position.cut(offerings, lambda offering: (offering.offering_id,))
            prices = await read_prices(connection, [offering.offering_id for offering in kept])
        return Page(
            items=[offering_answer(each, prices[each.offering_id], transaction.now) for each in kept],
            next_cursor=next_cursor,
        )

    @router.get("/offerings/{offering_id}")
    async def get_offering(offering_id: OfferingId) -> ScheduledOfferingAnswer:
        """One offering with every price it ever had and will have."""
        async with transactions.begin() as transaction:
            found = await store.read_offerings(transaction.connection, [offering_id])
            if offering_id not in found:
                raise _not_found("offering", offering_id, "Compare the id with the list at /v1/offerings.")
            prices = await read_prices(transaction.connection, [offering_id])
        return scheduled_offering_answer(found[offering_id], prices[offering_id], transaction.now)

    return router
