"""Records that break their own transaction wait here, with all later ones of their key, in order.

Two operators let them go once the cause is removed (shared/operators/): `released_at` says since when.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.database import Connection, Pool
from shared.database.arrays import columns
from shared.database.queries import load_queries
from shared.messaging.received import Received

_SQL = load_queries(__file__, "set_aside.sql")


@dataclass(slots=True, frozen=True)
class KeptRecord:
    """A record as it was set aside; reads like one from Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int = 0


class SetAside:
    """The keys that one consumer has set aside, and their records."""

    def __init__(self, pool: Pool, consumer: str) -> None:
        self._pool = pool
        self._consumer = consumer
        self.keys: frozenset[bytes | None] = frozenset()

    async def load(self) -> None:
        """Learn which keys wait: at the start, on assignment, and now and then for what others released."""
        rows = await self._pool.fetch(_SQL["set_aside_keys"], self._consumer)
        self.keys = frozenset(row["key"] for row in rows)

    async def keep(self, connection: Connection, batch: Iterable[Received], reason: str) -> None:
        """Set these records aside in the open transaction."""
        rows = [
            (
                received.topic,
                received.partition,
                received.offset,
                received.record.key,
                received.record.value,
                type(received.message).__name__,
                received.traceparent,
                reason[:500],
            )
            for received in batch
        ]
        await connection.execute(_SQL["set_aside"], self._consumer, *columns(rows, 8))
        self.keys = self.keys | {row[3] for row in rows}

    async def released(self) -> Sequence[bytes | None]:
        """Keys that an operator has let go, a bounded number of them."""
        rows = await self._pool.fetch(_SQL["released_keys"], self._consumer)
        return [row["key"] for row in rows]

    async def take(self, connection: Connection, key: bytes | None) -> list[KeptRecord]:
        """Lock all records of a key, in order, and forget them if the transaction commits."""
        rows = await connection.fetch(_SQL["take_released"], self._consumer, key)
        await connection.execute(_SQL["forget_set_aside"], self._consumer, key)
        return [
            KeptRecord(
                row["topic"],
                row["partition"],
                row["record_offset"],
                row["key"],
                row["payload"],
                _headers(row["type"], row["traceparent"]),
            )
            for row in rows
        ]


def _headers(ce_type: str, traceparent: str | None) -> tuple[tuple[str, bytes | None], ...]:
    headers: list[tuple[str, bytes | None]] = [("ce_type", ce_type.encode())]
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return tuple(headers)
