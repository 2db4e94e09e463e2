"""What the system before us charged, as a file."""

from typing import Self

from pydantic import model_validator

from shared.contracts.fields import ChargeMinor, Currency, Iccid, Id, Instant
from shared.http.body import Body
from shared.imports.kinds import Kind


class ChargeItem(Body):
    """One charge of theirs; its subscription is named by its id or by its ICCID."""

    subscription_id: Id | None = None
    iccid: Iccid | None = None
    charged_at: Instant
    amount_minor: ChargeMinor
    currency: Currency
    offering_id: Id

    @model_validator(mode="after")
    def _names_a_subscription(self) -> Self:
        if (self.subscription_id is None) == (self.iccid is None):
            raise ValueError("name the subscription by subscription_id or by iccid, one of the two")
        return self


CHARGES = Kind(
    name="charges",
    item=ChargeItem,
    service="",
    url="",
    path="",
    # Two charges may be equal in everything: each is one.
    unique=(),
)
"""Only read: no service takes it."""
