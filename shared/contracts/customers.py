"""`customers.v1` (compacted): every customer as they are now."""

from typing import ClassVar

from shared.contracts.fields import Country, Id
from shared.contracts.message import State


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
