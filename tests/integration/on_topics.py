"""What a test needs to speak with a running service over its real topics."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer

from deploy.local.topics import create_topics
from shared.clock import utc_now
from shared.contracts.message import Message
from shared.contracts.registry import message_class
from shared.contracts.topics import TOPICS
from shared.messaging.envelope import enclose
from shared.messaging.producer import Producer
from shared.runner import AnySettings, Build, RunningService

DEADLINE_SECONDS = 30.0
PARTITIONS = 2


class Topics:
    """Writes messages as any service would, and waits for others."""

    def __init__(self, bootstrap: str, producer: Producer) -> None:
        self._bootstrap = bootstrap
        self._producer = producer

    async def send(self, *messages: Message) -> None:
        await self._producer.publish([enclose(message, None) for message in messages], utc_now())

    async def until(self, topic: str, key: str, found: Callable[[list[Message]], bool]) -> list[Message]:
        """Read the topic from its beginning until the messages of that key are what is waited for."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        seen: list[Message] = []
        try:
            consumer.subscribe([topic])
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
    """The whole service, in consumer groups of its own, reading all that is in its topics."""
    await create_topics(settings.kafka_bootstrap, TOPICS, PARTITIONS)
    service = RunningService(f"{name}-{uuid.uuid4().hex[:8]}", build, settings)
    producer = Producer(settings.kafka_bootstrap, f"test-{uuid.uuid4().hex[:8]}", "tests")
    await producer.start()
    await service.start()
    try:
        yield Topics(settings.kafka_bootstrap, producer)
    finally:
        await service.stop()
        await producer.stop()
