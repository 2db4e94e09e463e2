"""One example: several actors, who take steps on both sides until all have ended; then their tables."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Protocol
from uuid import UUID

from pydantic import BaseModel

from tests.conformance.actors import ANSWER_SECONDS, Actor, BothRefused, Difference
from tests.conformance.lots import BEGINNING, RENEWALS, Lot
from tests.conformance.server import Server
from tests.simulation.database import Database, Open

ACTORS: Final = ("Ana", "Bea", "Cleo")
LOOK_SECONDS: Final = 0.003
Step = tuple[str, int]
"""What is done, and the number from which everything else about it is drawn."""


@dataclass(frozen=True)
class Mirror:
    """A table on both sides: `line` makes of a row of PostgreSQL what memory holds, its key first."""

    attribute: str
    table: str
    statement: str
    line: Callable[[Mapping[str, Any]], tuple[Any, Any]]


class Suite(Protocol):
    """What is compared: a service's stores."""

    @property
    def functions(self) -> Mapping[Any, Any]:
        """Those in memory by those on PostgreSQL."""

    @property
    def steps(self) -> Mapping[str, Callable[[Actor, Lot], Awaitable[None]]]:
        """Done within a transaction, that goes on or ends afterwards."""

    @property
    def between(self) -> Mapping[str, Callable[[Stage, Lot], Awaitable[None]]]:
        """Done while no transaction is open."""

    @property
    def mirrors(self) -> Sequence[Mirror]: ...

    @property
    def not_kept(self) -> Mapping[str, frozenset[str]]:
        """Columns by table that memory does without; `*` where it does without the table."""

    def memory(self, clock: Callable[[], datetime]) -> Database: ...

    async def settle_in(self, stage: Stage) -> None:
        """What is there before the first step, on both sides."""


@dataclass
class Record:
    """What a run of many examples reached."""

    called: Counter[Any] = field(default_factory=Counter)
    waits: int = 0
    refusals: int = 0
    columns: dict[str, set[str]] = field(default_factory=dict)
    """Those that were compared, by table."""
    tables: dict[str, frozenset[str]] = field(default_factory=dict)
    """All that there are."""


