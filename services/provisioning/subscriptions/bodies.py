"""The bodies of the subscriptions' HTTP API."""

from services.provisioning.subscriptions.domain.subscription import Subscription
from shared.contracts.fields import Count, Eid, Iccid, Id, Imei, Msisdn, SubscriptionStatus
from shared.http.body import Answer, Body


class SubscriptionBody(Body):
    """A subscription; its id is in the address. `bound_imei` null: bound to no device yet.

    `msisdn` is the number that reaches it by text message, null where there is none. It names nobody for
    good: a number that has moved may be of several subscriptions.
    """

    brand: Id
    carrier: Id
    iccid: Iccid
    eid: Eid
    bound_imei: Imei | None = None
    owner_id: Id
    status: SubscriptionStatus = "active"
    msisdn: Msisdn | None = None


class SubscriptionItem(SubscriptionBody):
    """One subscription of a bulk request."""

    subscription_id: Id


class StatusBody(Body):
    """A new status."""

    status: SubscriptionStatus


class SubscriptionAnswer(Answer):
    """A subscription. `top_ups` counts what was applied to it: the number of its current cycle.

    `foreign_imei` names the device that used its data against the binding: until another device is bound,
    `device_matches` is false and nothing is renewed.
    """

    subscription_id: Id
    brand: Id
    carrier: Id
    iccid: Iccid
    eid: Eid
    bound_imei: Imei | None
    device_matches: bool
    foreign_imei: Imei | None
    owner_id: Id
    status: SubscriptionStatus
    msisdn: Msisdn | None
    top_ups: Count
    version: Count


def subscription_of(subscription_id: str, body: SubscriptionBody) -> Subscription:
    return Subscription(
        subscription_id,
        body.brand,
        body.carrier,
        body.iccid,
        body.eid,
        body.bound_imei,
        body.owner_id,
        body.status,
        msisdn=body.msisdn,
    )


def answer_of(subscription: Subscription) -> SubscriptionAnswer:
    return SubscriptionAnswer.model_validate(subscription, from_attributes=True)
