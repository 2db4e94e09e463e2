"""Runs services: opens what they need, starts them in order, stops them in the reverse order.

Start: pool, producer, hooks, loops (workers first), consumers, HTTP. Stop: HTTP, consumers, loops, outbox,
producer, pool: what has been read is finished, what is finished is published, the rest is read again.
"""

import asyncio
import gc
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
import uvloop
from aiokafka.errors import KafkaError
from fastapi import APIRouter
from faststream.kafka import KafkaBroker
from pydantic import ValidationError

from shared import crash_points
from shared.clock import Clock, utc_now
from shared.contracts import message_class
from shared.contracts.topics import NEVER_DISCARDED
from shared.database import Pool, open_pool
from shared.http.application import create_app
from shared.http.server import HttpServer, HttpServerError
from shared.messaging import metrics
from shared.messaging.consumer import Consumer, ConsumerLoop
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.handling import Handling, InMemory, InTransaction, Stateless
from shared.messaging.outbox import Outbox
from shared.messaging.producer import Producer
from shared.messaging.received import Decoder
from shared.messaging.set_aside import SetAside
from shared.messaging.transaction import Transactions
from shared.observability.health import Check, Readiness
from shared.observability.logging import configure_logging, get_logger
from shared.operators.set_aside_routes import SetAsideRoutes
from shared.operators.tokens import Tokens
from shared.operators.who import Gate
from shared.settings import Settings

__all__ = ["Consumer", "Loop", "Service", "Settings", "main", "run"]

FIRST_RESTART_SECONDS = 0.5
LONGEST_RESTART_SECONDS = 30.0
MAX_BODY_BYTES = 4 * 1024 * 1024
_log = get_logger(__name__)

AnySettings = TypeVar("AnySettings", bound=Settings)
Build = Callable[[AnySettings, Transactions], "Service"]


@dataclass(frozen=True, slots=True)
class Loop:
    """Something that runs until `stopping`; started again, after a pause, when it breaks."""

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """What one service consists of: the answer of its wiring to `build`."""

    title: str
    description: str
    consumers: Sequence[Consumer] = ()
    routers: Sequence[APIRouter] = ()
    loops: Sequence[Loop] = ()
    starts: Sequence[Callable[[], Awaitable[None]]] = ()
    """Run once, before anything is read: load what the first message may need."""
    stops: Sequence[Callable[[], Awaitable[None]]] = ()
    """Run once, after the last call: close clients."""
    checks: Sequence[tuple[str, Check]] = ()
    """Further conditions of readiness."""
    line_paths: Collection[str] = ()
    """Addresses that take NDJSON instead of JSON."""


