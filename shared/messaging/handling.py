"""What happens to a decoded batch: in one transaction, without a database, or in memory only."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from shared import crash_points
from shared.clock import Clock
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.envelope import Envelope, Sendable, enclose
from shared.messaging.errors import DomainError, is_poison
from shared.messaging.metrics import ConsumerMetrics
from shared.messaging.producer import Producer
from shared.messaging.received import Decoder, Received, Unreadable
from shared.messaging.set_aside import SetAside
from shared.messaging.transaction import Transaction, Transactions
from shared.observability.logging import get_logger
from shared.observability.tracing import child, new_span_id

BatchHandler = Callable[[Transaction, Sequence[Received]], Awaitable[None]]
StatelessHandler = Callable[["Sender", Sequence[Received]], Awaitable[None]]
MemoryHandler = Callable[[Sequence[Received]], Awaitable[None]]
_log = get_logger(__name__)


class Handling(Protocol):
    """Takes a batch to its end, or raises: then the same batch comes again."""

    async def __call__(self, batch: Sequence[Received]) -> None: ...

    async def refresh(self) -> None:
        """Called at the start, on assignment and every few seconds."""


class Sender:
    """What a stateless handler is given: the instant, and the way to say something."""

    __slots__ = ("_span_id", "now", "outgoing")

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.outgoing: list[Envelope] = []
        self._span_id = new_span_id()

    def send(self, message: Sendable, traceparent: str | None = None) -> None:
        """Publish `message` when the handler has returned, before the offsets are committed."""
        self.outgoing.append(enclose(message, child(traceparent, self._span_id)))


class InTransaction:
    """One transaction per batch. A poisoned key is set aside; the others do not notice."""

    def __init__(
        self,
        handle: BatchHandler,
        transactions: Transactions,
        set_aside: SetAside,
        decoder: Decoder,
        metrics: ConsumerMetrics,
    ) -> None:
        self._handle = handle
        self._transactions = transactions
        self._set_aside = set_aside
        self._decoder = decoder
        self._metrics = metrics

    async def __call__(self, batch: Sequence[Received]) -> None:
        if self._set_aside.keys:
            batch = await self._queue_behind(batch)
        if not batch:
            return
        try:
            await self._run(batch)
        except Exception as error:
            if not is_poison(error):
                raise
            _log.warning("batch_split_by_key", error=_named(error), records=len(batch))
            await self._key_by_key(batch)

    async def refresh(self) -> None:
        """Learn what waits, and handle what was released, key by key."""
        await self._set_aside.load()
        self._metrics.set_aside_keys.set(len(self._set_aside.keys))
        if not self._set_aside.keys:
            return
        for key in await self._set_aside.released():
            try:
                await self._transactions.run(lambda transaction, key=key: self._release(transaction, key))  # type: ignore[misc]
            except Exception as error:
                if not is_poison(error):
                    raise
                _log.warning("released_key_failed_again", error=_named(error))
        await self._set_aside.load()

    async def _run(self, batch: Sequence[Received]) -> None:
        await self._transactions.run(lambda transaction: self._handle(transaction, batch))
        self._metrics.handled.inc(len(batch))

    async def _key_by_key(self, batch: Sequence[Received]) -> None:
        by_key: dict[bytes | None, list[Received]] = {}
        for received in batch:
            by_key.setdefault(received.record.key, []).append(received)
        for records in by_key.values():
            try:
                await self._run(records)
            except Exception as error:
                if not is_poison(error):
                    raise
                _log.error("key_set_aside", error=_named(error), topic=records[0].topic, records=len(records))
                await self._keep(records, _named(error))

    async def _queue_behind(self, batch: Sequence[Received]) -> Sequence[Received]:
        waiting = self._set_aside.keys
        behind = [received for received in batch if received.record.key in waiting]
        if not behind:
            return batch
        await self._keep(behind, "queued behind an earlier record of its key")
        return [received for received in batch if received.record.key not in waiting]

    async def _keep(self, records: Sequence[Received], reason: str) -> None:
        await self._transactions.run(
            lambda transaction: self._set_aside.keep(transaction.connection, records, reason)
        )
        self._metrics.set_aside.inc(len(records))
        self._metrics.set_aside_keys.set(len(self._set_aside.keys))

    async def _release(self, transaction: Transaction, key: bytes | None) -> None:
        kept = await self._set_aside.take(transaction.connection, key)
        decoded = [self._decoder.decode(record) for record in kept]
        for read in decoded:
            if isinstance(read, Unreadable):
                # It was readable when it was set aside: a new version must not lose it.
                raise DomainError(f"a record of the key can no longer be read: {read.why}")
        batch = [received for received in decoded if isinstance(received, Received)]
        if batch:
            await self._handle(transaction, batch)
            _log.info("released_key_handled", records=len(batch))


class Stateless:
    """No rows: the answer follows from the message, and is published before the offsets are committed."""

    def __init__(
        self,
        handle: StatelessHandler,
        producer: Producer,
        dead_letters: DeadLetters,
        clock: Clock,
        metrics: ConsumerMetrics,
    ) -> None:
        self._handle = handle
        self._producer = producer
        self._dead_letters = dead_letters
        self._clock = clock
        self._metrics = metrics

    async def __call__(self, batch: Sequence[Received]) -> None:
        try:
            await self._run(batch)
        except Exception as error:
            if not is_poison(error):
                raise
            await self._one_by_one(batch)

    async def _run(self, batch: Sequence[Received]) -> None:
        sender = Sender(self._clock())
        await self._handle(sender, batch)
        if sender.outgoing:
            if crash_points.orders is not None:
                crash_points.orders.pass_by(crash_points.BEFORE_PUBLISH)
            await self._producer.publish(sender.outgoing, sender.now)
        self._metrics.handled.inc(len(batch))

    async def _one_by_one(self, batch: Sequence[Received]) -> None:
        """Without rows there is no order to keep: only the poisoned record itself is left out."""
        for received in batch:
            try:
                await self._run([received])
            except Exception as error:
                if not is_poison(error):
                    raise
                await self._dead_letters.send(Unreadable(received.record, _named(error)))
                self._metrics.dead_letter(received.topic)

    async def refresh(self) -> None:
        """Nothing waits: there is nothing to keep."""


class InMemory:
    """Builds a projection in this process's memory."""

    def __init__(self, handle: MemoryHandler, metrics: ConsumerMetrics) -> None:
        self._handle = handle
        self._metrics = metrics

    async def __call__(self, batch: Sequence[Received]) -> None:
        await self._handle(batch)
        self._metrics.handled.inc(len(batch))

    async def refresh(self) -> None:
        """Nothing waits: a restart reads everything again."""


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
