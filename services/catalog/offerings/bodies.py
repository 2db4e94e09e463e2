"""What the HTTP API takes and answers about offerings."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints

from services.catalog.offerings.domain.offering import Offering, OfferingStatus, Plan
from services.catalog.prices.bodies import PriceAnswer, price_answer
from services.catalog.prices.domain.schedule import Price, price_in_force
from shared.contracts.fields import (
    Country,
    GrantedBytes,
    Id,
    Stacking,
    SubscriptionStatus,
    Text,
    ValiditySeconds,
)
from shared.http.body import Answer, Body

MAX_BUYERS = 100
Member = TypeVar("Member", bound=str)
Ids = Annotated[tuple[Id, ...], Field(max_length=MAX_BUYERS)]
Statuses = Annotated[tuple[SubscriptionStatus, ...], Field(min_length=1, max_length=4)]


class OfferingBody(Body):
    """What is sold: bytes, validity, stacking, the carrier's name of it, and who may buy it."""

    name: Annotated[Text, StringConstraints(min_length=1)]
    plan: Plan = "data"
    destination: Country
    data_bytes: GrantedBytes
    validity_seconds: ValiditySeconds
    stacking: Stacking = "extend"
    product_code: Id
    brands: Ids = Field((), description="none means all")
    carriers: Ids = Field((), description="none means all")
    subscription_statuses: Statuses = ("active",)
    status: OfferingStatus = "on_sale"

    def offering(self, offering_id: str) -> Offering:
        """The offering as it is wanted; its version is given when it is written."""
        return Offering(
            offering_id=offering_id,
            version=0,
            name=self.name,
            plan=self.plan,
            destination=self.destination,
            data_bytes=self.data_bytes,
            validity_seconds=self.validity_seconds,
            stacking=self.stacking,
            product_code=self.product_code,
            brands=_set(self.brands),
            carriers=_set(self.carriers),
            subscription_statuses=_set(self.subscription_statuses),
            status=self.status,
        )


class OfferingItem(OfferingBody):
    """One offering of a bulk request."""

    offering_id: Id


class OfferingAnswer(Answer):
    """An offering with the prices that are in force now, one per currency."""

    offering_id: str
    version: int
    name: str
    plan: Plan
    destination: str
    data_bytes: int
    validity_seconds: int
    stacking: Stacking
    product_code: str
    brands: tuple[str, ...]
    carriers: tuple[str, ...]
    subscription_statuses: tuple[SubscriptionStatus, ...]
    status: OfferingStatus
    prices: list[PriceAnswer]


class ScheduledOfferingAnswer(OfferingAnswer):
    """The same with every price it ever had and will have, in order of currency and beginning."""

    schedule: list[PriceAnswer]


def offering_answer(offering: Offering, prices: Iterable[Price], now: datetime) -> OfferingAnswer:
    return OfferingAnswer(**asdict(offering), prices=_in_force(list(prices), now))


def scheduled_offering_answer(
    offering: Offering, prices: Iterable[Price], now: datetime
) -> ScheduledOfferingAnswer:
    known = list(prices)
    return ScheduledOfferingAnswer(
        **asdict(offering), prices=_in_force(known, now), schedule=[price_answer(price) for price in known]
    )


def _in_force(prices: list[Price], now: datetime) -> list[PriceAnswer]:
    currencies = sorted({price.currency for price in prices})
    in_force = (
        price_in_force([price for price in prices if price.currency == currency], now)
        for currency in currencies
    )
    return [price_answer(price) for price in in_force if price is not None]


def _set(values: Iterable[Member]) -> tuple[Member, ...]:
    """In a fixed order: the same buyers named in another order are no change."""
    return tuple(sorted(set(values)))
