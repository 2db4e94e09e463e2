"""What breaks: carries the plan's faults out where databases, Kafka and the network ask for the weather."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, NamedTuple, Protocol

import asyncpg
import orjson

from shared.calls.http_client import NotSent
from shared.messaging.errors import PublishFailed
from tests.simulation.database import Open
from tests.simulation.plan import Plan, Sudden
from tests.simulation.timeline import Life, VirtualLoop


class Struck(NamedTuple):
    """A fault that happened, and the renewals that it touched."""

    at: float
    kind: str
    renewals: frozenset[str]


class Undertaker(Protocol):
    """Who knows the processes."""

    def kill(self, life: Life, down_seconds: float) -> None: ...

    def stop(self, life: Life, seconds: float) -> None: ...


class Faults:
    """The weather of one run. After `plan.quiet_at` nothing breaks any more; time still passes."""

    def __init__(self, plan: Plan, loop: VirtualLoop, undertaker: Undertaker) -> None:
        self.plan = plan
        self.struck: list[Struck] = []
        self.tell: Callable[[str, str], None] = lambda _who, _what: None
        self._loop = loop
        self._undertaker = undertaker
        self._lots = {kind: Random(f"{plan.seed}/{kind}") for kind in plan.chances}
        self._passed: Counter[tuple[str, str]] = Counter()
        self._sudden: dict[tuple[str, str, int], Sudden] = {
            (one.service, one.point, one.nth): one for one in plan.sudden
        }
        self._pace = Random(f"{plan.seed}/pace")

    def strike(self, kind: str, who: str, renewals: Iterable[Any]) -> None:
        about = frozenset(map(str, renewals))
        self.struck.append(Struck(self._loop.time(), kind, about))
        self.tell(
            who, f"!! {kind} ({', '.join(name[:8] for name in sorted(about)) or 'nothing of a renewal'})"
        )

    # -- the database -------------------------------------------------------------------------------

    async def statement(self, transaction: Open, name: str) -> None:
        await self._loop.spend(self._pace.uniform(0.0003, 0.002))
        if self._hits("database.slow"):
            self.strike("database.slow", name, transaction.about)
            await self._loop.spend(self._lots["database.slow"].uniform(1.0, 12.0))
        for kind, error in _BREAKING.items():
            if self._hits(kind):
                self.strike(kind, name, transaction.about)
                raise transaction.fail(error(kind))

    async def committing(self, transaction: Open) -> Callable[[], Exception] | None:
        await self._point(transaction.client, "before_commit", transaction.about)
        if self._hits("database.unknown_commit_lost"):
            self.strike("database.unknown_commit_lost", "commit", transaction.about)
            raise transaction.fail(asyncpg.ConnectionDoesNotExistError("connection lost in the commit"))
        if self._hits("database.unknown_commit_done"):
            self.strike("database.unknown_commit_done", "commit", transaction.about)
            return lambda: asyncpg.ConnectionDoesNotExistError("connection lost in the commit")
        return None

    async def committed(self, transaction: Open) -> None:
        await self._point(transaction.client, "after_commit", transaction.about)

    # -- Kafka --------------------------------------------------------------------------------------

    async def publishing(self, life: Life, records: Sequence[tuple[Any, ...]]) -> int:
        await self._loop.spend(self._pace.uniform(0.001, 0.004))
        if self._hits("kafka.refused"):
            self.strike("kafka.refused", life.name, _subjects(records))
            raise PublishFailed("refused")
        if self._hits("kafka.partly_refused"):
            self.strike("kafka.partly_refused", life.name, _subjects(records))
            return len(records) // 2
        return len(records)

    def appending(self, topic: str, value: bytes | None) -> tuple[float, ...]:
        copies: tuple[float, ...] = (0.0,)
        for kind, (least, most) in _DELAYS.items():
            if self._hits(kind):
                self.strike(kind, topic, _renewal_of(value))
                delay = self._lots[kind].uniform(least, most)
                copies = (*copies, delay) if kind == "kafka.duplicate" else (delay,)
        return copies

    async def published(self, life: Life, records: Sequence[tuple[Any, ...]], complete: bool) -> None:
        if not complete:
            raise PublishFailed("not all were acknowledged")
        if self._hits("kafka.unacknowledged"):
            self.strike("kafka.unacknowledged", life.name, _subjects(records))
            raise PublishFailed("not acknowledged in time")
        await self._point(life, "after_publish", _subjects(records))

    # -- the network to the PSP and the carrier -----------------------------------------------------

    async def sending(self, life: Life, reference: str | None) -> tuple[float, bool]:
        about = () if reference is None else (reference,)
        await self._point(life, "before_send", about)
        if self._hits("network.refused"):
            self.strike("network.refused", life.name, about)
            raise NotSent("connection refused")
        under_way, cut = self._pace.uniform(0.002, 0.02), False
        if self._hits("network.late"):
            self.strike("network.late", life.name, about)
            under_way = self._lots["network.late"].uniform(0.5, 2.5)
        if self._hits("network.cut"):
            self.strike("network.cut", life.name, about)
            cut = True
        return under_way, cut

    async def answered(self, life: Life, reference: str | None) -> None:
        await self._point(life, "after_send", () if reference is None else (reference,))

    # -- ours ---------------------------------------------------------------------------------------

    @property
    def is_quiet(self) -> bool:
        return self._loop.time() >= self.plan.quiet_at

    def _hits(self, kind: str) -> bool:
        chance = self.plan.chances.get(kind)
        return chance is not None and not self.is_quiet and self._lots[kind].random() < chance

    async def _point(self, life: Any, point: str, about: Iterable[Any]) -> None:
        if not isinstance(life, Life) or self.is_quiet:
            return
        service = life.name.rpartition("-")[0]
        self._passed[service, point] += 1
        sudden = self._sudden.get((service, point, self._passed[service, point]))
        if sudden is None:
            return
        self.strike(sudden.kind, life.name, about)
        if sudden.kind.startswith("crash"):
            self._undertaker.kill(life, sudden.seconds)
            await asyncio.get_running_loop().create_future()
        self._undertaker.stop(life, sudden.seconds)
        await self._loop.spend(0.0)


_BREAKING: dict[str, Callable[[str], Exception]] = {
    "database.conflict": asyncpg.SerializationError,
    "database.lost": asyncpg.ConnectionDoesNotExistError,
}
_DELAYS = {"kafka.late": (1.0, 90.0), "kafka.reordered": (0.02, 1.0), "kafka.duplicate": (0.0, 60.0)}


def _subjects(records: Sequence[tuple[Any, ...]]) -> set[str]:
    return {
        content.decode()
        for *_, headers in records
        for name, content in headers
        if name == "ce_subject" and content
    }


def _renewal_of(value: bytes | None) -> tuple[str, ...]:
    document = orjson.loads(value) if value else {}
    return (document["renewal_id"],) if "renewal_id" in document else ()
