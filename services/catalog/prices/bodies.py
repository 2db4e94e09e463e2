"""What the HTTP API takes and answers about prices."""

from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus

from pydantic import Field

from services.catalog.prices.domain.schedule import Price, PriceRefused
from shared.contracts.fields import ChargeMinor, Currency, Id, Instant
from shared.http.body import Answer, Body
from shared.http.problems import Problem

_STATUS = {
    "offering-not-found": HTTPStatus.NOT_FOUND,
    "price-not-found": HTTPStatus.NOT_FOUND,
    "price-too-soon": HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Every other refusal is a conflict with what is scheduled."""

_TITLES = {
    "offering-not-found": "The offering does not exist",
    "price-not-found": "The price does not exist",
    "price-too-soon": "The price would begin too soon",
    "price-in-force": "The price can no longer be changed",
    "price-withdrawn": "The price is withdrawn",
    "price-overlaps": "Another price begins then",
    "too-many-prices": "Too many prices are waiting",
}


class PriceBody(Body):
    """A price of an offering, from an instant on, until the next in its currency begins."""

    currency: Currency
    amount_minor: ChargeMinor
    effective_from: Instant

    def price(self, offering_id: str, price_id: str) -> Price:
        """The price as it is to be scheduled."""
        return Price(offering_id, price_id, self.currency, self.amount_minor, self.effective_from)


class PriceItem(PriceBody):
    """One price of a bulk request."""

    offering_id: Id
    price_id: Id


class PriceAnswer(Answer):
    """A price as it is scheduled now."""

    price_id: str
    currency: str
    amount_minor: int
    effective_from: datetime
    withdrawn_from: datetime | None = Field(description="requests made from here on are not priced by it")


def price_answer(price: Price) -> PriceAnswer:
    return PriceAnswer.model_validate(asdict(price))


def problem(refused: PriceRefused) -> Problem:
    """The refusal as the answer to a request."""
    return Problem(
        _STATUS.get(refused.reason, HTTPStatus.CONFLICT),
        type=refused.reason,
        title=_TITLES[refused.reason],
        detail=refused.detail,
    )
