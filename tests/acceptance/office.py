"""A carrier's back office at a running stack: seeds over HTTP, asks for renewals, looks at the books."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from pydantic import SecretStr

from deploy.local.books import Comparison, compare, read_books, wait_until_quiet
from deploy.local.books.reading import Sources
from deploy.local.stack import Stack
from shared.contracts.message import Message
from shared.messaging.envelope import enclose
from shared.messaging.producer import Producer
from shared.operators.tokens import Role, sign
from tests.acceptance.http_caller import Reply, send_json
from tests.acceptance.subscribers import AMOUNT_MINOR, CALLER, CURRENCY, DATA_BYTES, OFFERING, Subscriber

DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.05
CLOSED = frozenset({"completed", "refunded", "failed", "cancelled"})
_CHUNK = 500


class NotInTime(AssertionError):
    """A condition did not come true before its deadline."""


class Office:
    """Everything a test does with the stack. Numbers of subscribers are never given out twice."""

    def __init__(self, stack: Stack, producer: Producer, database: asyncpg.Pool[asyncpg.Record]) -> None:
        self.stack = stack
        self.producer = producer
        self.database = database
        self._numbers = count(1)

    # Seeding

    def subscriber(self, **traits: Any) -> Subscriber:
        """One that nobody knows yet."""
        return Subscriber(next(self._numbers), **traits)

    async def seeded(self, **traits: Any) -> Subscriber:
        """One that every service knows."""
        subscriber = self.subscriber(**traits)
        await self.seed([subscriber])
        return subscriber

    async def sell(
        self, offering_id: str = OFFERING, amount_minor: int = AMOUNT_MINOR, **changes: Any
    ) -> None:
        """Write an offering with its first price."""
        offering = {
            "name": "Cuba 3 GB, 30 days",
            "destination": "CU",
            "data_bytes": DATA_BYTES,
            "validity_seconds": 30 * 86_400,
            "product_code": "CU-3GB-30D",
        } | changes
        price = {
            "currency": CURRENCY,
            "amount_minor": amount_minor,
            "effective_from": "2026-01-01T00:00:00Z",
        }
        await self.ok("catalog", "PUT", f"/v1/offerings/{offering_id}", offering)
        await self.ok("catalog", "PUT", f"/v1/offerings/{offering_id}/prices/first", price)
        await self.until(
            lambda: self.known("renewal.offerings", "offering_id", [offering_id]), f"offering {offering_id}"
        )

    async def seed(self, subscribers: Sequence[Subscriber]) -> None:
        """Customers, subscriptions, cards, buckets and rules; returns when the services know them."""
        await self.say(*(one.customer() for one in subscribers))
        await self._bulk(
            "provisioning",
            "/v1/subscriptions/bulk",
            [one.subscription() | {"subscription_id": one.subscription_id} for one in subscribers],
        )
        methods = [method for one in subscribers for method in one.payment_methods()]
        await self._bulk("payment", "/v1/payment-methods/bulk", methods)
        await self._until_known(subscribers)
        ruled = [one for one in subscribers if one.has_rule]
        if ruled:
            await self._bulk(
                "usage",
                "/v1/buckets/bulk",
                [
                    one.bucket() | {"subscription_id": one.subscription_id, "bucket_id": "before"}
                    for one in ruled
                ],
            )
            await self._bulk(
                "renewal",
                "/v1/renewal-rules/bulk",
                [one.rule() | {"subscription_id": one.subscription_id} for one in ruled],
            )

    async def _bulk(self, service: str, path: str, items: Sequence[Mapping[str, Any]]) -> None:
        for chunk in _chunks(items):
            answer = await self.ok(service, "POST", path, {"items": chunk})
            assert answer.body["refused"] == [], answer.body

    async def _until_known(self, subscribers: Sequence[Subscriber]) -> None:
        ids = [one.subscription_id for one in subscribers]
        owners = [one.customer_id for one in subscribers]
        methods = [method for one in subscribers for method in one.payment_method_ids]
        for table, column, keys in (
            ("renewal.subscriptions", "subscription_id", ids),
            ("renewal.customers", "customer_id", owners),
            ("renewal.payment_methods", "payment_method_id", methods),
            ("usage.iccids", "subscription_id", ids),
        ):
            await self.until(lambda t=table, c=column, k=keys: self.known(t, c, k), f"{table} complete")  # type: ignore[misc] # bound now

    async def known(self, table: str, column: str, keys: Sequence[str]) -> bool:
        """Whether a service's projection has all of these."""
        known = await self.database.fetchval(
            f"select count(*) from {table} where {column} = any($1::text[])",  # noqa: S608 - names of ours
            keys,
        )
        return bool(known == len(keys))

    # Talking

    async def http(
        self,
        service: str,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request to a service (its first process), or to one process such as `renewal-2`."""
        return await send_json(self.stack.service_url(service), method, path, body, headers)

    async def ok(self, service: str, method: str, path: str, body: object = None) -> Reply:
        """A request that must succeed."""
        reply = await self.http(service, method, path, body)
        assert reply.status < 300, (method, path, reply.status, reply.content)
        return reply

    async def say(self, *messages: Message) -> None:
        """Publish messages as another system would; all are in Kafka when this returns."""
        for chunk in _chunks(messages):
            await self.producer.publish([enclose(message, None) for message in chunk], datetime.now(UTC))

    async def ask(
        self, subscriber: Subscriber, key: str | None = None, process: str = "renewal", **changes: Any
    ) -> Reply:
        """POST /v1/renewals for that subscriber."""
        headers = {"idempotency-key": key or str(uuid.uuid4()), "recarga-caller": CALLER}
        return await self.http(process, "POST", "/v1/renewals", subscriber.wish(**changes), headers)

    async def begun(self, subscriber: Subscriber, **changes: Any) -> str:
        """The id of a renewal that was accepted."""
        reply = await self.ask(subscriber, **changes)
        assert reply.status == 202, reply
        return str(reply.body["renewal_id"])

    def signed_in(self, name: str, role: Role = "operator") -> dict[str, str]:
        """The header that says which operator sends a request, as `make operator-token` would make it."""
        secret = SecretStr(self.stack.operator_secret_file.read_text().strip())
        token = sign(secret, name, role, datetime.now(UTC), timedelta(hours=1))
        return {"authorization": f"Bearer {token}"}

    def signed_text(self, message: bytes) -> dict[str, str]:
        """The header with which the SMS gateway of the local stack brings that message."""
        secret = self.stack.text_message_secret_file.read_text().strip()
        at = str(int(time.time()))
        digest = hmac.new(secret.encode(), f"{at}.".encode() + message, hashlib.sha256)
        return {"recarga-signature": f"t={at},v1={digest.hexdigest()}"}

    # Looking

    async def renewal(self, renewal_id: str) -> dict[str, Any]:
        """The renewal as the API shows it."""
        body: dict[str, Any] = (await self.ok("renewal", "GET", f"/v1/renewals/{renewal_id}")).body
        return body

    async def renewals_of(self, subscriber: Subscriber) -> list[dict[str, Any]]:
        """All of a subscription's renewals, newest first."""
        path = f"/v1/renewals?subscription_id={subscriber.subscription_id}"
        items: list[dict[str, Any]] = (await self.ok("renewal", "GET", path)).body["items"]
        return items

    async def in_state(
        self, renewal_id: str, *states: str, seconds: float = DEADLINE_SECONDS
    ) -> dict[str, Any]:
        """The renewal once it is in one of these states."""
        found: dict[str, Any] = {}

        async def reached() -> bool:
            found.update(await self.renewal(renewal_id))
            assert found["state"] in states or found["state"] not in CLOSED, _told(found)
            return found["state"] in states

        await self.until(reached, f"renewal {renewal_id} is {' or '.join(states)}", seconds)
        return found

    async def buckets(self, subscriber: Subscriber) -> dict[str, Any]:
        """What is left, as usage's API shows it."""
        path = f"/v1/subscriptions/{subscriber.subscription_id}/buckets"
        body: dict[str, Any] = (await self.ok("usage", "GET", path)).body
        return body

    async def effects(self, renewal_id: str) -> list[str]:
        """What PSP and carrier really did for a renewal, in order: `captured`, `applied`, `refunded`, ..."""
        rows = [
            row
            for url, name in ((self.stack.psp_url, "renewal_id"), (self.stack.carrier_url, "reference"))
            for row in await _journal(url)
            if row[name] == renewal_id
        ]
        return [row["effect"] for row in sorted(rows, key=lambda row: str(row["at"]))]

    async def metric(self, service: str, name: str, **labels: str) -> float:
        """A metric's value with these labels, over all processes of a service; 0 where there is none."""
        samples = await self.samples(service, name)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    async def samples(self, service: str, name: str) -> list[Sample]:
        """All that the processes of a service say of one metric."""
        found: list[Sample] = []
        for instance in self.stack.instances:
            if instance.startswith(f"{service}-"):
                reply = await self.ok(instance, "GET", "/metrics")
                # Thousands of lines are about other metrics, and to read them all takes 50 times as long.
                lines = [line for line in reply.content.decode().splitlines() if line.startswith(name)]
                for family in text_string_to_metric_families("\n".join([*lines, ""])):
                    found += [sample for sample in family.samples if sample.name == name]
        return found

    async def until(
        self, holds: Callable[[], Awaitable[bool]], what: str, seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Asks again and again. Raises NotInTime after the deadline."""
        deadline = time.monotonic() + seconds
        while not await holds():
            if time.monotonic() > deadline:
                raise NotInTime(f"not after {seconds:g} s: {what}")
            await asyncio.sleep(POLL_SECONDS)

    async def compared(self, seconds: float = DEADLINE_SECONDS) -> Comparison:
        """The books of all services against both journals, once nothing is under way."""
        await wait_until_quiet(self.stack.superuser_url, seconds)
        stack = self.stack
        return compare(await read_books(Sources(stack.superuser_url, stack.psp_url, stack.carrier_url)))


async def _journal(url: str) -> list[dict[str, Any]]:
    """Every effect in a journal of the sandbox."""
    rows: list[dict[str, Any]] = []
    after = 0
    while True:
        reply = await send_json(url, "GET", f"/journal?kind=effect&limit=10000&after={after}")
        rows += reply.body["rows"]
        if not reply.body["more"]:
            return rows
        after = reply.body["next_after"]


def _told(renewal: Mapping[str, Any]) -> str:
    lines = [
        f"{line['message']}: {line['from_state']} -> {line['to_state']} ({line['reason']})"
        for line in renewal["history"]
    ]
    return f"it is {renewal['state']}, for {renewal['reason']}: {json.dumps(lines, indent=1)}"


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
