"""The stack as one value: `async with Stack() as stack:` starts everything, leaving it stops everything.

Used by `make up` (through the launcher), the demo, the bench and the tests.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.local.addresses import COMPONENTS, Addresses
from deploy.local.artifacts import Progress, fetch_kafka
from deploy.local.backing import kafka_command, postgres_command, prepare_kafka, prepare_postgres
from deploy.local.children import Child, Command, rotate
from deploy.local.database_roles import create_database, create_roles
from deploy.local.errors import AlreadyRunning, LocalStackError
from deploy.local.home import REPOSITORY, Home
from deploy.local.kafka import kafka_answers
from deploy.local.ports import HOST, SERVICES, Ports, require_free
from deploy.local.postgres import kept_secret, postgres_answers
from deploy.local.readiness import Check, http_ready, wait_until
from deploy.local.roster import Roster
from deploy.local.run_lock import holder_of, try_lock
from deploy.local.run_record import lock_file, read_record, stop_leftovers
from deploy.local.topics import create_topics
from shared.contracts.topics import TOPICS
from shared.database.migrations import MigrationFailed, migrate

# Who is called stops after its callers.
STOP_LAST = ({"sandbox"}, {"postgres", "kafka"})
PARTITIONS = 4
DATABASE_URL_SECONDS = 10.0
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _silent(_text: str) -> None:
    """The default listener."""


class Stack(Addresses):
    """A running stack in one home. Its addresses are valid from `__aenter__` to `__aexit__`.

    `components` chooses among postgres, kafka, sandbox and services; `services` which of them, `replicas`
    how many processes of each. `tell` gets one line per step, and one per process that dies by itself. With
    `on_signals`, SIGINT, SIGTERM and SIGHUP cancel the task that entered, so that leaving the block stops
    everything. DATABASE_URL in the environment names a server to be used instead of our own.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        ports: Ports | None = None,
        components: Iterable[str] = COMPONENTS,
        services: Sequence[str] = SERVICES,
        replicas: int = 1,
        partitions: int = PARTITIONS,
        postgres_settings: Mapping[str, str] | None = None,
        service_environment: Mapping[str, str] | None = None,
        tell: Callable[[str], None] = _silent,
        progress: Progress | None = None,
        on_signals: bool = True,
    ) -> None:
        super().__init__(
            Home.at(home),
            ports or Ports.configured(),
            frozenset(components),
            tuple(services),
            replicas,
            dict(service_environment or {}),
        )
        self.partitions = partitions
        self.stopped_by: signal.Signals | None = None
        self.superuser_url = os.environ.get("DATABASE_URL", "")  # may do anything in the database `recarga`
        self._own_postgres = "postgres" in self.components and not self.superuser_url
        self._postgres_settings = postgres_settings or {}
        self._tell = tell
        self._progress = progress
        self._on_signals = on_signals
        self._roster: Roster | None = None
        self._lock: int | None = None

    @property
    def pids(self) -> dict[str, int]:
        """The pid of every process that runs, by name, for measuring."""
        return self._running.pids

    # Any process, by name

    async def start(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        ready: Check | None = None,
        address: str = "",
    ) -> Child:
        """Starts a further process in the repository's folder; it is stopped with the rest."""
        command = Command(name, arguments, environment or {}, folder=REPOSITORY)
        return await self._running.start(command, ready=ready, address=address)

    async def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Sends a deadly signal and waits until the process has ended."""
        await self._running.kill(name, number)

    def send(self, name: str, number: int) -> None:
        """Sends a signal that need not be deadly, such as SIGSTOP."""
        self._running.send(name, number)

    async def stop(self, *names: str) -> None:
        """Stops processes as the end of the stack would, and waits."""
        await self._running.stop(names)

    async def restart(self, name: str) -> None:
        """Stops the process if it still runs, starts it again as before, and waits until it is ready."""
        await self._running.restart(name)

    @property
    def deaths(self) -> list[str]:
        """One notice per process that ended without being asked to, with the end of its log."""
        return self._running.deaths

    async def wait_for_death(self) -> None:
        """Returns when a process has ended without being asked to; `deaths` says which and why."""
        await self._running.death.wait()

    # Life

    async def __aenter__(self) -> Self:
        self._take_lock()
        try:
            if self._on_signals:
                self._listen_for_signals(asyncio.current_task())
            await self._start_everything()
        except BaseException:
            await self._stop_everything()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop_everything()

    @property
    def _running(self) -> Roster:
        if self._roster is None:
            raise LocalStackError("The stack is not running: use it inside `async with`.")
        return self._roster

    def _take_lock(self) -> None:
        self.home.prepare()
        self._lock = try_lock(lock_file(self.home))
        if self._lock is None:
            raise AlreadyRunning(
                f"The stack in {self.home.path} is already up (pid {holder_of(lock_file(self.home))}): "
                "stop it with `make down`, or use another folder with RECARGA_HOME."
            )

    def _listen_for_signals(self, task: asyncio.Task[Any] | None) -> None:
        def interrupt(number: signal.Signals) -> None:
            # A second Ctrl-C must not cut the stopping short.
            if self.stopped_by is None and task is not None:
                self.stopped_by = number
                task.cancel()

        for number in STOPPING_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                asyncio.get_running_loop().add_signal_handler(number, interrupt, number)

    async def _start_everything(self) -> None:
        previous = read_record(self.home)
        left = await asyncio.to_thread(stop_leftovers, previous.processes) if previous else []
        if left:
            self._tell(f"Stopped what an earlier run had left: {', '.join(left)}.")
        self._roster = Roster(self.home, self._tell)
        require_free(self.wanted_ports(own_postgres=self._own_postgres))
        for log in self.home.logs.glob("*.log"):
            if log.stem != "launcher":  # that one rotates its own, and is open
                rotate(log)
        kept_secret(self.webhook_secret_file)
        kept_secret(self.operator_secret_file)
        kept_secret(self.customer_link_secret_file)
        kept_secret(self.text_message_secret_file)
        await self._start_backing()
        if "services" in self.components:
            await _all([self._start_service(instance) for instance in self.instances])
        self._roster.set_phase("up")

    async def _stop_everything(self) -> None:
        """Goes to its end, whoever cancels us meanwhile."""
        stopping = asyncio.ensure_future(self._stop_in_order())
        while not stopping.done():
            try:
                await asyncio.shield(stopping)
            except asyncio.CancelledError:
                if stopping.cancelled():
                    raise

    async def _stop_in_order(self) -> None:
        if self._roster is not None:
            await self._roster.stop_all(last=STOP_LAST)
        if self._on_signals:
            for number in STOPPING_SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(number)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # Kafka, PostgreSQL and the sandbox

    async def _start_backing(self) -> None:
        """All at once, the sandbox, too: each waits mostly for itself, and Kafka takes longest."""
        with_kafka = "kafka" in self.components
        jars = await self._fetch_kafka() if with_kafka else []
        steps: list[Coroutine[Any, Any, None]] = []
        if self._own_postgres:
            steps.append(self._start_postgres())
        elif "postgres" in self.components:
            steps.append(self._prepare_database())
        if with_kafka:
            steps.append(self._start_kafka(jars))
        if "sandbox" in self.components:
            steps.append(self._start_sandbox())
        await _all(steps)

    async def _fetch_kafka(self) -> list[Path]:
        cancelled = threading.Event()
        try:
            return await asyncio.to_thread(fetch_kafka, self.home.path, self._progress, cancelled)
        finally:
            cancelled.set()

    async def _start_postgres(self) -> None:
        server = await asyncio.to_thread(prepare_postgres, self.home, self.ports, self._postgres_settings)
        await self._running.start(
            postgres_command(server),
            ready=lambda: postgres_answers(server.url()),
            address=f"{HOST}:{server.port}",
        )
        self.superuser_url = await create_database(server.url())
        await self._prepare_database()

    async def _start_kafka(self, jars: Sequence[Path]) -> None:
        node = await asyncio.to_thread(prepare_kafka, self.home, jars, self.ports)
        await self._running.start(
            kafka_command(node), ready=lambda: kafka_answers(node.bootstrap), address=node.bootstrap
        )
        await create_topics(node.bootstrap, TOPICS, self.partitions)

    async def _prepare_database(self) -> None:
        """A role and a schema per service, and every service's migrations."""
        if not self._own_postgres:
            url = self.superuser_url
            await wait_until(
                lambda: postgres_answers(url), "The server of DATABASE_URL", DATABASE_URL_SECONDS
            )
        passwords = {name: kept_secret(self.home.secrets / f"database-{name}") for name in self.services}
        self.database_urls = await create_roles(self.superuser_url, passwords)
        await _all([self._migrate(service) for service in self.services])

    async def _migrate(self, service: str) -> None:
        folder = REPOSITORY / "services" / service / "migrations"
        if not folder.is_dir():  # a service may own no tables
            return
        try:
            await asyncio.to_thread(migrate, self.database_url(service), folder)
        except MigrationFailed as error:
            raise LocalStackError(f"The migrations of {service} failed: {error}") from error

    async def _start_sandbox(self) -> None:
        async def both_answer() -> bool:
            return await http_ready(f"{self.psp_url}/health") and await http_ready(
                f"{self.carrier_url}/health"
            )

        await self._running.start(self.sandbox_command(), ready=both_answer, address=self.psp_url)

    # The services

    async def _start_service(self, instance: str) -> None:
        url = self.service_url(instance)
        command = self.service_command(instance)
        await self._running.start(command, ready=lambda: http_ready(f"{url}/health/ready"), address=url)


async def _all(steps: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs the steps at once; the first failure cancels the others and is raised as it is."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
