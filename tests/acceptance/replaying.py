"""Every service in this process, on a clock that can be set forward; and all there is, to be compared."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.local.ports import SERVICES
from deploy.local.stack import Stack
from shared.archive import Archive, Removal
from shared.clock import utc_now
from shared.contracts.topics import TOPICS
from shared.database import open_pool
from shared.messaging.consumer import Consumer
from shared.messaging.outbox import Outbox
from shared.messaging.producer import Producer
from shared.messaging.transaction import Transactions
from shared.runner import RunningService, Service
from tests.acceptance.http_caller import send_json
from tests.acceptance.office import NotInTime, Office

REPLAY_SECONDS = 120.0
STILL_SECONDS = 3.0
"""How long nothing new may come until all is read: lags are measured every second."""
OF_THE_MACHINERY = {
    "schema_migrations",
    "outbox",  # what it holds for a moment is in the topics
    "archive_walk",
    "consumer_progress",  # how far the saga has read, and when it was behind
    "stalls",
    "burst_counts",  # windows that are over are forgotten
}


@dataclass(slots=True)
class Clock:
    """The present instant, and so much later."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@dataclass(slots=True)
class InProcess:
    """A generation of services: another one has consumer groups of its own, which have read nothing."""

    stack: Stack
    clock: Clock
    _running: list[RunningService] = field(default_factory=list)
    _consumers: list[Consumer] = field(default_factory=list)

    async def start(self, generation: str = "") -> None:
        stack = self.stack
        for name in SERVICES:
            settings = import_module(f"services.{name}.settings").Settings(
                database_url=stack.database_url(name),
                kafka_bootstrap=stack.kafka_bootstrap,
                http_port=stack.port_of(name),
                psp_url=stack.psp_url,
                carrier_url=stack.carrier_url,
                webhook_secret_file=stack.webhook_secret_file,
            )
            # Usage stays in the present: months later data would rightly have lapsed, and be renewed.
            clock = Clock() if name == "usage" else self.clock
            running = RunningService(name + generation, self._build(name), settings, clock)
            await running.start()
            self._running.append(running)

    async def stop(self) -> None:
        running, self._running, self._consumers = self._running, [], []
        await asyncio.gather(*(service.stop() for service in running))

    @property
    def caught_up(self) -> bool:
        """Whether every consumer had read all when it last looked."""
        return all(consumer.caught_up for consumer in self._consumers)

    def _build(self, name: str) -> Any:
        build = import_module(f"services.{name}.wiring").build

        def noted(settings: Any, transactions: Transactions) -> Service:
            service: Service = build(settings, transactions)
            self._consumers += service.consumers
            return service

        return noted


async def until_all_is_read(office: Office, services: InProcess) -> None:
    """Wait until every consumer has read everything, and nothing more comes of it."""
    deadline = time.monotonic() + REPLAY_SECONDS
    ends: dict[TopicPartition, int] = {}
    since = time.monotonic()
    while True:
        now = await _ends(office.stack)
        events = sum(
            [
                await office.database.fetchval(f"select count(*) from {name}.outbox")  # noqa: S608 - ours
                for name in SERVICES
            ]
        )
        if now != ends or events or not services.caught_up:
            ends, since = now, time.monotonic()
        elif time.monotonic() - since > STILL_SECONDS:
            return
        if time.monotonic() > deadline:
            raise NotInTime(f"not after {REPLAY_SECONDS} s: everything is read")
        await asyncio.sleep(0.2)


async def take_any_time(bootstrap: str) -> None:
    """Let Kafka take records of clocks that are far ahead, as those of a replay are here."""
    configs = {"message.timestamp.after.max.ms": str(2**62), "compression.type": "uncompressed"}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topics = [ConfigResource(ConfigResourceType.TOPIC, topic.name, configs) for topic in TOPICS]
        for response in await admin.alter_configs(topics):
            assert all(code == 0 for code, *_ in response.resources), response
    finally:
        await admin.close()


async def archive_all(stack: Stack, producer: Producer, removals: dict[str, Removal]) -> None:
    """Move everything that is settled, however recently, in services that do not run."""
    at_once = timedelta(0)
    for name, removal in removals.items():
        pool = await open_pool(stack.database_url(name), application_name="test archive", connections=2)
        async with pool:
            transactions = Transactions(pool, Outbox(pool, producer, name, utc_now), utc_now)
            archive = Archive(transactions, removal, after=at_once, every=at_once)
            while await transactions.run(archive.step):
                pass


async def all_rows(office: Office) -> dict[str, list[str]]:
    """Every row of every service, by table."""
    rows = {}
    tables = await office.database.fetch(
        """select c.oid::regclass::text as name, c.relname as tablename
        from pg_class as c
        where
            c.relnamespace::regnamespace::text = any($1) and c.relkind in ('r', 'p')
            and not c.relispartition""",
        SERVICES,
    )
    for table in tables:
        if table["tablename"] not in OF_THE_MACHINERY:
            statement = f"select row_to_json(t)::text from {table['name']} as t order by 1"  # noqa: S608
            rows[table["name"]] = [row[0] for row in await office.database.fetch(statement)]
    return rows


@dataclass(frozen=True, slots=True)
class Event:
    """A record: what it is, and what it says."""

    topic: str
    type: str
    id: str
    value: bytes


async def all_events(stack: Stack) -> list[Event]:
    """Every record of every topic, in no order."""
    ends = await _ends(stack)
    left = {partition for partition, end in ends.items() if end}
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    events: list[Event] = []
    try:
        consumer.assign(left)
        await consumer.seek_to_beginning()
        async with asyncio.timeout(REPLAY_SECONDS):
            while left:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        headers = {name: value.decode() for name, value in record.headers}
                        events.append(Event(record.topic, headers["ce_type"], headers["ce_id"], record.value))
                left -= {
                    partition for partition in left if await consumer.position(partition) >= ends[partition]
                }
    finally:
        await consumer.stop()
    return events


def kinds(events: Iterable[Event]) -> Counter[str]:
    """How many there are of each type."""
    return Counter(event.type for event in events)


def by_id(events: Iterable[Event]) -> dict[tuple[str, str], set[bytes]]:
    """What the events of each id say: more than one thing where two of one id differ."""
    found: defaultdict[tuple[str, str], set[bytes]] = defaultdict(set)
    for event in events:
        found[event.topic, event.id].add(event.value)
    return dict(found)


async def journals(stack: Stack) -> list[dict[str, Any]]:
    """Every request and every effect in the journals of PSP and carrier."""
    rows: list[dict[str, Any]] = []
    for url in (stack.psp_url, stack.carrier_url):
        for kind in ("request", "effect"):
            reply = await send_json(url, "GET", f"/journal?kind={kind}&limit=10000&after=0")
            assert not reply.body["more"]
            rows += reply.body["rows"]
    return rows


async def _ends(stack: Stack) -> dict[TopicPartition, int]:
    """The offset behind the last record of each partition."""
    partitions = [
        TopicPartition(topic.name, number) for topic in TOPICS for number in range(stack.partitions)
    ]
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap)
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return ends
    finally:
        await consumer.stop()
