"""Everything the story needs, written through the services' own HTTP APIs.

Only customers are written straight to Kafka: the portal, whose they are, is not built yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from deploy.local.demo import facts
from deploy.local.demo.api import Api, until
from deploy.local.demo.facts import Connection, Known
from deploy.local.demo.plans import (
    CARRIER,
    DESTINATION,
    DEVICES,
    PLANS,
    PLATFORMS,
    Json,
    offering_item,
    price_items,
)
from deploy.local.demo.story import Method, Subscriber
from shared.contracts.customers import CustomerChanged
from shared.messaging.envelope import enclose
from shared.messaging.producer import Producer

SPREAD_SECONDS: Final = 20.0
"""How long what was written in one service may take to be known in the others."""

PUBLISH_AT_ONCE: Final = 1_000
THRESHOLD_PERCENT: Final = 10
Tell = Callable[[str], None]


async def seed(
    api: Api, bootstrap: str, connection: Connection, people: Sequence[Subscriber], now: datetime, tell: Tell
) -> None:
    """Writes everything, waits until every service knows what it needs, then sets the rules.

    Raises LocalStackError where a service refuses something, or does not hear of it in time.
    """
    await _carrier(api)
    await _catalogue(api, now)
    tell(f"catalogue: {len(PLANS)} plans for Cuba, priced in two currencies")
    await _customers(bootstrap, people, now)
    await _subscriptions(api, people)
    tell(f"subscribers: {len(people)}, each with an eSIM bound to a device")
    deposits = await _payment_methods(api, people)
    methods = sum(len(person.methods) for person in people)
    tell(f"payment methods: {methods} cards and wallets, {deposits} wallets with money in them")
    await _buckets(api, people, now)
    await _wait_until_known(connection, people)
    rules = [_rule(person) for person in people if person.scene.asks == "rule"]
    await api.bulk("renewal", "/v1/renewal-rules/bulk", rules, deadline_seconds=SPREAD_SECONDS)
    tell(f"rules: {len(rules)} subscribers want to be renewed when data runs out")


async def _carrier(api: Api) -> None:
    """The file's day has passed when data is bought: what was used before is owed by the next bucket."""
    settings: Json = {
        "counting": "records",
        "overrun": "next_bucket",
        "threshold_percent": THRESHOLD_PERCENT,
        "version": 0,
    }
    await api.must("usage", "PUT", f"/v1/carriers/{CARRIER}", settings)


async def _catalogue(api: Api, now: datetime) -> None:
    await api.bulk("catalog", "/v1/offerings/bulk", [offering_item(plan) for plan in PLANS])
    yesterday = (now - timedelta(days=1)).isoformat()
    prices = [price for plan in PLANS for price in price_items(plan, yesterday)]
    await api.bulk("catalog", "/v1/prices/bulk", prices)
    devices: list[Json] = [
        {"tac": tac, "make": make, "model": model, "esim_supported": True} for tac, make, model in DEVICES
    ]
    await api.bulk("catalog", "/v1/devices/bulk", devices)
    for platform, version in PLATFORMS.items():
        body = {"minimum_system_version": version}
        await api.must("catalog", "PUT", f"/v1/platforms/{platform}", body)


async def _customers(bootstrap: str, people: Sequence[Subscriber], now: datetime) -> None:
    ids = sorted({person.owner_id for person in people} | {person.payer_id for person in people})
    messages = [
        CustomerChanged(
            customer_id=id_, version=1, identity_verified=True, country=DESTINATION, language="es"
        )
        for id_ in ids
    ]
    producer = Producer(bootstrap, "demo-customers", "demo")
    await producer.start()
    try:
        for start in range(0, len(messages), PUBLISH_AT_ONCE):
            part = messages[start : start + PUBLISH_AT_ONCE]
            await producer.publish([enclose(message, None) for message in part], now)
    finally:
        await producer.stop()


async def _subscriptions(api: Api, people: Sequence[Subscriber]) -> None:
    items: list[Json] = [
        {
            "subscription_id": person.subscription_id,
            "brand": person.brand,
            "carrier": CARRIER,
            "iccid": person.iccid,
            "eid": person.eid,
            "bound_imei": person.imei,
            "owner_id": person.owner_id,
        }
        for person in people
    ]
    await api.bulk("provisioning", "/v1/subscriptions/bulk", items)


async def _payment_methods(api: Api, people: Sequence[Subscriber]) -> int:
    """Returns how many wallets were paid into."""
    methods = [method for person in people for method in person.methods]
    await api.bulk("payment", "/v1/payment-methods/bulk", [_method(method) for method in methods])
    wallets = [method for method in methods if method.token is None]
    items: list[Json] = [{"payer_id": one.payer_id, "currency": one.currency} for one in wallets]
    await api.bulk("payment", "/v1/wallets/bulk", items)
    for wallet in wallets:
        path = f"/v1/wallets/{wallet.payer_id}/{wallet.currency}/deposits"
        body = {"amount_minor": wallet.deposit_minor}
        await api.must("payment", "POST", path, body, key=f"deposit-{wallet.payment_method_id}")
    return len(wallets)


def _method(method: Method) -> Json:
    item: Json = {
        "payment_method_id": method.payment_method_id,
        "payer_id": method.payer_id,
        "kind": "wallet" if method.token is None else "card",
    }
    return item if method.token is None else item | {"token": method.token}


async def _buckets(api: Api, people: Sequence[Subscriber], now: datetime) -> None:
    """What each subscriber has left from before."""
    items: list[Json] = [
        {
            "subscription_id": person.subscription_id,
            "bucket_id": "from-before",
            "granted_bytes": person.granted_bytes,
            "remaining_bytes": person.left_bytes,
            "expires_at": (now + timedelta(days=person.plan.days)).isoformat(),
        }
        for person in people
    ]
    await api.bulk("usage", "/v1/buckets/bulk", items)


def _rule(person: Subscriber) -> Json:
    return {
        "subscription_id": person.subscription_id,
        "triggers": list(person.triggers),
        "offering_id": person.plan.offering_id,
        "payment_method_ids": [method.payment_method_id for method in person.methods],
        "cap_amount_minor": person.price_minor,
        "currency": person.currency,
    }


async def _wait_until_known(connection: Connection, people: Sequence[Subscriber]) -> None:
    """A trigger that comes before the customer is known to be verified would be refused, for that cycle."""
    wanted = Known(
        customers=len({person.owner_id for person in people} | {person.payer_id for person in people}),
        subscriptions=len(people),
        payment_methods=sum(len(person.methods) for person in people),
        offerings=len(PLANS),
        buyers=len(people),
        iccids=len(people),
    )
    have = wanted

    async def check() -> bool:
        nonlocal have
        have = await facts.known(connection)
        return have == wanted

    def missing() -> str:
        lacking = [
            f"{name} {got} of {all_}" for name, got, all_ in zip(Known._fields, have, wanted, strict=True)
        ]
        return f"the services have not heard of everything that was seeded: {', '.join(lacking)}"

    await until(check, SPREAD_SECONDS, missing)
