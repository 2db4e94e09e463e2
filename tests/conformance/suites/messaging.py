"""The outbox and what is set aside: the statements that the real Outbox and SetAside run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from shared.database.queries import load_queries
from shared.messaging import outbox as outbox_module
from tests.conformance.actors import Actor
from tests.conformance.lots import RENEWALS, SUBSCRIPTIONS, TRACES, Lot
from tests.conformance.stage import Mirror, Stage
from tests.conformance.suites.ground import untied
from tests.simulation.database import Database
from tests.simulation.stores.messaging import AsideLine, Messaging, OutboxLine

OUTBOX: Final = load_queries(outbox_module.__file__, "outbox.sql")
SET_ASIDE: Final = load_queries(outbox_module.__file__, "set_aside.sql")
CONSUMERS: Final = ("saga", "admissions")
KEYS: Final = (b"s-1", b"s-2", None)
ARRAYS: Final = ("event_ids", "topics", "keys", "types", "subjects", "traceparents", "payloads")


class MessagingDatabase(Database):
    """A database with nothing but messaging tables."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        kept = Messaging(self)
        self.outbox, self.aside = kept.outbox, kept.aside


async def write_outbox(connection: Any, forgotten: Sequence[int], *arrays: Sequence[Any]) -> Any:
    return await connection.fetchval(OUTBOX["write_outbox"], forgotten, *arrays)


async def forget_acknowledged(connection: Any, forgotten: Sequence[int]) -> None:
    await connection.execute(OUTBOX["forget_acknowledged"], forgotten)


async def claim_stranded(connection: Any, older_than_seconds: float, limit: int) -> list[Any]:
    rows = await connection.fetch(OUTBOX["claim_stranded"], older_than_seconds, limit)
    return [(row["batch_id"], *list(row)[1:]) for row in rows]


async def outbox_age(connection: Any) -> list[Any]:
    return [dict(row) for row in await connection.fetch(OUTBOX["outbox_age"])]


async def set_aside(connection: Any, consumer: str, *arrays: Sequence[Any]) -> None:
    await connection.execute(SET_ASIDE["set_aside"], consumer, *arrays)


async def set_aside_keys(connection: Any, consumer: str) -> list[Any]:
    return [row["key"] for row in await connection.fetch(SET_ASIDE["set_aside_keys"], consumer)]


async def released_keys(connection: Any, consumer: str) -> list[Any]:
    return [row["key"] for row in await connection.fetch(SET_ASIDE["released_keys"], consumer)]


async def take_released(connection: Any, consumer: str, key: bytes | None) -> list[Any]:
    return [dict(row) for row in await connection.fetch(SET_ASIDE["take_released"], consumer, key)]


async def forget_set_aside(connection: Any, consumer: str, key: bytes | None) -> None:
    await connection.execute(SET_ASIDE["forget_set_aside"], consumer, key)


STATEMENTS: Final = (
    write_outbox,
    forget_acknowledged,
    claim_stranded,
    outbox_age,
    set_aside,
    set_aside_keys,
    released_keys,
    take_released,
    forget_set_aside,
)


class MessagingSuite:
    functions: Mapping[Any, Any] = {run: run for run in STATEMENTS}
    not_kept: Mapping[str, frozenset[str]] = {}

    def __init__(self) -> None:
        self.steps = {
            "write": _write,
            "write again": _write,
            "forget": _forget,
            "recover": _recover,
            "set aside": _set_aside,
            "take": _take,
            "look": _look,
        }
        self.between = {"release": _release}
        self.mirrors = (
            Mirror("outbox", "outbox", "select * from outbox", _outbox_of),
            Mirror("aside", "set_aside", "select * from set_aside", _aside_of),
        )

    def memory(self, clock: Callable[[], datetime]) -> MessagingDatabase:
        return MessagingDatabase(clock)

    async def settle_in(self, stage: Stage) -> None:
        """Batches are numbered from 1 on both sides."""
        await stage.server.watcher.fetchval(
            "select setval(pg_get_serial_sequence('outbox', 'batch_id'), 1, false)"
        )


# -- steps ------------------------------------------------------------------------------------------


async def _write(actor: Actor, lot: Lot) -> None:
    events = [
        (
            lot.one(RENEWALS),
            "payments.v1",
            lot.one(SUBSCRIPTIONS),
            "PaymentCaptured",
            "subject",
            lot.one(TRACES),
            b"{}",
        )
        for _ in range(lot.number(1, 3))
    ]
    arrays = map(list, zip(*events, strict=True))
    await actor.call(write_outbox, _batches(actor, lot), *arrays)


async def _forget(actor: Actor, lot: Lot) -> None:
    await actor.call(forget_acknowledged, _batches(actor, lot))


async def _recover(actor: Actor, lot: Lot) -> None:
    waiting = [line.claimed_at or line.written_at for _, line in actor.sees().scan(actor.stage.memory.outbox)]
    limit = untied(lot.number(1, 4), waiting)
    await actor.call(claim_stranded, lot.one((0.0, 0.05, 10.0)), limit, order=_any)
    await actor.call(outbox_age)


async def _set_aside(actor: Actor, lot: Lot) -> None:
    topic = lot.one(("payments.v1", "topups.v1"))
    records = [
        (
            topic,
            lot.number(0, 1),
            lot.number(0, 5),
            lot.one(KEYS),
            b"{}",
            "TopUpApplied",
            lot.one(TRACES),
            "why",
        )
        for _ in range(lot.number(1, 3))
    ]
    await actor.call(set_aside, lot.one(CONSUMERS), *map(list, zip(*records, strict=True)))


async def _take(actor: Actor, lot: Lot) -> None:
    consumer, key = lot.one(CONSUMERS), lot.one(KEYS)
    await actor.call(take_released, consumer, key)
    if lot.chance(0.7):
        await actor.call(forget_set_aside, consumer, key)


async def _look(actor: Actor, lot: Lot) -> None:
    consumer = lot.one(CONSUMERS)
    await actor.call(set_aside_keys, consumer, order=_any)
    await actor.call(released_keys, consumer, order=_any)


async def _release(stage: Stage, lot: Lot) -> None:
    """An operator lets the records of a key go."""
    consumer, key = lot.one(CONSUMERS), lot.one(KEYS)
    await stage.server.watcher.execute(
        "update set_aside set released_at = $3 where consumer = $1 and key is not distinct from $2",
        consumer,
        key,
        stage.now,
    )
    rows = stage.memory.aside.rows
    for place, line in rows.items():
        if place[0] == consumer and line.record_key == key:
            rows[place] = line._replace(released_at=stage.now)


def _any(_: Any) -> int:
    """The same place for all: no order is promised."""
    return 0


def _batches(actor: Actor, lot: Lot) -> list[int]:
    """Some of those that there are, and one that there is not."""
    there = [batch_id for batch_id, _ in actor.sees().scan(actor.stage.memory.outbox)]
    return lot.some([*there, 10_000], at_least=0)


# -- rows -------------------------------------------------------------------------------------------


def _outbox_of(row: Mapping[str, Any]) -> tuple[Any, OutboxLine]:
    arrays = tuple(row[name] for name in ARRAYS)
    assert row["events"] == len(arrays[0])
    return row["batch_id"], OutboxLine(row["written_at"], row["claimed_at"], arrays)


def _aside_of(row: Mapping[str, Any]) -> tuple[Any, AsideLine]:
    place = (row["consumer"], row["topic"], row["partition"], row["record_offset"])
    return place, AsideLine(row["key"], *(row[name] for name in AsideLine._fields[1:]))
