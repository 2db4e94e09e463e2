"""A subscription: one eSIM profile (ICCID) on one chip (EID), bound to one device (IMEI), with an owner."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.fields import SubscriptionStatus
from shared.contracts.subscriptions import SubscriptionChanged


@dataclass(frozen=True, slots=True)
class Subscription:
    """A row. `version` rises with every change but the count of top-ups, and each version is published."""

    subscription_id: str
    brand: str
    carrier: str
    iccid: str
    eid: str
    bound_imei: str | None
    owner_id: str
    status: SubscriptionStatus
    device_matches: bool = True
    top_ups: int = 0
    version: int = 1
    foreign_imei: str | None = None
    """The device that used it against the binding; None while none has."""
    msisdn: str | None = None
    """The number that reaches it by text message; others may have it, too, for numbers move."""


def revised(held: Subscription, wanted: Subscription) -> Subscription:
    """`held` as it is wanted: the very same object where nothing changes, else one version later.

    A device that is bound anew matches until its usage says otherwise.
    """
    rebound = held.bound_imei != wanted.bound_imei
    candidate = replace(
        wanted,
        device_matches=True if rebound else held.device_matches,
        foreign_imei=None if rebound else held.foreign_imei,
        top_ups=held.top_ups,
        version=held.version,
    )
    return held if candidate == held else replace(candidate, version=held.version + 1)


def used_by(held: Subscription, foreign_imei: str) -> Subscription:
    """`held` once another device than the bound one has used its data."""
    return replace(held, device_matches=False, foreign_imei=foreign_imei, version=held.version + 1)


def repeated(wanted: Sequence[Subscription]) -> dict[int, int]:
    """Places of those that repeat the id or the ICCID of an earlier one, with the earlier one's place."""
    ids: dict[str, int] = {}
    iccids: dict[str, int] = {}
    found: dict[int, int] = {}
    for place, one in enumerate(wanted):
        earlier = ids.get(one.subscription_id, iccids.get(one.iccid))
        if earlier is not None:
            found[place] = earlier
            continue
        ids[one.subscription_id] = iccids[one.iccid] = place
    return found


def changed(subscription: Subscription, now: datetime) -> SubscriptionChanged:
    """What others are told. `top_ups` is a hint: counting up alone is not published, TopUpApplied says it."""
    return SubscriptionChanged(
        subscription_id=subscription.subscription_id,
        brand=subscription.brand,
        carrier=subscription.carrier,
        iccid=subscription.iccid,
        eid=subscription.eid,
        bound_imei=subscription.bound_imei,
        device_matches=subscription.device_matches,
        owner_id=subscription.owner_id,
        status=subscription.status,
        top_ups=subscription.top_ups,
        version=subscription.version,
        changed_at=now,
        msisdn=subscription.msisdn,
    )
