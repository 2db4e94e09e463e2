"""Whatever a stack starts, it stops; what it stores, it keeps."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.local import launcher
from deploy.local.children import last_lines
from deploy.local.errors import AlreadyRunning, ChildDied, LocalStackError, PortBusy
from deploy.local.home import Home
from deploy.local.ports import Ports
from deploy.local.postgres_account import account_for, stand_in
from deploy.local.run_record import read_record
from deploy.local.stack import Stack
from shared.contracts.topics import TOPICS
from tests.conftest import UNSAFE_AND_FAST, readable_folder

SLEEP = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"]
IGNORE = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
STUBBORN = [sys.executable, "-c", IGNORE]
DEADLINE_SECONDS = 90


@pytest.fixture
def home() -> Iterator[Path]:
    folder = readable_folder()
    yield folder / "home"
    shutil.rmtree(folder)


def small_stack(home: Path, **options: object) -> Stack:
    """PostgreSQL alone is enough to see a life; Kafka comes where it matters."""
    settings: dict[str, object] = {
        "ports": Ports.free(),
        "components": {"postgres"},
        "services": (),
        "postgres_settings": UNSAFE_AND_FAST,
        "on_signals": False,
    }
    return Stack(home, **{**settings, **options})  # type: ignore[arg-type]


def processes_of(pids: dict[str, int]) -> list[psutil.Process]:
    """The processes with all that they started."""
    roots = [psutil.Process(pid) for pid in pids.values()]
    return roots + [child for root in roots for child in root.children(recursive=True)]


async def test_a_stack_leaves_data_and_no_process_until_it_is_cleaned(home: Path) -> None:
    topic = TOPICS[0].name
    async with small_stack(home, components={"postgres", "kafka"}) as stack:
        await stack.start("extra", SLEEP)
        processes = processes_of(stack.pids)
        assert len(processes) > 3
        connection = await asyncpg.connect(stack.superuser_url)
        await connection.execute("create table kept as select 42 as answer")
        await connection.close()
        async with AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap) as producer:
            await producer.send_and_wait(topic, b"kept", partition=0)

    assert [process for process in processes if process.is_running()] == []
    assert read_record(Home.at(home)) is None
    async with small_stack(home, components={"postgres", "kafka"}) as stack:  # on other ports
        connection = await asyncpg.connect(stack.superuser_url)
        assert await connection.fetchval("select answer from kept") == 42
        await connection.close()
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=stack.kafka_bootstrap, auto_offset_reset="earliest"
        )
        async with consumer, asyncio.timeout(DEADLINE_SECONDS):
            assert (await consumer.getone()).value == b"kept"

    launcher.clean(Home.at(home), tell=print, environment={})
    assert not (home / "data").exists()
    assert not (home / "secrets").exists()


async def test_an_error_inside_the_stack_stops_it_too(home: Path) -> None:
    processes: list[psutil.Process] = []
    with pytest.raises(ZeroDivisionError):
        async with small_stack(home) as stack:
            processes = processes_of(stack.pids)
            raise ZeroDivisionError

    assert processes
    assert [process for process in processes if process.is_running()] == []


async def test_a_process_that_will_not_stop_is_killed(home: Path) -> None:
    async def deaf() -> bool:
        return "deaf" in last_lines(home / "logs" / "stubborn.log")

    async with small_stack(home, components=()) as stack:
        child = await stack.start("stubborn", STUBBORN, ready=deaf)
        child.command = dataclasses.replace(child.command, grace_seconds=0.2)

    assert child.popen.returncode == -signal.SIGKILL


async def test_a_killed_process_starts_again_where_it_was(home: Path) -> None:
    async with small_stack(home) as stack:
        first = stack.pids["postgres"]
        await stack.kill("postgres")
        assert "postgres" not in stack.pids

        await stack.restart("postgres")

        connection = await asyncpg.connect(stack.superuser_url)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        assert stack.pids["postgres"] != first
        assert stack.deaths == []  # we asked for it


async def test_an_unasked_death_is_told_with_the_end_of_the_log(home: Path) -> None:
    told: list[str] = []
    async with small_stack(home, components=(), tell=told.append) as stack:
        await stack.start("usage-1", [sys.executable, "-c", "print('no such bucket'); raise SystemExit(7)"])
        async with asyncio.timeout(DEADLINE_SECONDS):
            await stack.wait_for_death()

    assert "usage-1 ended with exit code 7" in told[0]
    assert "no such bucket" in told[0]


async def test_a_process_that_dies_before_it_is_ready_ends_the_waiting(home: Path) -> None:
    async def never() -> bool:
        return False

    told: list[str] = []
    async with small_stack(home, components=(), tell=told.append) as stack:
        with pytest.raises(ChildDied, match=r"(?s)ended with exit code 3.*wrong settings"):
            await stack.start(
                "payment-1", [sys.executable, "-c", "print('wrong settings'); exit(3)"], ready=never
            )

    assert told == []  # the error told it already


async def test_the_log_of_the_run_before_is_kept(home: Path) -> None:
    for word in ("first", "second"):
        async with small_stack(home, components=()) as stack:
            child = await stack.start("usage-1", [sys.executable, "-c", f"print('{word}')"])
            await child.ended()

    assert (home / "logs" / "usage-1.log").read_text() == "second\n"
    assert (home / "logs" / "usage-1.log.1").read_text() == "first\n"


async def test_two_launchers_do_not_share_a_home(home: Path) -> None:
    async with small_stack(home, components=()):
        with pytest.raises(AlreadyRunning, match=f"already up .pid {os.getpid()}.*make down"):
            await small_stack(home, components=()).__aenter__()


async def test_a_busy_port_is_found_before_anything_starts(home: Path) -> None:
    ports = Ports.free()
    async with await asyncio.start_server(
        lambda _reader, writer: writer.close(), "127.0.0.1", ports.of("postgres")
    ):
        with pytest.raises(PortBusy, match=r"\(postgres\) is in use by .*RECARGA_POSTGRES_PORT"):
            await small_stack(home, ports=ports).__aenter__()

    async with small_stack(home, components=()):
        pass  # the failed start freed the home


async def test_a_service_has_its_own_role_and_cannot_read_anothers_schema(home: Path) -> None:
    async with small_stack(home, services=("catalog", "usage")) as stack:
        catalog = await asyncpg.connect(stack.database_url("catalog"))
        try:
            assert await catalog.fetchval("select current_schema()") == "catalog"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await catalog.execute("create table usage.stolen ()")
        finally:
            await catalog.close()


async def test_a_server_of_the_users_own_is_used_and_left_running(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_stack(home / "theirs") as theirs:
        monkeypatch.setenv("DATABASE_URL", theirs.superuser_url)
        async with small_stack(home / "ours", services=("catalog",)) as ours:
            assert ours.pids == {}
            connection = await asyncpg.connect(ours.database_url("catalog"))
            assert await connection.fetchval("select current_user") == "recarga_catalog"
            await connection.close()

        assert "postgres" in theirs.pids
        left = Home.at(home / "ours")
        await asyncio.to_thread(launcher.clean, left, print, {"DATABASE_URL": theirs.superuser_url})
        connection = await asyncpg.connect(theirs.superuser_url)
        roles = await connection.fetch("select rolname from pg_roles where rolname like 'recarga%'")
        await connection.close()
        assert roles == []


async def test_a_wrong_password_is_told_at_once(home: Path) -> None:
    async with small_stack(home):
        pass
    Home.at(home).secrets.joinpath("postgres").write_text("another\n")

    with pytest.raises(LocalStackError, match="PostgreSQL refuses us"):
        await small_stack(home).__aenter__()


@pytest.fixture
def closed_home(tmp_path: Path) -> Path:
    """A home inside a folder that only its owner may enter, as under /root."""
    tmp_path.chmod(0o700)
    return tmp_path / "home"


async def test_a_home_that_nobody_may_enter_works_for_root_as_well(closed_home: Path) -> None:
    stored = closed_home / "data"
    expected = stored if account_for(os.geteuid()).uid is None else stand_in(stored)
    async with small_stack(closed_home) as stack:
        connection = await asyncpg.connect(stack.superuser_url)
        told = await connection.fetchval("show data_directory")
        await connection.close()

    assert told == str(expected / "postgres")
    launcher.clean(Home.at(closed_home), tell=print, environment={})
    assert not expected.joinpath("postgres").exists()
