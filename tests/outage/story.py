"""What happens: a carrier breaks, renewals are asked for all the same, it comes back, they all end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import orjson

from deploy.local.stack import Stack
from shared.contracts.message import Message
from shared.contracts.quotas import QuotaExhausted
from shared.messaging.envelope import enclose
from shared.messaging.producer import Producer
from tests.bench.load import Watch, open_loop, preload
from tests.bench.subscribers import (
    AMOUNT_MINOR,
    CURRENCY,
    OFFERING,
    Subscriber,
    client_of,
    put_all,
    seed,
)

NORTH: Final = "north"
SOUTH: Final = "south"
TELL_SECONDS = 5.0
LOOK_SECONDS = 1.0
END_SECONDS = 3_600.0
_CHUNK = 1_000

_PROGRESS = """
select
    count(*) filter (where captured_at is not null) as paid,
    count(*) filter (where closed_at is not null) as ended,
    count(*) filter (where state = 'parked') as parked,
    (
        select count(*)
        from provisioning.top_up_attempts
        where lane = 'north' and queued_until = due_at and ended_at is null
    ) as waiting
from renewal.renewals
where subscription_id = any($1)
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What the story knows and no table does. Instants are Unix seconds."""

    stuck: Sequence[str]
    people: Sequence[str]
    broke_at: float
    well_at: float
    ended_at: float
    most_waiting: int
    elsewhere_seconds: Sequence[float]


@dataclass(slots=True)
class Story:
    """The renewals of `stuck` wait for a carrier that is out of order, those of `elsewhere` do not."""

    stack: Stack
    producer: Producer
    watch: Watch
    north_url: str
    stuck: Sequence[Subscriber]
    elsewhere: Sequence[Subscriber]
    people_every: int

    @property
    def _people(self) -> Sequence[Subscriber]:
        return self.stuck[:: self.people_every]

    @property
    def _ruled(self) -> list[Subscriber]:
        return [one for place, one in enumerate(self.stuck) if place % self.people_every]

    async def seed(self) -> None:
        """Everybody is known, and has a rule where a rule will ask."""
        print(f"Seeding {len(self.stuck) + len(self.elsewhere):,} subscribers over HTTP ...")
        await seed(self.stack, self.producer, [*self.stuck, *self.elsewhere])
        async with client_of(self.stack.service_url("renewal")) as renewal:
            await put_all(renewal, "/v1/renewal-rules/bulk", self._ruled, _rule)

    async def run(self, seconds: float, behaviour: str, elsewhere_per_second: float) -> Told:
        """From the outage to the last renewal's end."""
        connection = await asyncpg.connect(self.stack.superuser_url, timeout=10)
        try:
            await self._fault("PUT", [{"operation": "*", "behaviour": behaviour}])
            broke_at = time.time()
            print(f"{NORTH} is out of order ({behaviour}); {len(self.stuck):,} renewals are asked for ...")
            flowing = asyncio.create_task(
                open_loop(
                    self.producer, self.watch, self.elsewhere, "elsewhere", elsewhere_per_second, seconds
                )
            )
            await self._say(_exhausted(one) for one in self._ruled)
            await preload(self.producer, self._people, "people")
            most = await self._until(
                connection,
                lambda at: at["paid"] == len(self.stuck) and time.time() >= broke_at + seconds,
            )
            latencies = await flowing
            await self._fault("DELETE", None)
            well_at = time.time()
            print(f"{NORTH} works again after {well_at - broke_at:.0f} s.")
            most = max(most, await self._until(connection, lambda at: at["ended"] == len(self.stuck)))
            return Told(
                [one.subscription_id for one in self.stuck],
                [one.subscription_id for one in self._people],
                broke_at,
                well_at,
                time.time(),
                most,
                latencies,
            )
        finally:
            await connection.close()

    async def _until(
        self, connection: asyncpg.Connection[asyncpg.Record], happened: Callable[[Mapping[str, int]], bool]
    ) -> int:
        """Wait, telling how far it is; the most that waited in north's queue meanwhile.

        Raises:
            TimeoutError: it did not happen in an hour.
        """
        subscription_ids = [one.subscription_id for one in self.stuck]
        most, told_at = 0, 0.0
        async with asyncio.timeout(END_SECONDS):
            while True:
                at: dict[str, int] = dict(await connection.fetchrow(_PROGRESS, subscription_ids) or {})
                most = max(most, at["waiting"])
                if time.monotonic() >= told_at + TELL_SECONDS:
                    told_at = time.monotonic()
                    print("  " + ", ".join(f"{number:,} {what}" for what, number in at.items()))
                if happened(at):
                    return most
                await asyncio.sleep(LOOK_SECONDS)

    async def _say(self, messages: Any) -> None:
        waiting: list[Message] = list(messages)
        for start in range(0, len(waiting), _CHUNK):
            envelopes = [enclose(message, None) for message in waiting[start : start + _CHUNK]]
            await self.producer.publish(envelopes, datetime.now(UTC))

    async def _fault(self, method: str, rules: list[dict[str, str]] | None) -> None:
        async with client_of(self.north_url) as north:
            body = None if rules is None else orjson.dumps(rules)
            answer = await north.request(method, "/faults", body)
            assert answer.status == 200, answer


def _rule(subscriber: Subscriber) -> dict[str, Any]:
    return {
        "subscription_id": subscriber.subscription_id,
        "triggers": ["exhausted"],
        "offering_id": OFFERING,
        "payment_method_ids": [subscriber.payment_method_id],
        "cap_amount_minor": AMOUNT_MINOR,
        "currency": CURRENCY,
    }


def _exhausted(subscriber: Subscriber) -> QuotaExhausted:
    return QuotaExhausted(
        subscription_id=subscriber.subscription_id,
        cycle=0,
        remaining_bytes=0,
        occurred_at=datetime.now(UTC),
    )
