"""Kafka as the services see it: topics, partitions, groups with static members, at least once.

The real ConsumerLoop reads from it: a Reader stands in for aiokafka's consumer, a Subscription for
FastStream's subscriber. What the network and the log do to a record on its way is asked of the weather.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from shared.messaging.murmur2 import murmur2
from shared.messaging.producer import Producer
from tests.simulation.timeline import Life, VirtualLoop

SESSION_SECONDS: Final = 30.0
PARTITIONS: Final = 2

Headers = Sequence[tuple[str, bytes | None]]


class Record(NamedTuple):
    """A record in the log, as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class OnTheWay(Protocol):
    """What happens to records between a producer and the log."""

    async def publishing(self, life: Life, records: Sequence[tuple[Any, ...]]) -> int:
        """Before they are written; how many are. Raises PublishFailed where none is and the client knows."""

    def appending(self, topic: str, value: bytes | None) -> tuple[float, ...]:
        """After how many seconds each copy of the record can be read; usually one, at once."""

    async def published(self, life: Life, records: Sequence[tuple[Any, ...]], complete: bool) -> None:
        """After they were written. Raises PublishFailed where the acknowledgement was lost."""


class Broker:
    """The log and its groups."""

    def __init__(self, loop: VirtualLoop, on_the_way: OnTheWay) -> None:
        self.loop = loop
        self.on_the_way = on_the_way
        self.logs: dict[TopicPartition, list[Record]] = {}
        self.groups: dict[str, Group] = {}
        self.heard: Callable[[Record], None] = lambda _record: None
        """Called with every record that can be read from now on."""
        self.said: dict[str, list[tuple[str, str]]] = {}
        """By renewal: the type and id of every event as it was published, repetitions included."""
        self.tell: Callable[[str, str], None] = lambda _who, _what: None
        self.first_said: dict[tuple[str, str], float] = {}
        """When (renewal, type) was first published."""

    def write(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, stamp: int) -> None:
        """Append a record to its key's partition, when its time has come."""
        named = dict(headers)
        if "ce_subject" in named:
            said = ((named["ce_type"] or b"").decode(), (named["ce_id"] or b"").decode())
            subject = (named["ce_subject"] or b"").decode()
            self.tell(
                (named["ce_source"] or b"").decode().removeprefix("recarga/"), f"{said[0]} {subject[:8]}"
            )
            self.said.setdefault(subject, []).append(said)
            self.first_said.setdefault((subject, said[0]), self.loop.time())
        partition = (murmur2(key or b"") & 0x7FFFFFFF) % PARTITIONS
        for delay in self.on_the_way.appending(topic, value):
            if delay:
                self.loop.work_later(delay, self._append, topic, partition, key, value, headers, stamp)
            else:
                self._append(topic, partition, key, value, headers, stamp)

    def _append(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers, stamp: int
    ) -> None:
        log = self.log(TopicPartition(topic, partition))
        record = Record(topic, partition, len(log), stamp, key, value, headers)
        log.append(record)
        self.heard(record)
        for group in self.groups.values():
            if topic in group.topics:
                group.tell(TopicPartition(topic, partition))

    def log(self, place: TopicPartition) -> list[Record]:
        return self.logs.setdefault(place, [])

    def subscriber(self, *topics: str, **options: Any) -> Subscription:
        """As a FastStream broker's: what ConsumerLoop asks for when it is made."""
        group = self.groups.get(options["group_id"])
        if group is None:
            group = self.groups[options["group_id"]] = Group(self, options["group_id"], topics)
        return Subscription(Reader(group, options["group_instance_id"], options["listener"]))

    def records(self) -> Iterable[Record]:
        for log in self.logs.values():
            yield from log


@dataclass
class Subscription:
    """What ConsumerLoop does with a FastStream subscriber."""

    consumer: Reader
    handler: Callable[[Any], Awaitable[None]] | None = None
    get_msg: Any = None

    def __call__(self, handler: Callable[[Any], Awaitable[None]]) -> None:
        self.handler = handler

    async def read_on(self) -> None:
        """Poll and handle until the end of this process."""
        assert self.handler is not None
        await self.consumer.join()
        while True:
            polled = await self.get_msg(self.consumer)
            if polled:
                await self.handler(SimpleNamespace(raw_message=polled))


