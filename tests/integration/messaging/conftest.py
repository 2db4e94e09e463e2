"""A small service of the tests' own: a table of counted messages and a consumer that fills it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream.kafka import KafkaBroker

from shared.clock import utc_now
from shared.contracts.message import Message, deterministic_id
from shared.database import open_pool
from shared.messaging.consumer import Consumer, ConsumerLoop
from shared.messaging.dead_letters import SUFFIX, DeadLetters
from shared.messaging.gathering import GATHER_SECONDS
from shared.messaging.handling import BatchHandler, InTransaction
from shared.messaging.metrics import ConsumerMetrics
from shared.messaging.outbox import Outbox
from shared.messaging.producer import Producer
from shared.messaging.received import Decoder
from shared.messaging.set_aside import SetAside
from shared.messaging.transaction import Transactions
from tests.conftest import FreshDatabase, FreshTopic

DEADLINE_SECONDS = 20.0


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for a condition, bounded."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not within {DEADLINE_SECONDS} s: {what}")


@dataclass
class Bench:
    """Everything between a topic and a table."""

    topic: str
    message: type[Message]
    pool: Any
    producer: Producer
    outbox: Outbox
    transactions: Transactions
    bootstrap: str
    raw: AIOKafkaProducer
    brokers: list[tuple[KafkaBroker, asyncio.Event, asyncio.Task[None]]] = field(default_factory=list)

    async def consume(
        self,
        handle: BatchHandler,
        name: str = "tests",
        max_records: int = 100,
        gather_seconds: float = GATHER_SECONDS,
    ) -> ConsumerLoop:
        """Start a consumer as a service would."""
        broker = KafkaBroker(
            self.bootstrap, consumer_only=True, allow_auto_create_topics=False, apply_types=False, logger=None
        )
        consumer = Consumer(name, (self.topic,), (self.message,), handle, max_records, gather_seconds)
        decoder = Decoder((self.message,), lambda _, ce_type: self.message if ce_type == "Pong" else None)
        dead_letters = DeadLetters(self.producer, name, utc_now)
        loop = ConsumerLoop(
            consumer,
            service=self.topic,
            instance="1",
            broker=broker,
            decoder=decoder,
            handling=InTransaction(
                handle,
                self.transactions,
                SetAside(self.pool, name),
                decoder,
                ConsumerMetrics(self.topic, name),
            ),
            dead_letters=dead_letters,
        )
        await broker.start()
        stopping = asyncio.Event()
        self.brokers.append((broker, stopping, asyncio.create_task(loop.run(stopping))))
        return loop

    async def send(self, key: str, number: int) -> None:
        await self.producer.send([self._record(key, number)])

    def _record(self, key: str, number: int) -> tuple[str, bytes, bytes, list[tuple[str, bytes | None]]]:
        value = self.message(name=key, number=number).model_dump_json().encode()
        return (self.topic, key.encode(), value, [("ce_type", b"Ping")])

    async def counted(self) -> list[int]:
        return [row["number"] for row in await self.pool.fetch("select number from counted order by number")]

    async def dead_letters(self, count: int) -> list[Any]:
        consumer = AIOKafkaConsumer(
            self.topic + SUFFIX, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return [await consumer.getone() for _ in range(count)]
        finally:
            await consumer.stop()

    async def stop_consuming(self) -> None:
        for broker, stopping, task in self.brokers:
            stopping.set()
            await task
            await broker.stop()
        self.brokers.clear()


@pytest.fixture
async def bench(
    fresh_database: FreshDatabase, fresh_topic: FreshTopic, kafka_bootstrap: str
) -> AsyncIterator[Bench]:
    topic_name = await fresh_topic("pings")
    await fresh_topic("pings" + SUFFIX)

    class Ping(Message):
        topic: ClassVar[str] = topic_name
        name: str
        number: int

        @property
        def key(self) -> str:
            return self.name

        @property
        def event_id(self) -> UUID:
            return deterministic_id(self.name, self.number)

    pool = await open_pool(await fresh_database(), application_name="tests", connections=4)
    await pool.execute("create table counted (number integer primary key, name text not null)")
    producer = Producer(kafka_bootstrap, "tests", "tests")
    await producer.start()
    outbox = Outbox(pool, producer, topic_name, utc_now)
    raw = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)
    await raw.start()
    bench = Bench(
        topic_name, Ping, pool, producer, outbox, Transactions(pool, outbox, utc_now), kafka_bootstrap, raw
    )
    yield bench
    await bench.stop_consuming()
    await raw.stop()
    await producer.stop()
    await pool.close()
