"""The bench's subscribers: seeded over HTTP, as a carrier would; only customers come by Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson

from deploy.local.stack import Stack
from shared.calls.http_client import HttpClient, open_client
from shared.contracts.checks import eid_with_check, luhn_digit
from shared.contracts.customers import CustomerChanged
from shared.messaging.envelope import enclose
from shared.messaging.producer import Producer

OFFERING = "cu-3gb-30d"
AMOUNT_MINOR = 1_200
CURRENCY = "USD"
DEADLINE_SECONDS = 120.0
_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One subscription, whose owner pays for it by card."""

    number: int
    carrier: str = "sandbox"

    @property
    def subscription_id(self) -> str:
        return f"bench-{self.number}"

    @property
    def customer_id(self) -> str:
        return f"bench-customer-{self.number}"

    @property
    def payment_method_id(self) -> str:
        return f"bench-card-{self.number}"


async def seed(stack: Stack, producer: Producer, subscribers: Sequence[Subscriber]) -> None:
    """Offering, price, customers, subscriptions and cards; returns when renewal knows them all."""
    async with client_of(stack.service_url("catalog")) as catalog:
        await _put(catalog, f"/v1/offerings/{OFFERING}", _OFFERING)
        await _put(catalog, f"/v1/offerings/{OFFERING}/prices/first", _price())
    await _customers(producer, subscribers)
    async with (
        client_of(stack.service_url("provisioning")) as provisioning,
        client_of(stack.service_url("payment")) as payment,
    ):
        await put_all(provisioning, "/v1/subscriptions/bulk", subscribers, subscription_item)
        await put_all(payment, "/v1/payment-methods/bulk", subscribers, _payment_method)
    await _until_known(stack, len(subscribers))


_OFFERING = {
    "name": "Cuba 3 GB, 30 days",
    "plan": "data",
    "destination": "CU",
    "data_bytes": 3_000_000_000,
    "validity_seconds": 30 * 86_400,
    "product_code": "CU-3GB-30D",
}


def _price() -> dict[str, Any]:
    return {
        "currency": CURRENCY,
        "amount_minor": AMOUNT_MINOR,
        "effective_from": datetime.now(UTC).isoformat(),
    }


def iccid_of(number: int) -> str:
    digits = f"8953{number:014d}"
    return digits + luhn_digit(digits)


def subscription_item(subscriber: Subscriber) -> dict[str, Any]:
    imei = f"35{subscriber.number:012d}"
    return {
        "subscription_id": subscriber.subscription_id,
        "brand": "bench",
        "carrier": subscriber.carrier,
        "iccid": iccid_of(subscriber.number),
        "eid": eid_with_check(f"89{subscriber.number:028d}"),
        "bound_imei": imei + luhn_digit(imei),
        "owner_id": subscriber.customer_id,
        "status": "active",
    }


def _payment_method(subscriber: Subscriber) -> dict[str, Any]:
    return {
        "payment_method_id": subscriber.payment_method_id,
        "payer_id": subscriber.customer_id,
        "kind": "card",
        "token": f"tok_ok_{subscriber.number}",
    }


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[HttpClient]:
    """A client that is closed at the end, and waits long enough for a thousand items."""
    client = open_client(url, timeout_seconds=60, connections=4)
    try:
        yield client
    finally:
        await client.close()


async def _put(client: HttpClient, path: str, body: Mapping[str, Any]) -> None:
    answer = await client.request("PUT", path, orjson.dumps(body))
    if answer.status >= 300:
        raise RuntimeError(f"{path}: {answer.status} {answer.body.decode()}")


async def put_all(
    client: HttpClient,
    path: str,
    subscribers: Sequence[Subscriber],
    item: Callable[[Subscriber], dict[str, Any]],
) -> None:
    """Send an item for each subscriber, a thousand at a time; one that is refused is an error."""
    for chunk in _chunks(subscribers):
        answer = await client.request("POST", path, orjson.dumps({"items": [item(one) for one in chunk]}))
        if answer.status >= 300 or orjson.loads(answer.body)["refused"]:
            raise RuntimeError(f"{path}: {answer.status} {answer.body[:500].decode()}")


async def _customers(producer: Producer, subscribers: Sequence[Subscriber]) -> None:
    for chunk in _chunks(subscribers):
        changes = [
            CustomerChanged(customer_id=one.customer_id, version=1, identity_verified=True, country="ES")
            for one in chunk
        ]
        await producer.publish([enclose(change, None) for change in changes], datetime.now(UTC))


def _chunks(subscribers: Sequence[Subscriber]) -> Iterator[Sequence[Subscriber]]:
    for start in range(0, len(subscribers), _CHUNK):
        yield subscribers[start : start + _CHUNK]


async def _until_known(stack: Stack, count: int) -> None:
    """Seeding is over when the projections that admission reads are there."""
    connection = await asyncpg.connect(stack.superuser_url, timeout=10)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            for table in ("subscriptions", "customers", "payment_methods"):
                while await connection.fetchval(f"select count(*) from renewal.{table}") < count:  # noqa: S608
                    await asyncio.sleep(0.1)
            while not await connection.fetchval("select count(*) from renewal.offerings"):
                await asyncio.sleep(0.1)
        # Statistics of empty tables make plans of empty tables: a running system has had its autovacuum.
        await connection.execute("analyze")
    finally:
        await connection.close()
