"""Reads batches with FastStream's Kafka subscriber and takes each to its end before the next.

Acknowledging is ours (policy MANUAL), because FastStream commits after every batch and a commit costs as
much as a small batch: what was handled is committed every 100 ms, by explicit offsets, so that a batch
under way is never covered. Every failure seeks back after a pause, so MANUAL loses nothing.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage
from pydantic import BaseModel

from shared import crash_points
from shared.clock import utc_now
from shared.messaging import metrics
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.gathering import (
    GATHER_SECONDS,
    IDLE_FETCH_MILLISECONDS,
    IDLE_POLL_MILLISECONDS,
    Gathering,
)
from shared.messaging.handling import BatchHandler, Handling, MemoryHandler, StatelessHandler
from shared.messaging.received import Decoder, Received, Record, Skipped, Unreadable
from shared.messaging.records import read_any_header_name
from shared.observability.logging import get_logger

COMMIT_EVERY_SECONDS = 0.1
REFRESH_EVERY_SECONDS = 5.0
BATCH_DEADLINE_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
DEAF_AFTER_SECONDS = 3.0
"""A fetch that finds nothing is answered twice a second. Where none is for so long, nobody knows the end."""
_log = get_logger(__name__)

read_any_header_name()


@dataclass(eq=False)
class Consumer:
    """What is read and by whom. Group id is `<service>.<name>`; one handler takes all its topics."""

    name: str
    topics: Sequence[str]
    messages: Sequence[type[BaseModel]]
    handle: BatchHandler | StatelessHandler | MemoryHandler
    max_records: int = 500
    gather_seconds: float = GATHER_SECONDS
    """How long a record may wait for others while they keep coming. Longer where no customer waits for it:
    then the events of one key fold into one write."""
    stateless: bool = False
    from_start_every_time: bool = False
    """No group: every process reads the topics wholly, for a projection in memory."""
    lag: dict[tuple[str, int], int] = field(default_factory=dict)
    """Records not read yet by (topic, partition), for what this process is assigned; once a second.

    A partition of which Kafka has said nothing for a while is not in it, rather than with a lag of none.
    """

    @property
    def caught_up(self) -> bool:
        """Whether this process has read all that there was when it last looked."""
        return bool(self.lag) and not any(self.lag.values())


@dataclass(slots=True)
class Poll:
    """What one poll brought, as FastStream carries it. Emptied when handled: FastStream's frames refer to
    each other, and would keep all records alive until the garbage collector comes by."""

    topic: str
    records: Sequence[Record]


class ConsumerLoop(ConsumerRebalanceListener):  # type: ignore[misc]
    """One consumer at work in one process."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        service: str,
        instance: str,
        broker: KafkaBroker,
        decoder: Decoder,
        handling: Handling,
        dead_letters: DeadLetters,
    ) -> None:
        self.consumer = consumer
        self._decoder = decoder
        self._handling = handling
        self._dead_letters = dead_letters
        self._metrics = metrics.ConsumerMetrics(service, consumer.name)
        self._handled: dict[TopicPartition, int] = {}
        self._underway: dict[TopicPartition, int] = {}
        self._failures = 0
        self._gathering = Gathering(consumer.gather_seconds)
        grouped = not consumer.from_start_every_time
        subscriber = broker.subscriber(
            *consumer.topics,
            batch=True,
            group_id=f"{service}.{consumer.name}" if grouped else None,
            group_instance_id=f"{service}.{consumer.name}.{instance}" if grouped else None,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            auto_offset_reset="earliest",
            max_records=consumer.max_records,
            batch_timeout_ms=IDLE_POLL_MILLISECONDS,
            fetch_max_wait_ms=IDLE_FETCH_MILLISECONDS,
            session_timeout_ms=30_000,
            rebalance_timeout_ms=60_000,
            # Range keeps equal keys of equally partitioned topics in one process: no lock is contended.
            partition_assignment_strategy=(RangePartitionAssignor,),
            listener=self,
            parser=self._parse,
            decoder=_undecoded,
        )
        self._subscriber: Any = subscriber
        subscriber.get_msg = self._poll  # type: ignore[method-assign] # see there
        subscriber(self._consume)

    # -- from Kafka ---------------------------------------------------------------------------------

    async def _poll(self, consumer: AIOKafkaConsumer) -> tuple[Poll, ...]:
        """What has come, as soon as something has. FastStream's own sleeps after every empty poll, which
        costs latency at every hop when there is little to do, and CPU when there is nothing."""
        got = await consumer.getmany(
            timeout_ms=self._gathering.poll_milliseconds, max_records=self.consumer.max_records
        )
        records = list(chain.from_iterable(got.values()))
        self._gathering.polled(consumer, len(records))
        return (Poll(records[0].topic, records),) if records else ()

    async def _parse(self, polled: tuple[Poll, ...], _original: object) -> KafkaAckableMessage:
        """FastStream's own parser decodes every header and drops the batch when one is null or not UTF-8."""
        return KafkaAckableMessage(
            body=b"", headers={}, raw_message=polled, consumer=self._subscriber.consumer
        )

    async def _consume(self, message: KafkaAckableMessage) -> None:
        (poll,) = message.raw_message
        records, poll.records = poll.records, ()
        self._underway = _first_of_each_partition(records)
        try:
            async with asyncio.timeout(BATCH_DEADLINE_SECONDS):
                with self._metrics.batch_seconds.time():
                    await self._take(records)
        except Exception as error:
            self._metrics.retries.inc()
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self._failures)
            self._failures = min(self._failures + 1, 16)
            _log.warning(
                "batch_failed", consumer=self.consumer.name, error=_named(error), records=len(records)
            )
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            self._seek_back(records)
        else:
            self._failures = 0
            underway, self._underway = self._underway, {}
            for record in _last_of_each_partition(records):
                partition = TopicPartition(record.topic, record.partition)
                if partition in underway:
                    self._handled[partition] = record.offset + 1

    async def _take(self, records: Sequence[Record]) -> None:
        batch: list[Received] = []
        unreadable: list[Unreadable] = []
        skipped: Counter[str] = Counter()
        for record in records:
            read = self._decoder.decode(record)
            if isinstance(read, Received):
                batch.append(read)
            elif isinstance(read, Skipped):
                skipped[read.why] += 1
            else:
                unreadable.append(read)
        for why, times in skipped.items():
            self._metrics.result(why).inc(times)
        if batch:
            self._metrics.batch_records.observe(len(batch))
            await self._handling(batch)
        # Last: while the others have to be tried again, no letter is sent once more each time.
        for read in unreadable:
            await self._dead_letters.send(read)
            self._metrics.dead_letter(read.record.topic)

    def _seek_back(self, records: Sequence[Record]) -> None:
        """Each partition to its first record of the batch, so that the whole batch is read again."""
        for partition, offset in _first_of_each_partition(records).items():
            if partition not in self._underway:
                continue
            try:
                self._subscriber.consumer.seek(partition, offset)
            except IllegalStateError:
                # The partition went to another process meanwhile: it reads from the last commit.
                _log.info("partition_lost_before_retry", consumer=self.consumer.name)

    # -- offsets ------------------------------------------------------------------------------------

    async def commit(self) -> None:
        """Commit what was handled. A failure only means that it is read again."""
        if not self._handled or self.consumer.from_start_every_time:
            return
        offsets, self._handled = self._handled, {}
        consumer = self._subscriber.consumer
        if consumer is None:
            return
        assigned = consumer.assignment()
        offsets = {partition: offset for partition, offset in offsets.items() if partition in assigned}
        try:
            if offsets:
                if crash_points.orders is not None:
                    crash_points.orders.pass_by(crash_points.PUBLISH_TO_OFFSET)
                async with asyncio.timeout(DEAF_AFTER_SECONDS):  # whoever waits longer never looks at the lag
                    await consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError, KafkaError, TimeoutError) as error:
            _log.warning("offsets_not_committed", consumer=self.consumer.name, error=_named(error))

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self.commit()
        for partition in revoked:
            # What is handled after this is not ours to commit: whoever has the partition next, even we
            # ourselves, reads on from the last commit, and may be further by then.
            self._handled.pop(partition, None)
            self._underway.pop(partition, None)
            if self.consumer.lag.pop((partition.topic, partition.partition), None) is not None:
                self._metrics.lag_gone(partition.topic, partition.partition)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        if assigned:
            await self._handling.refresh()

    # -- meanwhile ----------------------------------------------------------------------------------

    async def run(self, stopping: asyncio.Event) -> None:
        """Commit offsets, measure the lag and refresh what waits, until stopping."""
        loop = asyncio.get_running_loop()
        next_lag = next_refresh = 0.0
        while not stopping.is_set():
            await asyncio.sleep(COMMIT_EVERY_SECONDS)
            await self.commit()
            if loop.time() >= next_lag:
                next_lag = loop.time() + 1.0
                await self._look()
            if loop.time() >= next_refresh:
                next_refresh = loop.time() + REFRESH_EVERY_SECONDS
                await self._handling.refresh()

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(DEAF_AFTER_SECONDS):
                await self._measure_lag()
        except (TimeoutError, KafkaError) as error:
            _log.warning("lag_unknown", consumer=self.consumer.name, error=_named(error))
            self.consumer.lag.clear()

    async def _measure_lag(self) -> None:
        consumer = self._subscriber.consumer
        if consumer is None:
            return
        for partition in consumer.assignment():
            end = consumer.highwater(partition)
            if end is None:
                # Nothing fetched yet: ask once, so that an empty partition counts as read.
                end = (await consumer.end_offsets([partition]))[partition]
            # A batch that is under way, or failing, has not been read yet, although it was polled.
            position = self._underway.get(partition)
            if position is None:
                position = await consumer.position(partition)
            lag = max(0, end - position)
            if not lag and _is_deaf(consumer, partition):
                self.consumer.lag.pop((partition.topic, partition.partition), None)
                continue
            self.consumer.lag[(partition.topic, partition.partition)] = lag
            self._metrics.lag(partition.topic, partition.partition, lag)


def _is_deaf(consumer: AIOKafkaConsumer, partition: TopicPartition) -> bool:
    """Whether the high water mark is of a while ago: no fetch was answered since."""
    answered_ms = consumer.last_poll_timestamp(partition)
    return answered_ms is not None and utc_now().timestamp() - answered_ms / 1000 > DEAF_AFTER_SECONDS


def _first_of_each_partition(records: Sequence[Record]) -> dict[TopicPartition, int]:
    first: dict[TopicPartition, int] = {}
    for record in records:
        first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
    return first


def _last_of_each_partition(records: Sequence[Record]) -> Iterator[Record]:
    """In a poll the records of one partition follow each other, in order."""
    for record, following in zip_longest(records, records[1:]):
        if following is None or following.partition != record.partition or following.topic != record.topic:
            yield record


async def _undecoded(message: KafkaAckableMessage, _original: object) -> KafkaAckableMessage:
    """Hand the whole batch to the handler: each record is decoded by itself, there."""
    return message


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
