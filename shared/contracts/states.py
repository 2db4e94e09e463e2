"""The compacted topics: the current state of things that other services need. No secrets, no tokens."""

from typing import ClassVar, Literal
from uuid import UUID

from shared.contracts.fields import (
    Count,
    Country,
    Eid,
    GrantedBytes,
    Iccid,
    Id,
    Imei,
    Instant,
    PaymentMethodKind,
    Stacking,
    SubscriptionStatus,
    Text,
    ValiditySeconds,
)
from shared.contracts.message import Message, deterministic_id


class State(Message):
    """The whole current state of one thing; a higher version replaces a lower one."""

    version: Count

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.key, type(self).__name__, self.version)


class SubscriptionChanged(State):
    """One ICCID bound to one device. `top_ups` counts what was applied: it is the current cycle."""

    topic: ClassVar[str] = "subscriptions.v1"
    subscription_id: Id
    brand: Id
    carrier: Id
    iccid: Iccid
    eid: Eid
    bound_imei: Imei | None
    device_matches: bool = True
    """False once usage came from another device than the bound one."""
    owner_id: Id
    status: SubscriptionStatus
    top_ups: Count
    changed_at: Instant

    @property
    def key(self) -> str:
        return self.subscription_id


class CustomerChanged(State):
    """A person who owns or pays for subscriptions."""

    topic: ClassVar[str] = "customers.v1"
    customer_id: Id
    identity_verified: bool
    country: Country | None = None
    language: Id = "en"

    @property
    def key(self) -> str:
        return self.customer_id


class PaymentMethodChanged(State):
    """A way to pay, without its token."""

    topic: ClassVar[str] = "payment-methods.v1"
    payment_method_id: Id
    payer_id: Id
    kind: PaymentMethodKind
    status: Literal["active", "expired", "removed"]

    @property
    def key(self) -> str:
        return self.payment_method_id


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
