"""Where unreadable records go: the raw record, with why and from where in its headers."""

from datetime import datetime

from shared.clock import Clock
from shared.messaging.envelope import cloud_events_time
from shared.messaging.producer import Producer
from shared.messaging.received import Unreadable
from shared.observability.logging import get_logger

SUFFIX = ".dead-letters"
_log = get_logger(__name__)


class DeadLetters:
    """Writes dead letters for one consumer. A letter is there before the record's offset is committed."""

    def __init__(self, producer: Producer, consumer: str, clock: Clock) -> None:
        self._producer = producer
        self._consumer = consumer
        self._clock = clock

    async def send(self, unreadable: Unreadable) -> None:
        """Key, value and headers go as they came, to the byte; ours are added behind.

        Raises:
            PublishFailed: Kafka did not acknowledge; the batch is read again.
        """
        record = unreadable.record
        headers = [*record.headers, *self._ours(unreadable, self._clock())]
        await self._producer.send([(record.topic + SUFFIX, record.key, record.value, headers)])
        _log.warning(
            "record_dead_lettered",
            consumer=self._consumer,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=unreadable.why,
        )

    def _ours(self, unreadable: Unreadable, now: datetime) -> list[tuple[str, bytes]]:
        record = unreadable.record
        return [
            ("dead_letter_reason", unreadable.why.encode()),
            ("dead_letter_consumer", self._consumer.encode()),
            ("dead_letter_topic", record.topic.encode()),
            ("dead_letter_partition", str(record.partition).encode()),
            ("dead_letter_offset", str(record.offset).encode()),
            ("dead_letter_time", cloud_events_time(now)),
        ]
