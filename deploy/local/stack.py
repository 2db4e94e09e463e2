"""The stack as one value: `async with Stack() as stack:` starts everything, and leaving it stops everything.

Used by `make up` (through the launcher), the demo, the bench and the tests.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.local import run_record
from deploy.local.artifacts import Progress, fetch
from deploy.local.backing import kafka_command, postgres_command, prepare_kafka, prepare_postgres
from deploy.local.children import Child, Command, rotate, start_child
from deploy.local.database_roles import create_database, create_roles
from deploy.local.errors import AlreadyRunning, LocalStackError
from deploy.local.home import REPOSITORY, Home
from deploy.local.kafka import kafka_answers
from deploy.local.ports import HOST, SERVICES, Ports, require_free
from deploy.local.postgres import kept_secret, postgres_answers
from deploy.local.readiness import Check, death_notice, http_ready, wait_until, wait_until_ready
from deploy.local.run_lock import holder_of, try_lock
from deploy.local.topics import create_topics
from shared.contracts.topics import TOPICS
from shared.database.migrations import MigrationFailed, migrate

COMPONENTS = frozenset({"postgres", "kafka", "sandbox", "services"})
WEBHOOK_PATH = "/v1/webhooks/psp"
PARTITIONS = 4
READY_SECONDS = 60.0
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _silent(_text: str) -> None:
    """The default listener."""


class Stack:
    """A running stack in one home. Its addresses are valid from `__aenter__` to `__aexit__`.

    `components` chooses among postgres, kafka, sandbox and services; `services` which of them, `replicas` how many
    processes of each. `tell` gets one line per step, and one per process that dies by itself. With `on_signals`,
    SIGINT, SIGTERM and SIGHUP cancel the task that entered, so that leaving the block stops everything.
    DATABASE_URL in the environment names a server to be used instead of our own.
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
        self.home = Home.at(home)
        self.ports = ports or Ports.configured()
        self.components = frozenset(components)
        self.services = tuple(services)
        self.replicas = replicas
        self.partitions = partitions
        self.deaths: list[str] = []  # one notice per process that ended without being asked to
        self.stopped_by: signal.Signals | None = None
        self._postgres_settings = postgres_settings or {}
        self._service_environment = service_environment or {}
        self._tell = tell
        self._progress = progress
        self._on_signals = on_signals
        self._children: dict[str, Child] = {}
        self._checks: dict[str, Check] = {}
        self._addresses: dict[str, str] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._service_urls: dict[str, str] = {}
        self._superuser_url = os.environ.get("DATABASE_URL", "")
        self._external_database = bool(self._superuser_url)
        self._lock: int | None = None
        self._record: run_record.RunRecord | None = None
        self._death = asyncio.Event()
        if unknown := self.components - COMPONENTS:
            raise LocalStackError(f"There is no component {', '.join(sorted(unknown))}.")

    # Addresses

    @property
    def kafka_bootstrap(self) -> str:
        return f"{HOST}:{self.ports.of('kafka')}"

    @property
    def superuser_url(self) -> str:
        """The database `recarga` with the right to everything; for tests and for seeding nothing."""
        return self._superuser_url

    @property
    def psp_url(self) -> str:
        return f"http://{HOST}:{self.ports.of('psp')}"

    @property
    def carrier_url(self) -> str:
        return f"http://{HOST}:{self.ports.of('carrier')}"

    def database_url(self, service: str) -> str:
        """The database as one service sees it: its own role, its own schema."""
        return self._service_urls[service]

    def service_url(self, name: str) -> str:
        """The HTTP address of a service (its first process), or of one process such as `payment-2`."""
        service, _, number = name.partition("-")
        return f"http://{HOST}:{self.ports.of(service, int(number or 1))}"

    @property
    def instances(self) -> list[str]:
        """The names of all service processes: `payment-1`, `payment-2`, ..."""
        return [f"{service}-{n}" for service in self.services for n in range(1, self.replicas + 1)]

    @property
    def pids(self) -> dict[str, int]:
        """The pid of every process that runs, by name, for measuring."""
        return {name: child.pid for name, child in self._children.items() if child.running}

    def log_of(self, name: str) -> Path:
        return self.home.log_of(name)

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

    def _take_lock(self) -> None:
        self.home.prepare()
        self._lock = try_lock(run_record.lock_file(self.home))
        if self._lock is None:
            holder = holder_of(run_record.lock_file(self.home))
            raise AlreadyRunning(
                f"The stack in {self.home.path} is already up or starting (launcher pid {holder}): "
                "stop it with `make down`, or use another folder with RECARGA_HOME."
            )

    def _listen_for_signals(self, task: asyncio.Task[Any] | None) -> None:
        def interrupt(number: signal.Signals) -> None:
            if self.stopped_by is None and task is not None:  # a second Ctrl-C must not cut the stopping short
                self.stopped_by = number
                task.cancel()

        for number in STOPPING_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                asyncio.get_running_loop().add_signal_handler(number, interrupt, number)

    async def _start_everything(self) -> None:
        previous = run_record.read_record(self.home)
        if previous is not None and (left := await asyncio.to_thread(run_record.stop_leftovers, previous.processes)):
            self._tell(f"Stopped what an earlier run had left: {', '.join(left)}.")
        launcher = run_record.Identity.of(os.getpid())
        assert launcher is not None, "we are alive"  # noqa: S101
        self._record = run_record.RunRecord(launcher)
        self._write_record()
        require_free(self._wanted_ports())
        for log in self.home.logs.glob("*.log"):
            if log.stem != "launcher":
                rotate(log)
        await self._start_backing()
        if "sandbox" in self.components:
            await self._start_sandbox()
        if "services" in self.components:
            await self._start_services()
        self._record.phase = "up"
        self._write_record()

    def _wanted_ports(self) -> list[tuple[str, int]]:
        names: list[str] = []
        if "postgres" in self.components and not self._external_database:
            names.append("postgres")
        names += ["kafka", "kafka-controller"] if "kafka" in self.components else []
        names += ["psp", "carrier"] if "sandbox" in self.components else []
        wanted = [(name, self.ports.of(name)) for name in names]
        if "services" in self.components:
            for instance in self.instances:
                service, _, number = instance.partition("-")
                wanted.append((instance, self.ports.of(service, int(number))))
        return wanted

    async def _stop_everything(self) -> None:
        """Shielded: stopping goes to its end, whoever cancels us."""
        stopping = asyncio.ensure_future(self._stop_in_order())
        while not stopping.done():
            try:
                await asyncio.shield(stopping)
            except asyncio.CancelledError:
                if stopping.cancelled():
                    raise

    async def _stop_in_order(self) -> None:
        """Callers before whom they call: services, then the sandbox, then Kafka and PostgreSQL."""
        backing = {"postgres", "kafka"}
        self._set_phase("stopping")
        callers = [child for name, child in self._children.items() if name not in backing | {"sandbox"}]
        for group in (
            callers,
            [child for name, child in self._children.items() if name == "sandbox"],
            [child for name, child in self._children.items() if name in backing],
        ):
            await asyncio.gather(*(child.stop() for child in group))
        await asyncio.gather(*self._watchers, return_exceptions=True)
        if self._on_signals:
            for number in STOPPING_SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(number)
        run_record.record_file(self.home).unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # Kafka and PostgreSQL

    async def _start_backing(self) -> None:
        with_postgres = "postgres" in self.components and not self._external_database
        with_kafka = "kafka" in self.components
        parts = [part for part, wanted in (("postgres", with_postgres), ("kafka", with_kafka)) if wanted]
        files = await self._fetch(parts)
        steps: list[Coroutine[Any, Any, None]] = []
        if with_postgres:
            steps.append(self._start_postgres(files["postgres"][0]))
        if with_kafka:
            steps.append(self._start_kafka(files["kafka"]))
        await _all(steps)
        steps = []
        if "postgres" in self.components:
            steps.append(self._prepare_database())
        if with_kafka:
            steps.append(create_topics(self.kafka_bootstrap, TOPICS, self.partitions))
        await _all(steps)

    async def _fetch(self, parts: Sequence[str]) -> dict[str, list[Path]]:
        cancelled = threading.Event()
        try:
            return await asyncio.to_thread(fetch, parts, self.home.path, self._progress, cancelled)
        finally:
            cancelled.set()

    async def _start_postgres(self, jar: Path) -> None:
        server = await asyncio.to_thread(
            prepare_postgres, self.home, jar, self.ports, self._postgres_settings
        )
        self._superuser_url = server.url()
        child = self._spawn(postgres_command(server), f"{HOST}:{server.port}")
        await self._ready(child, lambda: postgres_answers(server.url()))

    async def _start_kafka(self, jars: Sequence[Path]) -> None:
        node = await asyncio.to_thread(prepare_kafka, self.home, jars, self.ports)
        child = self._spawn(kafka_command(node), node.bootstrap)
        await self._ready(child, lambda: kafka_answers(node.bootstrap))

    async def _prepare_database(self) -> None:
        """The database, a role and a schema per service, and every service's migrations."""
        if self._external_database:
            await wait_until(lambda: postgres_answers(self._superuser_url), "The server of DATABASE_URL", 10)
        else:
            self._superuser_url = await create_database(self._superuser_url)
        passwords = {service: kept_secret(self.home.secrets / f"database-{service}") for service in self.services}
        self._service_urls = await create_roles(self._superuser_url, passwords)
        await _all([self._migrate(service) for service in self.services])

    async def _migrate(self, service: str) -> None:
        folder = REPOSITORY / "services" / service / "migrations"
        if folder.is_dir():
            try:
                await asyncio.to_thread(migrate, self.database_url(service), folder)
            except MigrationFailed as error:
                raise LocalStackError(f"The migrations of {service} failed: {error}") from error

    # The sandbox and the services

    async def _start_sandbox(self) -> None:
        kept_secret(self._webhook_secret)
        options = {
            "--psp-port": self.ports.of("psp"),
            "--carrier-port": self.ports.of("carrier"),
            "--directory": self.home.stored / "sandbox",
            "--webhook-url": self.service_url("payment") + WEBHOOK_PATH,
            "--webhook-secret-file": self._webhook_secret,
        }
        arguments = [sys.executable, "-m", "deploy.sandbox"]
        arguments += [str(word) for option in options.items() for word in option]
        child = self._spawn(Command("sandbox", arguments, folder=REPOSITORY), self.psp_url)
        for url in (self.psp_url, self.carrier_url):
            await self._ready(child, _answering(f"{url}/health"))

    @property
    def _webhook_secret(self) -> Path:
        return self.home.secrets / "webhook"

    async def _start_services(self) -> None:
        await _all([self._start_service(instance) for instance in self.instances])

    async def _start_service(self, instance: str) -> None:
        service = instance.partition("-")[0]
        arguments = [sys.executable, "-m", f"services.{service}"]
        command = Command(instance, arguments, self.environment_of(instance), folder=REPOSITORY)
        url = self.service_url(instance)
        await self._ready(self._spawn(command, url), _answering(f"{url}/health/ready"))

    def environment_of(self, instance: str) -> dict[str, str]:
        """The environment of one service process, such as `payment-1`."""
        service, _, number = instance.partition("-")
        kept_secret(self._webhook_secret)
        return {
            "DATABASE_URL": "",  # the superuser's: no service of ours may use it
            "RECARGA_DATABASE_URL": self.database_url(service),
            "RECARGA_KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "RECARGA_HTTP_HOST": HOST,
            "RECARGA_HTTP_PORT": str(self.ports.of(service, int(number))),
            "RECARGA_INSTANCE": instance,
            "RECARGA_PSP_URL": self.psp_url,
            "RECARGA_CARRIER_URL": self.carrier_url,
            "RECARGA_WEBHOOK_SECRET_FILE": str(self._webhook_secret),
            **self._service_environment,
        }

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
        child = self._spawn(Command(name, arguments, environment or {}, folder=REPOSITORY), address)
        if ready is not None:
            await self._ready(child, ready)
        return child

    async def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Sends a deadly signal and waits until the process has ended."""
        await self._children[name].kill(number)

    def send(self, name: str, number: int) -> None:
        """Sends a signal that need not be deadly, such as SIGSTOP."""
        self._children[name].send(number)

    async def restart(self, name: str) -> None:
        """Stops the process if it still runs, starts it again as before, and waits until it is ready."""
        ended = self._children[name]
        await ended.stop()
        child = self._spawn(ended.command, self._addresses[name])
        if name in self._checks:
            await self._ready(child, self._checks[name])

    async def wait_for_death(self) -> None:
        """Returns when a process has ended without being asked to; `deaths` says which and why."""
        await self._death.wait()

    def _spawn(self, command: Command, address: str) -> Child:
        child = start_child(command, self.home.log_of(command.name))
        self._children[command.name] = child
        self._addresses[command.name] = address
        watcher = asyncio.get_running_loop().create_task(self._watch(child))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        self._write_record()
        return child

    async def _ready(self, child: Child, check: Check) -> None:
        self._checks[child.name] = check
        await wait_until_ready(child, check, READY_SECONDS)
        self._tell(f"{child.name} is ready" + (f" at {self._addresses[child.name]}" if self._addresses[child.name] else ""))

    async def _watch(self, child: Child) -> None:
        await child.ended()
        if child.wanted:
            notice = death_notice(child)
            self.deaths.append(notice)
            self._death.set()
            self._tell(notice)

    def _set_phase(self, phase: str) -> None:
        if self._record is not None:
            self._record.phase = phase
            self._write_record()

    def _write_record(self) -> None:
        if self._record is None:
            return
        self._record.processes = [
            run_record.RecordedProcess(name, identity, str(child.log), self._addresses[name], child.command.stop_signal)
            for name, child in self._children.items()
            if (identity := run_record.Identity.of(child.pid)) is not None
        ]
        self._record.write(self.home)


def _answering(url: str) -> Check:
    return lambda: http_ready(url)


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
