"""The catalog's HTTP API: prices are scheduled and withdrawn."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path

from services.catalog import metrics
from services.catalog.prices.bodies import PriceAnswer, PriceBody, PriceItem, price_answer, problem
from services.catalog.prices.changes import schedule_prices, withdraw_price
from services.catalog.prices.domain.schedule import PriceRefused
from shared.contracts.fields import Id
from shared.http.bulk import Bulk, BulkAnswer
from shared.messaging.transaction import Transactions

OfferingId = Annotated[Id, Path()]
PriceId = Annotated[Id, Path(description="chosen by you: the same id and price again change nothing")]


def routes(transactions: Transactions, notice: timedelta, lead: timedelta) -> APIRouter:
    """The routes. `notice`: how far ahead a price is scheduled; `lead`: until all know a change."""
    router = APIRouter(prefix="/v1", tags=["prices"])

    @router.put("/offerings/{offering_id}/prices/{price_id}")
    async def put_price(offering_id: OfferingId, price_id: PriceId, body: PriceBody) -> PriceAnswer:
        """Schedule a price, or change one that is still far enough ahead.

        The first price of an offering in a currency may begin at once or in the past.
        """
        wanted = [body.price(offering_id, price_id)]
        answer = (await transactions.run(lambda transaction: schedule_prices(transaction, wanted, notice)))[0]
        if isinstance(answer, PriceRefused):
            raise problem(answer)
        metrics.CHANGES("price").inc()
        return price_answer(answer)

    @router.post("/prices/bulk")
    async def put_prices(body: Bulk[PriceItem]) -> BulkAnswer:
        """Up to 1,000 prices, each judged by itself, upon those before it."""
        valid = body.valid
        wanted = [item.price(item.offering_id, item.price_id) for _, item in valid]
        answers = await transactions.run(lambda transaction: schedule_prices(transaction, wanted, notice))
        refused = {
            index: problem(answer)
            for (index, _), answer in zip(valid, answers, strict=True)
            if isinstance(answer, PriceRefused)
        }
        metrics.CHANGES("price").inc(len(wanted) - len(refused))
        return body.answer(refused)

    @router.post("/offerings/{offering_id}/prices/{price_id}/withdrawal")
    async def withdraw(offering_id: OfferingId, price_id: PriceId) -> PriceAnswer:
        """Withdraw a wrong price, for requests made from a few seconds later on (`withdrawn_from`).

        Those are priced as if it had never been scheduled: the price before it holds again.
        """
        try:
            price = await transactions.run(
                lambda transaction: withdraw_price(transaction, offering_id, price_id, lead)
            )
        except PriceRefused as refused:
            raise problem(refused) from None
        metrics.CHANGES("withdrawal").inc()
        return price_answer(price)

    return router
