"""`subscriptions.v1` (compacted): every subscription as it is now."""

from typing import ClassVar

from shared.contracts.fields import Count, Eid, Iccid, Id, Imei, Instant, Msisdn, SubscriptionStatus
from shared.contracts.message import State


class SubscriptionChanged(State):
    """One ICCID bound to one device. `top_ups` counts what had been applied when something else changed: a
    top-up alone is no new version, TopUpApplied tells its cycle."""

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
    msisdn: Msisdn | None = None
    """The number by which it gets and answers text messages; a number may move to another subscription. Left
    out by processes from before numbers: they do not know whether it has one."""

    @property
    def key(self) -> str:
        return self.subscription_id
