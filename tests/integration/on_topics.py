"""What a test needs to speak with a running service over its real topics."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.topics import create_topics
from shared.clock import utc_now
from shared.contracts.message import Message
from shared.contracts.registry import message_class
from shared.contracts.topics import TOPICS
from shared.messaging.consumer import Consumer
from shared.messaging.envelope import enclose
from shared.messaging.producer import Producer
from shared.messaging.transaction import Transactions
from shared.runner import AnySettings, Build, RunningService, Service

DEADLINE_SECONDS = 30.0
PARTITIONS = 2

Ends = Mapping[TopicPartition, int]


class Topics:
    """Writes messages as any service would, and waits for others."""

    def __init__(self, bootstrap: str, producer: Producer, began: Ends) -> None:
        self._bootstrap = bootstrap
        self._producer = producer
        self._began = began

    async def send(self, *messages: Message) -> None:
        await self._producer.publish([enclose(message, None) for message in messages], utc_now())

    async def until(self, topic: str, key: str, found: Callable[[list[Message]], bool]) -> list[Message]:
        """Read what came since the service runs until the messages of that key are what is waited for."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap)
        await consumer.start()
        seen: list[Message] = []
        try:
            began = {place: offset for place, offset in self._began.items() if place.topic == topic}
            consumer.assign(list(began))
            for place, offset in began.items():
                consumer.seek(place, offset)
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not found(seen):
                    record = await consumer.getone()
                    kind = message_class(topic, dict(record.headers).get("ce_type", b"").decode())
                    if kind is not None and record.key == key.encode():
                        seen.append(kind.model_validate_json(record.value))
        finally:
            await consumer.stop()
        return seen


@asynccontextmanager
async def running(name: str, build: Build[AnySettings], settings: AnySettings) -> AsyncIterator[Topics]:
    """The whole service, in consumer groups of its own, which read what is written from now on.

    The topics are shared: what other tests wrote before may be hundreds of thousands of records, and to read
    them takes longer than any deadline.
    """
    bootstrap = settings.kafka_bootstrap
    await create_topics(bootstrap, TOPICS, PARTITIONS)
    began = await _ends(bootstrap)
    group = f"{name}-{uuid.uuid4().hex[:8]}"

    def built(told: AnySettings, transactions: Transactions) -> Service:
        service = build(told, transactions)

        async def begin_here() -> None:
            await _commit(bootstrap, group, service.consumers, began)

        return replace(service, starts=(*service.starts, begin_here))

    running_service = RunningService(group, built, settings)
    producer = Producer(bootstrap, f"test-{uuid.uuid4().hex[:8]}", "tests")
    await producer.start()
    await running_service.start()
    try:
        yield Topics(bootstrap, producer, began)
    finally:
        await running_service.stop()
        await producer.stop()


async def _ends(bootstrap: str) -> Ends:
    """Where every partition of every topic ends now."""
    consumer = AIOKafkaConsumer(*(topic.name for topic in TOPICS), bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        ends: Ends = await consumer.end_offsets(list(consumer.assignment()))
    finally:
        await consumer.stop()
    return ends


async def _commit(bootstrap: str, service: str, consumers: Iterable[Consumer], ends: Ends) -> None:
    """Let the groups begin there: as ConsumerLoop names them, and none where all is read at every start."""
    for consumer in consumers:
        if consumer.from_start_every_time:
            continue
        group = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, group_id=f"{service}.{consumer.name}", enable_auto_commit=False
        )
        await group.start()
        try:
            begun = {place: offset for place, offset in ends.items() if place.topic in consumer.topics}
            group.assign(list(begun))
            await group.commit(begun)
        finally:
            await group.stop()
