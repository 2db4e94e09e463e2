"""`devices.v1`: which devices use subscriptions' data."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.fields import Id, Imei, Instant
from shared.contracts.message import Message, deterministic_id


class ForeignDeviceSeen(Message):
    """Data was used in another device than the subscription is bound to (one eSIM, one device)."""

    topic: ClassVar[str] = "devices.v1"
    subscription_id: Id
    bound_imei: Imei
    """The binding that it goes against: where it has changed since, nothing is wrong."""
    imei: Imei
    started_at: Instant
    occurred_at: Instant

    @property
    def key(self) -> str:
        return self.subscription_id

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.subscription_id, "ForeignDeviceSeen", self.bound_imei, self.imei)
