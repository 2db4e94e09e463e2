"""One run: databases, Kafka, the PSP and the carrier, processes of four services, people who want data.

It goes on until nothing is due any more anywhere. Then the people whose job it is look after what is parked;
then, in some runs, every topic is read again from its beginning. What has become of all is for promises.py.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final

from deploy.sandbox.carrier import carrier_gateway
from deploy.sandbox.psp import psp_gateway
from tests.simulation.broker import SESSION_SECONDS, Broker, Reader
from tests.simulation.database import Database
from tests.simulation.faults import Faults
from tests.simulation.outside import Server
from tests.simulation.people import People
from tests.simulation.plan import REDELIVERY, SKEW, Plan
from tests.simulation.replica import Replica
from tests.simulation.stores.archive import archive_payments, archive_renewals, archive_top_ups
from tests.simulation.stores.messaging import Messaging
from tests.simulation.stores.payment import PaymentDatabase
from tests.simulation.stores.provisioning import ProvisioningDatabase
from tests.simulation.stores.renewal import RenewalDatabase
from tests.simulation.timeline import Life, Stuck, VirtualLoop

LONGEST_SECONDS: Final = 16 * 86_400.0
"""Longer than the sum of all budgets: a refund is tried for a day, a key is remembered for another, and what
a rule could not pay is tried anew for a week after each."""
ARCHIVED_AFTER_SECONDS: Final = 2 * 86_400.0
"""More than SHORTEST of shared/archive.py."""


class World:
    """Everything there is, for one plan."""

    def __init__(self, plan: Plan, tell: Callable[[float, str, str], None] | None = None) -> None:
        random.seed(plan.seed)
        self.plan = plan
        self.loop = VirtualLoop()
        self.loop.longest_seconds = LONGEST_SECONDS
        self.loop.rested = self._rested
        self.faults = Faults(plan, self.loop, self)
        if tell is not None:
            self.faults.tell = lambda who, what: tell(self.loop.time(), who, what)
        self.tell = self.faults.tell
        self.renewal = RenewalDatabase(lambda: self.loop.now)
        self.payment = PaymentDatabase(lambda: self.loop.now)
        self.provisioning = ProvisioningDatabase(lambda: self.loop.now)
        self.databases: dict[str, Database] = {
            "renewal": self.renewal,
            "catalog": Database(lambda: self.loop.now),
            "payment": self.payment,
            "provisioning": self.provisioning,
        }
        self.messaging = {name: Messaging(database) for name, database in self.databases.items()}
        self.broker = Broker(self.loop, self.faults)
        self.people = People(self)
        self.servers = {
            "psp": Server(psp_gateway("s"), self.loop, self.people.carry_webhook, self.faults.strike),
            "carrier": Server(carrier_gateway("s"), self.loop, lambda _delivery: None, self.faults.strike),
        }
        for server in self.servers.values():
            server.tell = self.tell
        self.broker.tell = self.tell
        self.servers["psp"].gateway.state.events_wanted = True
        self.replicas: dict[str, Replica] = {}
        self.lives: list[Life] = []
        self.before_replay: dict[str, tuple[Any, ...]] = {}
        """What `rows` said before every topic was read again; empty where none was."""
        self._at_rest: asyncio.Event | None = None

    def run(self) -> None:
        """From the beginning until all is at rest."""
        gc.disable()
        loop = self.loop
        loop.set_exception_handler(lambda _loop, _context: None)  # tasks that break are noted in `broken`
        try:
            loop.run_until_complete(self._live())
        except Stuck as stuck:
            loop.broken.append(f"{stuck}")
        finally:
            for life in self.lives:
                loop.kill(life)
            asyncio.set_event_loop(None)
            asyncio.events._set_running_loop(loop)
            for life in self.lives:
                loop.bury(life)
            asyncio.events._set_running_loop(None)
            loop.close()
            gc.enable()

    # -- the course of it ---------------------------------------------------------------------------

    async def _live(self) -> None:
        self._at_rest = asyncio.Event()
        self.people.settle_in()
        for server, rules in self.plan.rules.items():
            self.servers[server].gateway.state.faults.replace([dict(rule) for rule in rules])
        for service, number in self.plan.replicas.items():
            for each in range(1, number + 1):
                self.start(service, each)
        self.people.begin()
        if SKEW in self.plan.kinds:
            self.faults.strike(SKEW, "machines", map(self.people.renewal_id, self.plan.wishes))
        self.loop.work_later(self.plan.quiet_at, self._be_quiet)
        for at in self.plan.redeliveries:
            self.loop.work_later(at, self._redeliver)
        await self._rest()
        if self.people.look_after_the_parked():
            await self._rest()
        if self.plan.replays:
            await self._replay()

    async def _rest(self) -> None:
        assert self._at_rest is not None
        self._at_rest.clear()
        await self._at_rest.wait()

    def _rested(self) -> None:
        assert self._at_rest is not None
        if self._at_rest.is_set():
            raise Stuck("at rest, and nobody takes notice")
        self._at_rest.set()

    def _be_quiet(self) -> None:
        self.tell("world", "from now on nothing breaks any more")
        for server in self.servers.values():
            server.gateway.state.faults.rules = []

    def _redeliver(self) -> None:
        """Some group goes back to an earlier offset, as after a rebalance without a commit."""
        lot = random.Random(f"{self.plan.seed}/redeliver/{self.loop.time()}")
        group = self.broker.groups[lot.choice(sorted(self.broker.groups))]
        for place in group.places:
            reader = group.members.get(group.assigned.get(place, ""))
            if reader is not None and place in reader.positions:
                back = lot.randint(1, 10)
                again = self.broker.log(place)[
                    max(0, reader.positions[place] - back) : reader.positions[place]
                ]
                self.faults.strike(
                    REDELIVERY, group.name, {renewal for renewal in map(_renewal, again) if renewal}
                )
                reader.seek(place, max(0, reader.positions[place] - back))

    async def _replay(self) -> None:
        """Long after, when all that is over lies in the archives, every topic is read from its beginning."""
        await self.loop.spend(ARCHIVED_AFTER_SECONDS)
        archive_renewals(self.renewal)
        archive_payments(self.payment)
        archive_top_ups(self.provisioning)
        for database in self.databases.values():
            database.changed()
        self.tell("world", "what is over is archived; every topic is read again from its beginning")
        self.before_replay = self.rows()
        for group in self.broker.groups.values():
            for reader in group.members.values():
                for place in list(reader.positions):
                    reader.seek(place, 0)
        await self._rest()

    def rows(self) -> dict[str, tuple[Any, ...]]:
        """How every renewal stands in every book."""
        return {
            str(renewal_id): (
                renewal.state,
                renewal.version,
                getattr(self.payment.payment(renewal_id), "version", None),
                self.provisioning.top_up(renewal_id),
                *(
                    sum(effect.reference == str(renewal_id) for effect in server.effects)
                    for server in self.servers.values()
                ),
            )
            for renewal_id, renewal in self.renewal.every_renewal().items()
        }

    # -- processes ----------------------------------------------------------------------------------

    def start(self, service: str, number: int) -> None:
        replica = Replica(
            service,
            number,
            loop=self.loop,
            broker=self.broker,
            database=self.databases[service],
            messaging=self.messaging[service],
            faults=self.faults,
            servers=self.servers,
            skew=self.plan.skews.get(f"{service}-{number}", 0.0),
            nets_off=self.plan.nets_off,
        )
        self.replicas[replica.life.name] = replica
        self.lives.append(replica.life)
        replica.start()

    def kill(self, life: Life, down_seconds: float) -> None:
        """SIGKILL, and a restart after so long."""
        replica = self.replicas.pop(life.name)
        self.loop.kill(life)
        self.databases[replica.service_name].hang_up(life)
        service, _, number = life.name.rpartition("-")
        self.loop.work_later(down_seconds, self.start, service, int(number))

    def stop(self, life: Life, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        replica = self.replicas[life.name]
        self.loop.pause(life)
        self.loop.work_later(seconds, self.loop.resume, life)
        if seconds > SESSION_SECONDS:
            for subscription in replica.readers:
                reader = subscription.consumer
                self.loop.work_later(SESSION_SECONDS, self._session_over, reader, life, seconds)

    def _session_over(self, reader: Reader, life: Life, stopped_seconds: float) -> None:
        if life.paused:
            reader.gone()
            self.loop.work_later(stopped_seconds - SESSION_SECONDS, self._back_again, reader, life)

    def _back_again(self, reader: Reader, life: Life) -> None:
        if not life.dead and self.replicas.get(life.name) is not None:
            self.replicas[life.name].context.run(self.loop.create_task, reader.join())

    def alive(self, service: str) -> Replica | None:
        """A process of the service that answers."""
        for name in sorted(self.replicas):
            replica = self.replicas[name]
            if replica.service_name == service and not replica.life.paused:
                return replica
        return None

    def spawn(self, replica: Replica, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Have a process do something that somebody asks of it."""
        return replica.context.run(self.loop.create_task, work)


def _renewal(record: Any) -> str | None:
    for name, content in record.headers:
        if name == "ce_subject":
            return str(content.decode())
    return None
