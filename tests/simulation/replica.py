"""One process of a service: its own wiring, outbox, consumers and workers, on simulated ground."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from types import ModuleType
from typing import Any, Final, cast
from unittest.mock import patch

from pydantic import SecretStr

from services.catalog import settings as catalog_settings
from services.catalog import wiring as catalog_wiring
from services.catalog.prices.domain.price_list import PriceList
from services.payment import settings as payment_settings
from services.payment import wiring as payment_wiring
from services.provisioning import settings as provisioning_settings
from services.provisioning import wiring as provisioning_wiring
from services.renewal import settings as renewal_settings
from services.renewal import wiring as renewal_wiring
from services.renewal.domain.asking import UNTIL, Trigger
from shared.calls.worker import CallWorker
from shared.contracts import message_class
from shared.messaging.consumer import Consumer, ConsumerLoop
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.outbox import STRANDED_AFTER_SECONDS, Outbox
from shared.messaging.received import Decoder
from shared.messaging.transaction import Transactions
from shared.runner import Loop, RunningService, Service
from shared.settings import Settings
from tests.simulation.broker import Broker, Reader, SimulatedProducer, Subscription
from tests.simulation.database import Database, Pool
from tests.simulation.faults import Faults
from tests.simulation.outside import Server, VirtualClient
from tests.simulation.stores.messaging import Messaging
from tests.simulation.timeline import BEGINNING, LIFE, NEVER, Life, VirtualLoop

WEBHOOK_SECRET: Final = "a secret of the simulation"
NOT_RUN: Final = frozenset({"survey", "archive", "bulk jobs", "rule jobs"})
"""Loops that only measure; that move what is over, which the world does itself; that operators begin."""
_EVERY: Final[dict[str, Any]] = {
    "database_url": SecretStr("postgresql://nobody@nowhere/nothing"),
    "http_port": 0,
}


class PaymentSettings(payment_settings.Settings):
    """Whose webhook secret is in no file."""

    def webhook_secret(self) -> SecretStr | None:
        return SecretStr(WEBHOOK_SECRET)


class FixedPrices:
    """The price list of a day without changes. Stands in for CurrentPriceList."""

    listed: PriceList = PriceList()

    def __init__(self, _pool: object, _lead: timedelta) -> None:
        self.now_known = self.listed

    async def refresh(self) -> None:
        """There is nothing newer."""

    async def run(self, stopping: Any) -> None:
        await stopping.wait()


class UnwatchedOutbox(Outbox):
    """The outbox without its poller: what nobody published stays where it is."""

    async def recover(self, _older_than_seconds: float = 0.0) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Kind:
    """How a service is built, and which of the outside servers it calls."""

    wiring: ModuleType
    settings: Callable[[], Settings]
    calls: str | None = None


KINDS: Final[dict[str, Kind]] = {
    "renewal": Kind(renewal_wiring, lambda: renewal_settings.Settings(**_EVERY)),
    "catalog": Kind(catalog_wiring, lambda: catalog_settings.Settings(**_EVERY)),
    "payment": Kind(
        payment_wiring, lambda: PaymentSettings(**_EVERY, payment_connections=3, payment_backlog=300), "psp"
    ),
    "provisioning": Kind(
        provisioning_wiring,
        lambda: provisioning_settings.Settings(
            **_EVERY,
            provisioning_connections=3,
            provisioning_backlog=300,
            # What the sandbox does late it does within 2 s: that is how soon its carrier's word can be taken.
            provisioning_carriers={"*": provisioning_settings.CarrierSettings(visibility_seconds=3.0)},
        ),
        "carrier",
    ),
}
SETTINGS: Final[dict[str, Settings]] = {}
"""Read once: settings are frozen, and reading the environment takes longer than the rest."""


class Replica:
    """One process, from its start until it is killed."""

    def __init__(
        self,
        service: str,
        number: int,
        *,
        loop: VirtualLoop,
        broker: Broker,
        database: Database,
        messaging: Messaging,
        faults: Faults,
        servers: dict[str, Server],
        skew: float,
        nets_off: frozenset[str],
    ) -> None:
        self.service_name = service
        self.life = Life(f"{service}-{number}")
        self.readers: list[Subscription] = []
        self.loops: list[ConsumerLoop] = []
        self._number = number
        self._loop = loop
        self._broker = broker
        self._faults = faults
        self._database = database
        self._messaging = messaging
        if KINDS[service].calls is not None:
            self.life.claims_due = self._claims_due
        self._servers = servers
        self._skew = timedelta(seconds=skew)
        self._nets_off = nets_off
        self.context = contextvars.Context()
        self.context.run(LIFE.set, self.life)
        self.pool = cast(Any, Pool(database, self.life, faults))
        self.producer = SimulatedProducer(broker, self.life, f"recarga/{service}", self.clock)
        outbox = UnwatchedOutbox if "poller" in nets_off else Outbox
        self.outbox: Outbox = outbox(self.pool, self.producer, service, self.clock)
        self.transactions = Transactions(self.pool, self.outbox, self.clock)
        self.service: Service = self._built()

    def clock(self) -> datetime:
        """The instant as this machine has it."""
        return self._loop.now + self._skew

    def start(self) -> None:
        """As the runner does it, without HTTP."""
        self.context.run(self._start)

    def _built(self) -> Service:
        kind = KINDS[self.service_name]
        if self.service_name not in SETTINGS:
            SETTINGS[self.service_name] = kind.settings()
        self._settings = SETTINGS[self.service_name]
        with ExitStack() as patched:
            if hasattr(kind.wiring, "utc_now"):
                patched.enter_context(patch.object(kind.wiring, "utc_now", self.clock))
            if kind.calls is not None:
                patched.enter_context(patch.object(kind.wiring, "open_client", self._open_client))
            service: Service = kind.wiring.build(self._settings, self.transactions)
            return service

    def _open_client(self, _url: str, *, timeout_seconds: float, **_: int) -> VirtualClient:
        server = self._servers[KINDS[self.service_name].calls or ""]
        return VirtualClient(server, self.life, self._loop, self._faults, timeout_seconds)

    def _start(self) -> None:
        name = self.service_name
        running = RunningService(name, lambda *_: self.service, self._settings, self.clock)
        running._pool, running._producer = self.pool, self.producer
        for consumer in self.service.consumers:
            self._read(running, consumer)
        for loop in [*self.service.loops, Loop("outbox", self.outbox.run)]:
            if loop.name in NOT_RUN or (loop.name == "timers" and "timers" in self._nets_off):
                continue
            name = f"{self.life.name} {loop.name}"
            look = self._looks.get(loop.name)
            if look is None:
                self._loop.create_task(running._keep_running(loop), name=name)
            else:
                self._loop.poll(running._keep_running(loop), name=name, due=look[0], passed=look[1])

    @property
    def _looks(self) -> dict[str, tuple[Callable[[], float], Callable[[float], None] | None]]:
        """The loops that only look whether something is due, and when they would find something."""
        return {
            "timers": (self._timers_due, None),
            "catch-up": (self._report_due, self._reported),
            "outbox": (self._outbox_due, None),
            "kept triggers": (self._kept_due, None),
            "waiting requests": (self._waiting_due, None),
            # No simulated policy leaves anything to a person.
            "reviews": (lambda: NEVER, None),
            # Nobody in a simulation writes any.
            "old text messages": (lambda: NEVER, None),
            "price list": (lambda: NEVER, None),
        }

    def _claims_due(self) -> float:
        """When a row is due, or a lane takes one of those that wait in its queue."""
        database: Any = self._database
        due = _seconds(database.until_a_commit("next due", database.next_due))
        queues: set[str | None] = database.until_a_commit("queues", database.queues)
        if not queues:
            return due
        lanes = [lane for lane in self._worker._lanes.values() if lane.name in queues]
        if any(lane.wanted() for lane in lanes):
            return 0.0
        soon = self._loop.time() + 1.0
        return min([due, *(lane._breaker.probe_at or soon for lane in lanes)])

    @cached_property
    def _worker(self) -> Any:
        """The service's call worker."""
        loops = (getattr(loop.run, "__self__", None) for loop in self.service.loops)
        return next(owner for owner in loops if isinstance(owner, CallWorker))

    def _timers_due(self) -> float:
        database: Any = self._database
        return _seconds(database.next_timer(self.clock()), self._skew)

    def _kept_due(self) -> float:
        database: Any = self._database
        free = [
            trigger for name, (trigger, _) in database.kept.rows.items() if name not in database.slots.rows
        ]
        return min((self._look_at(trigger) for trigger in free), default=NEVER)

    def _look_at(self, trigger: Trigger) -> float:
        """At its instant where it waits for one: a try after the first that failed, days later."""
        return _seconds(trigger.not_before, self._skew) if trigger.held_by == UNTIL else 0.0

    def _waiting_due(self) -> float:
        database: Any = self._database
        places: Any = database.waiting_places.rows
        if any(name not in database.slots.rows for name in places):
            return 0.0
        deadlines = (database.waiting.rows[key].deadline_at for key in places.values())
        return _seconds(min(deadlines, default=None), self._skew)

    def _outbox_due(self) -> float:
        if self.outbox._acknowledged:
            return 0.0
        if "poller" in self._nets_off:
            return NEVER
        oldest = self._database.until_a_commit("oldest in the outbox", self._messaging.oldest)
        return _seconds(oldest) + STRANDED_AFTER_SECONDS

    def _offsets_due(self, reading: ConsumerLoop) -> float:
        """At once where something is to be committed, or the lag was last found to be another."""
        if reading._handled:
            return 0.0
        reader: Reader = reading._subscriber.consumer
        unread = reader.lag() if reader.unread is None else reader.unread
        return NEVER if unread.items() <= reading.consumer.lag.items() else 0.0

    def _report_due(self) -> float:
        """At once where what was last reported is not so any more."""
        database: Any = self._database
        for reading in self.loops:
            if reading.consumer.name == "saga":
                for key, lag in reading.consumer.lag.items():
                    line = database.progress.rows.get(key)
                    if lag or line is None or line.lag or line.caught_up_at is None:
                        return 0.0
        return NEVER

    def _reported(self, until: float) -> None:
        """What was caught up has been reported so at every turn that was passed over."""
        database: Any = self._database
        at = BEGINNING + timedelta(seconds=until - 0.5) + self._skew
        for reading in self.loops:
            if reading.consumer.name == "saga":
                for key in reading.consumer.lag:
                    line = database.progress.rows[key]
                    database.progress.rows[key] = line._replace(caught_up_at=at, updated_at=at)

    def _read(self, running: RunningService, consumer: Consumer) -> None:
        decoder = Decoder(consumer.messages, message_class)
        dead_letters = DeadLetters(self.producer, f"{self.service_name}.{consumer.name}", self.clock)
        broker: Any = self._broker
        reading = ConsumerLoop(
            consumer,
            service=self.service_name,
            instance=str(self._number),
            broker=broker,
            decoder=decoder,
            handling=running._handling(consumer, self.transactions, decoder, dead_letters),
            dead_letters=dead_letters,
        )
        subscription: Subscription = reading._subscriber
        self.loops.append(reading)
        self.readers.append(subscription)
        name = f"{self.life.name} {consumer.name}"
        self._loop.create_task(subscription.read_on(), name=name)
        offsets = Loop(f"{name} offsets", reading.run)
        self._loop.poll(
            running._keep_running(offsets), name=offsets.name, due=partial(self._offsets_due, reading)
        )


def _seconds(at: datetime | None, ahead: timedelta = timedelta()) -> float:
    """An instant of a clock that is so far ahead, as the loop's time."""
    return NEVER if at is None else (at - ahead - BEGINNING).total_seconds()
