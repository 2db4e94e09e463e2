"""Somebody with a connection to both sides, who does the same on each and compares the answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from shared.database import Connection
from tests.simulation.database import Calm, Open, Session

if TYPE_CHECKING:
    from tests.conformance.stage import Stage

ANSWER_SECONDS: Final = 30.0
"""Long, for a machine that does much else; who waits for somebody idle is noticed at once."""
_SPINS: Final = 50
_LOOK_SECONDS: Final = 0.1
_LOOKS: Final = 50
Answer = TypeVar("Answer")
Outcome = tuple[str, Any]


class Difference(AssertionError):
    """The two sides did not do the same."""


class BothRefused(Exception):
    """Both sides raised the same error: the transaction is over."""


class Actor:
    """One client of both databases. At most one transaction at a time, the same on both sides."""

    def __init__(self, stage: Stage, name: str, connection: Connection, pid: int) -> None:
        self.name = name
        self.pid = pid
        self.stage = stage
        self.session = Session(stage.memory, self, Calm())
        self._connection = connection
        self._postgres: asyncio.Task[Outcome] | None = None
        self._memory: asyncio.Task[Outcome] | None = None
        self._transactions: tuple[Any, Any] | None = None
        self._seen_waiting = 0
        self._seen_otherwise = 0
        self.step: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._transactions is not None

    @property
    def waits_for(self) -> Open | None:
        """Whose transaction it waits for in memory."""
        opened = self.session.transaction_open
        return None if opened is None else opened._waits_for

    @property
    def is_still(self) -> bool:
        """Whether it does nothing now that could end its transaction."""
        return self.step is None or self.waits_for is not None

    def sees(self) -> Open:
        """The transaction in memory."""
        assert self.session.transaction_open is not None
        return self.session.transaction_open

    async def begin(self) -> None:
        if self._transactions is not None:
            return
        await self._connection.fetchval("select start_at($1)", self.stage.now)
        in_memory, there = self.session.transaction(), self._connection.transaction()
        await in_memory.__aenter__()
        await there.start()
        self._transactions = in_memory, there

    async def commit(self) -> None:
        assert self._transactions is not None
        (in_memory, there), self._transactions = self._transactions, None
        await in_memory.__aexit__(None, None, None)
        await there.commit()

    async def roll_back(self) -> None:
        assert self._transactions is not None
        (in_memory, there), self._transactions = self._transactions, None
        await in_memory.__aexit__(BothRefused, BothRefused(), None)
        await there.rollback()

    async def call(
        self,
        function: Callable[..., Awaitable[Answer]],
        *arguments: Any,
        order: Callable[[Any], Any] | None = None,
        canonical: Callable[[Any], Any] | None = None,
        **named: Any,
    ) -> Answer:
        """Both sides' answer, compared in canonical form.

        Where `order` is given the answer is a list in that order, and in any among those with equal places.

        Raises:
            Difference: there is no such answer.
            BothRefused: both sides raised the same error.
        """
        stage, in_memory = self.stage, self.stage.suite.functions[function]
        stage.called(self.name, function, arguments, named)
        lot = stage.draws.getrandbits(32)
        self._memory = asyncio.create_task(_outcome(in_memory, lot, self.session, arguments, named))
        for _ in range(_SPINS):
            await asyncio.sleep(0)
            if self._memory.done() or self.waits_for is not None:
                break
        self._postgres = asyncio.create_task(_outcome(function, lot, self._connection, arguments, named))
        remembered = await self._memory
        there = await self._answer_there(self._postgres)
        self._memory = self._postgres = None
        if order is not None:
            canonical = partial(_ordered, order)
        answer: Answer = self._same(remembered, there, canonical)
        return answer

    async def _answer_there(self, postgres: asyncio.Task[Outcome]) -> Outcome:
        """What PostgreSQL answers, now that memory has; it may wait for somebody who is just ending."""
        deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        while not (await asyncio.wait([postgres], timeout=_LOOK_SECONDS))[0]:
            holders = await self.stage.server.waits_for(self.pid)
            in_the_way = [one.name for one in self.stage.actors if one.pid in holders and one.is_still]
            if in_the_way or asyncio.get_running_loop().time() > deadline:
                raise Difference(f"{self.name} waits in PostgreSQL for {in_the_way}, in memory for nobody")
        return postgres.result()

    def _same(self, remembered: Outcome, there: Outcome, canonical: Callable[[Any], Any] | None) -> Any:
        compared: list[Any] = [remembered, there]
        if canonical is not None:
            compared = [
                (kind, canonical(answer) if kind == "answer" else answer) for kind, answer in compared
            ]
        if compared[0] != compared[1]:
            mine, theirs = (self.stage.brief(each) for each in compared)
            raise Difference(f"in memory:     {mine}\nin PostgreSQL: {theirs}")
        if remembered[0] != "answer":
            self.stage.told(f"    both: {compared[0]}")
            raise BothRefused
        return remembered[1]

    async def is_parked(self) -> bool:
        """Whether it waits on both sides, for the same transaction; told only when seen twice.

        By then PostgreSQL has looked for a circle of waiting and found none.
        """
        holder = self.waits_for
        if holder is None or self._postgres is None:
            self._seen_waiting = 0
            return False
        if self._postgres.done():
            raise Difference(f"{self.name} waits in memory for {self.stage.whose(holder).name},"
                             f" in PostgreSQL it has {self._postgres.result()}")  # fmt: skip
        holders, wanted = await self.stage.server.waits_for(self.pid), self.stage.whose(holder)
        is_same = holders == [wanted.pid]
        self._seen_waiting = self._seen_waiting + 1 if is_same else 0
        others = [one.name for one in self.stage.actors if one.pid in holders and one.is_still]
        if not is_same and others and self.waits_for is holder:
            self._seen_otherwise += 1
            if self._seen_otherwise > _LOOKS:
                raise Difference(f"{self.name} waits in memory for {wanted.name}, in PostgreSQL for {others}")
        else:
            self._seen_otherwise = 0
        return self._seen_waiting > 1

    async def clean_up(self) -> None:
        """Let go of everything, whatever happened."""
        for task in (self.step, self._memory, self._postgres):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if self._transactions is not None:
            (_, there), self._transactions = self._transactions, None
            await there.rollback()


async def _outcome(
    function: Callable[..., Awaitable[Any]],
    lot: int,
    connection: Any,
    arguments: Sequence[Any],
    named: Mapping[str, Any],
) -> Outcome:
    random.seed(lot)  # who is fetched from a queue is drawn by lot
    try:
        return "answer", plain(await function(connection, *arguments, **named))
    except (asyncpg.PostgresError, LookupError) as error:
        return "error", type(error).__name__


def _ordered(order: Callable[[Any], Any], answer: list[Any]) -> Any:
    """The places in which the answers come, and all of them in an order of their own."""
    return [order(each) for each in answer], sorted(answer, key=repr)


def plain(value: Any) -> Any:
    """An answer without the type that only asyncpg or only the memory gives it."""
    if isinstance(value, asyncpg.Record):
        return dict(value)
    if type(value) is list:
        return [plain(each) for each in value]
    return value
