"""`offerings.v1` (compacted): everything that is sold, and to whom."""

from typing import ClassVar, Literal

from shared.contracts.fields import (
    Country,
    GrantedBytes,
    Id,
    Stacking,
    SubscriptionStatus,
    Text,
    ValiditySeconds,
)
from shared.contracts.message import State


class OfferingChanged(State):
    """What is sold: bytes, validity, stacking, and who may buy it. Empty brands or carriers mean all."""

    topic: ClassVar[str] = "offerings.v1"
    offering_id: Id
    name: Text
    destination: Country
    data_bytes: GrantedBytes
    validity_seconds: ValiditySeconds
    stacking: Stacking
    product_code: Id
    brands: tuple[Id, ...] = ()
    carriers: tuple[Id, ...] = ()
    subscription_statuses: tuple[SubscriptionStatus, ...] = ("active",)
    status: Literal["on_sale", "withdrawn"]

    @property
    def key(self) -> str:
        return self.offering_id
