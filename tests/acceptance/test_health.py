"""Ready only while Kafka and PostgreSQL answer, alive all the same; nothing listens beyond this machine."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_address

import psutil
import pytest

from tests.acceptance.office import Office

Suspend = Callable[[str], AbstractAsyncContextManager[None]]
SECONDS = 20.0


@pytest.fixture
def suspended(office: Office) -> Suspend:
    """`async with suspended("kafka")`: its processes stand still, and go on afterwards."""

    @asynccontextmanager
    async def suspend(name: str) -> AsyncIterator[None]:
        processes = list(family(office.stack.pids[name]))
        try:
            for process in processes:
                process.send_signal(signal.SIGSTOP)
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)

    return suspend


def family(pid: int) -> Iterator[psutil.Process]:
    """A process and all that it started: PostgreSQL answers from its children."""
    parent = psutil.Process(pid)
    yield parent
    yield from parent.children(recursive=True)


async def statuses(office: Office, path: str) -> dict[str, int]:
    """What every process of every service answers."""
    replies = await asyncio.gather(*(office.http(name, "GET", path) for name in office.stack.instances))
    return {name: reply.status for name, reply in zip(office.stack.instances, replies, strict=True)}


async def all_answer(office: Office, path: str, status: int) -> bool:
    return set((await statuses(office, path)).values()) == {status}


@pytest.mark.parametrize("server", ["kafka", "postgres"])
async def test_no_service_is_ready_while_a_server_does_not_answer(
    office: Office, suspended: Suspend, server: str
) -> None:
    await office.until(lambda: all_answer(office, "/health/ready", 200), "all are ready", SECONDS)

    async with suspended(server):
        await office.until(lambda: all_answer(office, "/health/ready", 503), "none is ready", SECONDS)
        assert await all_answer(office, "/health/live", 200)
        waiting = await office.http("payment", "GET", "/health/ready")

    assert waiting.problem == "not-ready"
    assert f"It waits for {server}" in waiting.body["detail"]
    await office.until(lambda: all_answer(office, "/health/ready", 200), "all are ready again", SECONDS)
    renewal_id = await office.begun(await office.seeded())
    await office.in_state(renewal_id, "completed")


async def test_everything_listens_on_the_loopback_only(office: Office) -> None:
    listening = {
        (name, connection.laddr.ip)
        for name, pid in office.stack.pids.items()
        for process in family(pid)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert {name for name, _ in listening} == set(office.stack.pids), "every process listens somewhere"
    beyond = {(name, ip) for name, ip in listening if not is_loopback(ip)}
    assert beyond == set()


def is_loopback(ip: str) -> bool:
    address = ip_address(ip)
    mapped = getattr(address, "ipv4_mapped", None)  # how Java says 127.0.0.1 on a dual-stack socket
    return bool((mapped or address).is_loopback)
