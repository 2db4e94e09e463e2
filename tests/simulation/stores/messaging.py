"""The statements of the outbox and of what is set aside, run by the real Outbox and SetAside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final, NamedTuple

from shared.database.queries import load_queries
from shared.messaging import outbox as outbox_module
from tests.simulation.database import Database, Open, Table

_OUTBOX: Final = load_queries(outbox_module.__file__, "outbox.sql")
_SET_ASIDE: Final = load_queries(outbox_module.__file__, "set_aside.sql")


class OutboxLine(NamedTuple):
    """A row of outbox: one transaction's events, an array per column."""

    written_at: datetime
    claimed_at: datetime | None
    arrays: tuple[Sequence[Any], ...]


class AsideLine(NamedTuple):
    """A row of set_aside."""

    record_key: bytes | None
    payload: bytes
    type: str
    traceparent: str | None
    reason: str
    set_aside_at: datetime
    released_at: datetime | None


class Messaging:
    """The messaging tables of one database."""

    def __init__(self, database: Database) -> None:
        self.outbox: Table[int, OutboxLine] = Table("outbox")
        self.aside: Table[tuple[str, str, int, int], AsideLine] = Table("set_aside")
        self.ever: set[Any] = set()
        """The id of every event that was ever committed."""
        self.outbox.on_commit = lambda _batch_id, line: self.ever.update(line.arrays[0])
        self._numbers = count(1)
        database.statements |= {
            _OUTBOX["write_outbox"]: self.write_outbox,
            _OUTBOX["forget_acknowledged"]: self.forget_acknowledged,
            _OUTBOX["claim_stranded"]: self.claim_stranded,
            _OUTBOX["outbox_age"]: self.outbox_age,
            _SET_ASIDE["set_aside"]: self.set_aside,
            _SET_ASIDE["set_aside_keys"]: self.set_aside_keys,
            _SET_ASIDE["released_keys"]: self.released_keys,
            _SET_ASIDE["take_released"]: self.take_released,
            _SET_ASIDE["forget_set_aside"]: self.forget_set_aside,
        }

    def oldest(self) -> datetime | None:
        """When the batch was written, or claimed, that has waited longest for its publication."""
        lines = self.outbox.rows.values()
        return min((line.claimed_at or line.written_at for line in lines), default=None)

    async def write_outbox(self, transaction: Open, forgotten: Sequence[int], *arrays: Sequence[Any]) -> int:
        batch_id = next(self._numbers)
        await transaction.insert(self.outbox, batch_id, OutboxLine(transaction.now, None, arrays))
        await self.forget_acknowledged(transaction, forgotten)
        return batch_id

    async def forget_acknowledged(self, transaction: Open, forgotten: Sequence[int]) -> None:
        for batch_id, _ in await transaction.lock_each(self.outbox, sorted(forgotten)):
            transaction.remove(self.outbox, batch_id)

    async def claim_stranded(
        self, transaction: Open, older_than_seconds: float, limit: int
    ) -> list[StrandedRow]:
        long_ago = transaction.now - timedelta(seconds=older_than_seconds)
        waiting = sorted(
            (line.claimed_at or line.written_at, batch_id)
            for batch_id, line in transaction.scan(self.outbox)
            if (line.claimed_at or line.written_at) < long_ago
        )
        rows: list[StrandedRow] = []
        for _, batch_id in waiting:
            if not transaction.is_free(self.outbox, batch_id) or len(rows) == limit:
                continue
            transaction.take(self.outbox, batch_id)
            line = transaction.get(self.outbox, batch_id)
            assert line is not None
            transaction.put(self.outbox, batch_id, line._replace(claimed_at=transaction.now))
            rows.append(StrandedRow((batch_id, *line.arrays)))
        return rows

    async def outbox_age(self, transaction: Open) -> list[dict[str, Any]]:
        lines = [line for _, line in transaction.scan(self.outbox)]
        oldest = min((line.written_at for line in lines), default=transaction.now)
        return [
            {
                "events": sum(len(line.arrays[0]) for line in lines),
                "oldest_seconds": (transaction.now - oldest).total_seconds(),
            }
        ]

    async def set_aside(self, transaction: Open, consumer: str, *arrays: Sequence[Any]) -> None:
        for topic, partition, offset, *kept in zip(*arrays, strict=True):
            line = AsideLine._make((*kept, transaction.now, None))
            await transaction.insert(self.aside, (consumer, topic, partition, offset), line)

    async def set_aside_keys(self, transaction: Open, consumer: str) -> list[dict[str, Any]]:
        return self._keys(transaction, consumer, released=False)

    async def released_keys(self, transaction: Open, consumer: str) -> list[dict[str, Any]]:
        return self._keys(transaction, consumer, released=True)[:100]

    async def take_released(
        self, transaction: Open, consumer: str, key: bytes | None
    ) -> list[dict[str, Any]]:
        places = sorted(place for place, line in self._of(transaction, consumer) if line.record_key == key)
        return [
            {
                "topic": place[1],
                "partition": place[2],
                "record_offset": place[3],
                "key": line.record_key,
                "payload": line.payload,
                "type": line.type,
                "traceparent": line.traceparent,
            }
            for place, line in await transaction.lock_each(self.aside, places)
        ]

    async def forget_set_aside(self, transaction: Open, consumer: str, key: bytes | None) -> None:
        for place, line in self._of(transaction, consumer):
            if line.record_key == key and await transaction.lock(self.aside, place) is not None:
                transaction.remove(self.aside, place)

    def _of(self, transaction: Open, consumer: str) -> list[tuple[tuple[str, str, int, int], AsideLine]]:
        return [(place, line) for place, line in transaction.scan(self.aside) if place[0] == consumer]

    def _keys(self, transaction: Open, consumer: str, *, released: bool) -> list[dict[str, Any]]:
        lines = [line for _, line in self._of(transaction, consumer)]
        keys = {line.record_key for line in lines if not released or line.released_at is not None}
        return [{"key": key} for key in sorted(keys, key=lambda key: key or b"")]


class StrandedRow(tuple[Any, ...]):
    """A row as asyncpg gives it: read by position, and by the name of its number."""

    __slots__ = ()

    def __getitem__(self, place: Any) -> Any:
        return super().__getitem__(0 if place == "batch_id" else place)