class RunningService:
    """One service at work in this process."""

    def __init__(
        self, name: str, build: Build[AnySettings], settings: AnySettings, clock: Clock = utc_now
    ) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        self._make: Callable[[Transactions], Service] = lambda transactions: build(settings, transactions)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._offset_tasks: list[asyncio.Task[None]] = []
        self._consumer_loops: list[ConsumerLoop] = []

    async def start(self) -> None:
        """Open everything and begin to read.

        Raises:
            OSError, asyncpg.PostgresError, KafkaError, HttpServerError: something needed is not there.
        """
        settings, name = self._settings, self.name
        self._pool = await open_pool(
            settings.database_url.get_secret_value(),
            application_name=f"{name}-{settings.instance}",
            connections=settings.database_connections,
        )
        self._producer = Producer(
            settings.kafka_bootstrap, f"{name}-{settings.instance}", source=f"recarga/{name}"
        )
        await self._producer.start()
        self._outbox = Outbox(self._pool, self._producer, name, self._clock)
        transactions = Transactions(self._pool, self._outbox, self._clock)
        self._service = service = self._make(transactions)
        self._broker = KafkaBroker(
            settings.kafka_bootstrap,
            client_id=f"{name}-{settings.instance}",
            consumer_only=True,
            allow_auto_create_topics=False,
            apply_types=False,
            logger=None,
            graceful_timeout=settings.stop_grace_seconds,
        )
        self._consumer_loops = [self._consumer_loop(consumer, transactions) for consumer in service.consumers]
        for start in service.starts:
            await start()
        loops = [*service.loops, Loop("outbox", self._outbox.run)]
        offsets = [Loop(f"consumer {loop.consumer.name}", loop.run) for loop in self._consumer_loops]
        self._tasks = [self._task(loop) for loop in loops]
        self._offset_tasks = [self._task(loop) for loop in offsets]
        await self._broker.start()
        app = create_app(
            title=service.title,
            description=service.description,
            routers=(*service.routers, self._set_aside_routes(transactions).router),
            readiness=Readiness(dict(self._checks(self._pool))),
            service=name,
            max_body_bytes=MAX_BODY_BYTES,
            line_paths=service.line_paths,
        )
        self._http = HttpServer(
            app, settings.http_host, settings.http_port, allow_non_loopback=settings.http_allow_non_loopback
        )
        await self._http.start()
        _log.info("service_started", service=name, port=self._http.port)

    async def stop(self) -> None:
        """Finish what is under way and close everything."""
        await self._http.stop(self._settings.stop_grace_seconds)
        for loop in self._consumer_loops:
            await loop.commit()
        await self._broker.stop()
        # A question for the end of a partition waits for metadata, and a client that is closed learns none:
        # whoever stops in the first second would wait all its grace for nothing.
        for task in self._offset_tasks:
            task.cancel()
        self._stopping.set()
        await asyncio.wait(self._tasks, timeout=self._settings.stop_grace_seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._offset_tasks, return_exceptions=True)
        for stop in self._service.stops:
            await stop()
        await self._outbox.forget()
        await self._producer.stop()
        await self._pool.close()
        _log.info("service_stopped", service=self.name)

    def _set_aside_routes(self, transactions: Transactions) -> SetAsideRoutes:
        gate = Gate(Tokens(self._settings.operator_secret(), self._clock))
        return SetAsideRoutes(transactions, gate, NEVER_DISCARDED)

    def _consumer_loop(self, consumer: Consumer, transactions: Transactions) -> ConsumerLoop:
        name = self.name
        decoder = Decoder(consumer.messages, message_class)
        dead_letters = DeadLetters(self._producer, f"{name}.{consumer.name}", self._clock)
        return ConsumerLoop(
            consumer,
            service=name,
            instance=self._settings.instance,
            broker=self._broker,
            decoder=decoder,
            handling=self._handling(consumer, transactions, decoder, dead_letters),
            dead_letters=dead_letters,
        )

    def _handling(
        self, consumer: Consumer, transactions: Transactions, decoder: Decoder, dead_letters: DeadLetters
    ) -> Handling:
        name = self.name
        measured = metrics.ConsumerMetrics(name, consumer.name)
        if consumer.from_start_every_time:
            return InMemory(consumer.handle, measured)  # type: ignore[arg-type]
        if consumer.stateless:
            return Stateless(consumer.handle, self._producer, dead_letters, self._clock, measured)  # type: ignore[arg-type]
        set_aside = SetAside(self._pool, consumer.name)
        return InTransaction(consumer.handle, transactions, set_aside, decoder, measured)  # type: ignore[arg-type]

    def _checks(self, pool: Pool) -> list[tuple[str, Check]]:
        async def postgres() -> str | None:
            await pool.fetchval("select 1")
            return None

        async def kafka() -> str | None:
            await self._producer.answers()
            return None

        async def projections() -> str | None:
            behind = [c.name for c in self._service.consumers if c.from_start_every_time and not c.caught_up]
            return f"still reading {', '.join(behind)}" if behind else None

        return [
            ("postgres", postgres),
            ("kafka", kafka),
            ("projections", projections),
            *self._service.checks,
        ]

    def _task(self, loop: Loop) -> asyncio.Task[None]:
        return asyncio.create_task(self._keep_running(loop), name=loop.name)

    async def _keep_running(self, loop: Loop) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                await loop.run(self._stopping)
            except Exception as error:
                pause = min(LONGEST_RESTART_SECONDS, FIRST_RESTART_SECONDS * 2**failures)
                failures = min(failures + 1, 16)
                _log.warning("loop_broke", loop=loop.name, error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            else:
                failures = 0


async def run(services: Sequence[RunningService]) -> None:
    """Start all, wait for SIGTERM or SIGINT, stop all."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    started: list[RunningService] = []
    try:
        for service in services:
            await service.start()
            started.append(service)
        # What lives now lives for ever: without this every full collection walks all of it again. And a
        # batch makes tens of thousands of objects that die by themselves, none in a cycle.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 20, 50)
        await stop.wait()
    finally:
        await asyncio.gather(*(service.stop() for service in started))


def main(build: Build[AnySettings], settings_class: type[AnySettings]) -> None:
    """The whole life of one service's process; exit status 0 after a signal, 1 with one clear line."""
    name = settings_class.__module__.split(".")[1]  # services.<name>.settings: the folder is the name
    settings = read_settings(settings_class)
    configure_logging(name, settings.instance, settings.log_level)
    run_to_end(lambda: [RunningService(name, build, settings)])


def read_settings(settings_class: type[AnySettings], **values: object) -> AnySettings:
    """The settings from the environment and `values`; ends the process with one line per fault."""
    try:
        return settings_class(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            name = "RECARGA_" + "_".join(str(part) for part in fault["loc"]).upper()
            print(f"{name}: {fault['msg']}. Set it in the environment.", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None


def run_to_end(make: Callable[[], Sequence[RunningService]]) -> None:
    """Run the services that `make` gives, inside the event loop; a fault at start is one clear line."""

    async def all_of_them() -> None:
        await run(make())

    if crash_points.orders is not None:
        _log.warning("crash_orders_are_followed")
    try:
        uvloop.run(all_of_them())
    except (OSError, asyncpg.PostgresError, KafkaError, HttpServerError) as error:
        _log.error("service_not_started", error=f"{type(error).__name__}: {error}")
        print(f"Not started: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