class Stage:
    """Both sides of one example."""

    def __init__(self, suite: Suite, server: Server, record: Record) -> None:
        self.suite = suite
        self.server = server
        self.record = record
        record.tables = server.tables
        self.now = BEGINNING
        self.draws = Random(0)
        self.memory: Any = suite.memory(lambda: self.now)
        self.actors = [
            Actor(self, name, connection, pid)
            for name, (connection, pid) in zip(ACTORS, server.connections, strict=True)
        ]
        self._log: list[str] = []

    async def play(self, steps: Sequence[Step]) -> None:
        """Raises Difference, with all that was done before."""
        await self.server.empty()
        await self.server.watcher.fetchval("select start_at($1)", self.now)
        await self.suite.settle_in(self)
        try:
            for name, number in steps:
                await self._step(name, Lot(number))
            await self._end_all()
            await self._compare()
        except Difference as difference:
            done = "\n".join(self._log)
            raise Difference(f"after\n{done}\n{difference}") from None
        finally:
            for actor in self.actors:
                await actor.clean_up()

    # -- what the actors ask ------------------------------------------------------------------------

    def called(self, who: str, function: Any, arguments: Any, named: Any) -> None:
        self.record.called[function] += 1
        name = getattr(function, "__name__", function)
        self.told(f"{who}: {name}({', '.join(map(brief, [*arguments, *named.values()]))})")

    async def alone(self, step: Callable[[Actor, Lot], Awaitable[None]], lot: Lot) -> None:
        """A step in a transaction of its own, while nobody else has one."""
        actor = self.actors[0]
        await actor.begin()
        await step(actor, lot)
        await actor.commit()

    @staticmethod
    def brief(value: Any) -> str:
        return brief(value)

    def told(self, what: str) -> None:
        self._log.append(what)

    def whose(self, transaction: Open) -> Actor:
        assert isinstance(transaction.client, Actor)
        return transaction.client

    async def put(self, attribute: str, key: Any, line: Any, table: str, **row: Any) -> None:
        """A row that others told of, on both sides, in the place of the one with the same first column."""
        names = list(row)
        places = ", ".join(f"${place}" for place in range(1, len(names) + 1))
        await self.server.watcher.execute(f"delete from {table} where {names[0]} = $1", row[names[0]])  # noqa: S608 - names of ours
        await self.server.watcher.execute(
            f"insert into {table} ({', '.join(names)}) values ({places})",  # noqa: S608 - names of ours
            *row.values(),
        )
        getattr(self.memory, attribute).rows[key] = line

    # -- the course of it ---------------------------------------------------------------------------

    async def _step(self, name: str, lot: Lot) -> None:
        if name in self.suite.between:
            await self._end_all()
            await self._wait(timedelta(seconds=lot.one((1, 20, 60, 600, 3600))))
            self.told(name)
            await self.suite.between[name](self, lot)
            return
        actor = self._who(lot)
        if not any(one.step for one in self.actors):
            await self._wait(timedelta(milliseconds=lot.number(1, 50)))
        actor.step = asyncio.create_task(self._act(actor, name, lot))
        await self._settle()

    def _who(self, lot: Lot) -> Actor:
        """Anybody; but while somebody waits, who is waited for: it is luck who of several goes on first."""
        actor = next((one for one in self.actors if one.step is not None), None)
        if actor is None:
            return lot.one(self.actors)
        while (holder := actor.waits_for) is not None:
            actor = self.whose(holder)
        return actor

    async def _wait(self, passing: timedelta) -> None:
        self.now += passing
        await self.server.set_clock(self.now)

    async def _act(self, actor: Actor, name: str, lot: Lot) -> None:
        await actor.begin()
        try:
            await self.suite.steps[name](actor, lot)
        except BothRefused:
            self.record.refusals += 1
            await actor.roll_back()
        else:
            if lot.chance(0.45):
                await self._end(actor, lot.chance(0.8))

    async def _end(self, actor: Actor, commits: bool) -> None:
        self.told(f"{actor.name}: {'commit' if commits else 'rollback'}")
        await (actor.commit() if commits else actor.roll_back())

    async def _end_all(self) -> None:
        while open_ones := [actor for actor in self.actors if actor.is_open]:
            actor = next(one for one in open_ones if one.step is None)
            actor.step = asyncio.create_task(self._end(actor, commits=True))
            await self._settle()

    async def _settle(self) -> None:
        """Until every actor has done its step, or waits for another one on both sides."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ANSWER_SECONDS
        while under_way := [actor for actor in self.actors if actor.step and not actor.step.done()]:
            moving = [actor for actor in under_way if not await actor.is_parked()]
            if not moving:
                self.record.waits += 1
                break
            await asyncio.wait(
                [actor.step for actor in moving if actor.step],
                timeout=LOOK_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if loop.time() > deadline:
                raise Difference(f"{moving[0].name} waits on one side, or for another one on the other")
        for actor in self.actors:
            if (step := actor.step) is not None and step.done():
                actor.step = None
                step.result()

    # -- in the end ---------------------------------------------------------------------------------

    async def _compare(self) -> None:
        for mirror in self.suite.mirrors:
            there = {}
            for row in await self.server.read(mirror.statement):
                watched = Watched(row.items())
                key, line = mirror.line(watched)
                there[key] = line
                self.record.columns.setdefault(mirror.table, set()).update(watched.seen)
            table = getattr(self.memory, mirror.attribute)
            if table.rows != there:
                remembered = dict(table.rows)
                differing = [key for key in {**remembered, **there} if remembered.get(key) != there.get(key)]
                raise Difference(
                    "\n".join(
                        f"{table.name} {brief(key)}\nin memory:     {brief(remembered.get(key))}\n"
                        f"in PostgreSQL: {brief(there.get(key))}"
                        for key in differing
                    )
                )
            if table.holders:
                raise Difference(f"{table.name}: still locked in memory: {table.holders}")


def brief(value: Any) -> str:
    """A value as a line that can be read: without what is empty or what everything has."""
    if isinstance(value, UUID):
        return f"r{RENEWALS.index(value)}" if value in RENEWALS else value.hex[:6]
    if isinstance(value, datetime):
        return f"{(value - BEGINNING).total_seconds():g}s"
    if isinstance(value, BaseModel):
        return type(value).__name__
    if is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        shown = ((brief(key), brief(each)) for key, each in value.items() if each)
        return "{" + ", ".join(f"{key}={each}" for key, each in shown if each != "Terms") + "}"
    if isinstance(value, list | tuple | set):
        return "[" + ", ".join(map(brief, value)) + "]"
    return str(value)


class Watched(dict[str, Any]):
    """A row that knows which of its columns were looked at."""

    def __init__(self, items: Any) -> None:
        super().__init__(items)
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return super().__getitem__(name)