class Group:
    """One consumer group: who reads which partition, and what is committed."""

    def __init__(self, broker: Broker, name: str, topics: Sequence[str]) -> None:
        self.broker = broker
        self.name = name
        self.topics = frozenset(topics)
        self.committed: dict[TopicPartition, int] = {}
        self.members: dict[str, Reader] = {}
        self.assigned: dict[TopicPartition, str] = {}

    @property
    def places(self) -> list[TopicPartition]:
        return [
            TopicPartition(topic, number) for topic in sorted(self.topics) for number in range(PARTITIONS)
        ]

    def tell(self, place: TopicPartition) -> None:
        for name, reader in self.members.items():
            reader.unread = None
            if name == self.assigned.get(place):
                reader.came.set()

    def share_out(self) -> None:
        """By range over the members: who loses a partition is told, who gets one reads from the commit."""
        names = sorted(self.members)
        before = dict(self.assigned)
        self.assigned = (
            {place: names[place.partition * len(names) // PARTITIONS] for place in self.places}
            if names
            else {}
        )
        for name, reader in self.members.items():
            had = {place for place, owner in before.items() if owner == name}
            has = {place for place, owner in self.assigned.items() if owner == name}
            reader.reassigned(had - has, has - had)

    def behind(self) -> bool:
        """Whether anything that can be read was not read to its end."""
        return any(len(self.broker.log(place)) > self.committed.get(place, 0) for place in self.places)


@dataclass(eq=False)
class Reader:
    """One member of a group. Stands in for AIOKafkaConsumer."""

    group: Group
    instance: str
    listener: Any
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    outlived: set[TopicPartition] = field(default_factory=set)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    unread: dict[tuple[str, int], int] | None = None
    """What `lag` has found; None: something has moved since."""
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    """That of its process: who is told of a new sharing out is told there."""
    _told: set[asyncio.Task[None]] = field(default_factory=set)
    _fetcher: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(_fetch_max_wait_ms=0, _fetch_min_bytes=1)
    )

    async def join(self) -> None:
        """A static member that comes back in time finds its partitions; any other makes a new sharing out."""
        if self.outlived:
            # It learns only now that its session was over: what it has handled since is not its to commit.
            await self._revoked(self.outlived)
            self.outlived = set()
        known = self.instance in self.group.members
        self.group.members[self.instance] = self
        if known:
            self.reassigned(set(), {p for p, owner in self.group.assigned.items() if owner == self.instance})
        else:
            self.group.share_out()

    def gone(self) -> None:
        """Its session ended: the others take over."""
        if self.group.members.get(self.instance) is self:
            del self.group.members[self.instance]
            self.outlived = set(self.positions)
            self.positions.clear()
            self.unread = None
            self.group.share_out()

    def reassigned(self, lost: set[TopicPartition], gained: set[TopicPartition]) -> None:
        if lost:
            self._tell(self._revoked(lost))
        self.unread = None
        for place in sorted(gained):
            self.positions[place] = self.group.committed.get(place, 0)
        if gained:
            self._tell(self._gained(gained))
            self.came.set()

    def _tell(self, telling: Coroutine[Any, Any, None]) -> None:
        """Within its process, and in its own time."""
        task = asyncio.get_running_loop().create_task(telling, context=self.context)
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _gained(self, gained: set[TopicPartition]) -> None:
        with suppress(Exception):  # aiokafka notes what its listener raises, and goes on
            await self.listener.on_partitions_assigned(gained)

    async def _revoked(self, lost: set[TopicPartition]) -> None:
        with suppress(Exception):
            await self.listener.on_partitions_revoked(lost)
        self.unread = None
        for place in sorted(lost):
            self.positions.pop(place, None)

    # -- what ConsumerLoop asks aiokafka's consumer for ---------------------------------------------

    async def getmany(self, *, max_records: int, **_: int) -> dict[TopicPartition, list[Record]]:
        """What there is; waits until there is something, for an empty poll does nothing."""
        while not self._waiting():
            self.came.clear()
            await self.came.wait()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        gather = self._fetcher._fetch_max_wait_ms if self._fetcher._fetch_min_bytes > 1 else 1
        await loop.spend(gather / 1000)
        got: dict[TopicPartition, list[Record]] = {}
        self.unread = None
        for place in self._waiting():
            position = self.positions[place]
            records = self.group.broker.log(place)[position : position + max_records]
            self.positions[place] = position + len(records)
            max_records -= len(records)
            got[place] = records
            if not max_records:
                break
        return got

    def _waiting(self) -> list[TopicPartition]:
        log = self.group.broker.log
        return [place for place, position in self.positions.items() if position < len(log(place))]

    def assignment(self) -> set[TopicPartition]:
        return {place for place, owner in self.group.assigned.items() if owner == self.instance}

    def seek(self, place: TopicPartition, offset: int) -> None:
        if place not in self.positions:
            raise IllegalStateError(f"{place} is not assigned")
        self.positions[place] = offset
        self.unread = None
        self.came.set()

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.group.members.get(self.instance) is not self or not offsets.keys() <= self.assignment():
            raise CommitFailedError("another generation")
        self.group.committed |= offsets

    def lag(self) -> dict[tuple[str, int], int]:
        """How many records of each of its partitions it has not polled yet."""
        if self.unread is None:
            self.unread = {
                (place.topic, place.partition): self.highwater(place) - position
                for place, position in self.positions.items()
            }
        return self.unread

    def highwater(self, place: TopicPartition) -> int:
        return len(self.group.broker.log(place))

    def last_poll_timestamp(self, _place: TopicPartition) -> None:
        """Nothing was fetched a while ago: this broker answers at once, always."""

    async def position(self, place: TopicPartition) -> int:
        return self.positions.get(place, self.group.committed.get(place, 0))


class SimulatedProducer(Producer):
    """The real producer's interface over the simulated log."""

    def __init__(self, broker: Broker, life: Life, source: str, clock: Callable[[], Any]) -> None:
        super().__init__("nowhere", life.name, source)
        self._broker = broker
        self._life = life
        self._clock = clock

    async def send(
        self, records: Iterable[tuple[str, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]]
    ) -> None:
        """Written when acknowledged, unless the weather says otherwise."""
        batch = list(records)
        written = await self._broker.on_the_way.publishing(self._life, batch)
        stamp = int(self._clock().timestamp() * 1000)
        for topic, key, value, headers in batch[:written]:
            self._broker.write(topic, key, value, headers, stamp)
        await self._broker.on_the_way.published(self._life, batch, written == len(batch))
