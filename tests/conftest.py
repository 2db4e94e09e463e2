"""Real Kafka and PostgreSQL for every test that asks, started once per session.

RECARGA_TEST_KAFKA (host:port) and RECARGA_TEST_DATABASE (a superuser's URL) name servers to use instead.
Tests share the servers and never a schema, a role or a topic: each asks for fresh ones.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg
import hypothesis
import pytest

from deploy.local.database_roles import create_role, drop_roles, url_as
from deploy.local.home import REPOSITORY
from deploy.local.ports import Ports
from deploy.local.postgres import new_password
from deploy.local.stack import Stack
from deploy.local.topics import create_topics
from shared.database.migrations import migrate

# A developer's own server is not for tests: they start theirs.
os.environ.pop("DATABASE_URL", None)
# How long an example takes says how busy the machine is, and no test is about that.
hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")
# Tests lose nothing that matters when the machine stops.
UNSAFE_AND_FAST = {"fsync": "off", "full_page_writes": "off"}

FreshDatabase = Callable[..., Awaitable[str]]
FreshTopic = Callable[..., Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the session's Kafka and PostgreSQL answer; the URL is a superuser's."""

    kafka_bootstrap: str
    superuser_url: str


@dataclass(frozen=True, slots=True)
class FreshLayout:
    """A topic of a test, as create_topics takes it."""

    name: str
    compacted: bool = False
    retention: timedelta = timedelta(hours=1)


STARTING_PROCESSES = frozenset({"acceptance", "chaos", "integration", "rolling"})
"""Layers whose files start services or stacks of their own, each only once."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several workers run (`make test`): what stays together in one of them, in its order.

    The tests of both offices do, the dearest of all, so that one of those stacks runs at a time. Those of a
    file that starts something do, too: each worker that had some of them would start it once more.
    """
    for item in items:
        place = item.path.relative_to(REPOSITORY / "tests")
        if "office" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("offices"))
        elif place.parts[0] in STARTING_PROCESSES:
            item.add_marker(pytest.mark.xdist_group(str(place)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """A plugin that groups nothing says nothing: three stacks at once would only be slow, and late."""
    if getattr(session.config.option, "loadgroup", False):
        for item in session.items:
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
                raise pytest.UsageError(f"{item.nodeid} was put into no group: is pytest-xdist too old?")


def readable_folder() -> Path:
    """A temporary folder that others may enter: for root, PostgreSQL runs as somebody else."""
    folder = Path(tempfile.mkdtemp(prefix="recarga-test-"))
    folder.chmod(0o755)
    return folder


def heed_signals() -> None:
    """For `preexec_fn`: nohup, and a script's background, hand down that signals are ignored."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Servers]:
    """Kafka and PostgreSQL of this session alone, or those that the environment names."""
    kafka, database = os.environ.get("RECARGA_TEST_KAFKA"), os.environ.get("RECARGA_TEST_DATABASE")
    if kafka and database:
        yield Servers(kafka, database)
        return
    home = readable_folder()
    try:
        async with Stack(
            home,
            ports=Ports.free(),
            components={"kafka", "postgres"},
            services=(),
            postgres_settings=UNSAFE_AND_FAST,
            on_signals=False,
        ) as running:
            yield Servers(running.kafka_bootstrap, running.superuser_url)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_bootstrap(stack: Servers) -> str:
    """host:port of the session's Kafka."""
    return stack.kafka_bootstrap


@pytest.fixture(scope="module")
async def fresh_database(
    stack: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FreshDatabase]:
    """`await fresh_database("payment")` is the URL of a new role with a schema of its own, migrated.

    `await fresh_database()` has the messaging tables only; `migrated=False` leaves the schema empty. All
    are dropped after the module.
    """
    made: list[tuple[str, str]] = []

    async def fresh(service: str | None = None, *, migrated: bool = True) -> str:
        name = f"test_{service or 'schema'}_{uuid.uuid4().hex[:10]}"
        password = new_password()
        connection = await asyncpg.connect(stack.superuser_url, timeout=10)
        try:
            await create_role(connection, name, name, password)
        finally:
            await connection.close()
        made.append((name, name))
        url = url_as(stack.superuser_url, name, password)
        if migrated:
            own = (
                REPOSITORY / "services" / service / "migrations"
                if service
                else tmp_path_factory.mktemp("none")
            )
            await asyncio.to_thread(migrate, url, own)
        return url

    yield fresh
    await drop_roles(stack.superuser_url, made)


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test's topics or consumer groups have."""
    return f"test-{uuid.uuid4().hex[:10]}-"


@pytest.fixture
def fresh_topic(kafka_bootstrap: str, topic_prefix: str) -> FreshTopic:
    """`await fresh_topic("payments.v1")` makes a topic of this test alone and returns its name."""

    async def fresh(name: str = "topic", *, partitions: int = 1, compacted: bool = False) -> str:
        layout = FreshLayout(topic_prefix + name, compacted)
        await create_topics(kafka_bootstrap, [layout], partitions)
        return layout.name

    return fresh
