"""What is sold, and how it changes: every change is a new version with the moment it takes effect."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from shared.contracts.fields import Stacking, SubscriptionStatus

Plan = Literal["daily", "monthly", "data"]
"""How people speak of it: by the day, by the month, by the volume."""

OfferingStatus = Literal["on_sale", "withdrawn"]

EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""The first version of an offering is in force for every request: there was nothing else before it."""


@dataclass(frozen=True, slots=True)
class Offering:
    """One thing that is sold. Empty `brands` or `carriers` mean all of them."""

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


@dataclass(frozen=True, slots=True)
class OfferingVersion:
    """What an offering grants from `effective_from` until its next version: all that pricing needs."""

    offering_id: str
    version: int
    effective_from: datetime
    data_bytes: int
    validity_seconds: int
    stacking: Stacking
    product_code: str
    status: OfferingStatus


def next_version(existing: Offering | None, wanted: Offering) -> Offering | None:
    """The offering as it is after the change; None where nothing changes."""
    if existing is None:
        return replace(wanted, version=1)
    if replace(wanted, version=existing.version) == existing:
        return None
    return replace(wanted, version=existing.version + 1)


def in_force_from(offering: Offering, now: datetime, lead: timedelta) -> OfferingVersion:
    """The version as pricing sees it: in force `lead` from now, when every process knows of it."""
    return OfferingVersion(
        offering_id=offering.offering_id,
        version=offering.version,
        effective_from=EVER if offering.version == 1 else now + lead,
        data_bytes=offering.data_bytes,
        validity_seconds=offering.validity_seconds,
        stacking=offering.stacking,
        product_code=offering.product_code,
        status=offering.status,
    )
