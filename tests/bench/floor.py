"""The floor under every figure: what the parts do alone, on this machine, in this run.

Machines drift; a figure of the pipeline means something only next to these, taken minutes apart.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaProducer

from deploy.local.stack import Stack
from deploy.local.topics import create_topics
from shared.calls.http_client import open_client
from shared.contracts.topics import Topic

SECONDS = 3.0
ROWS = 500
RECORDS = 500
CONNECTIONS = 32


async def measure(stack: Stack) -> dict[str, float | str]:
    """Operations per second of each part alone, and the file system under the data."""
    return {
        "postgres_commits_per_second": await _postgres(stack, _one_row),
        "postgres_batch_rows_per_second": ROWS * await _postgres(stack, _many_rows),
        "kafka_records_per_second": await _kafka(stack),
        "sandbox_requests_per_second": await _sandbox(stack),
        "file_system": file_system(stack.home.stored),
    }


def file_system(path: Path) -> str:
    """The kind of file system that holds `path`, as the kernel names it."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, kind, *_ = line.split()
        if path.resolve().is_relative_to(mount) and len(mount) > len(best[0]):
            best = (mount, kind)
    return best[1]


async def _rate(step: Callable[[], Awaitable[object]]) -> float:
    """How often per second `step` is done, over a few seconds."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        await step()
        count += 1
    return count / (time.perf_counter() - start)


async def _postgres(stack: Stack, step: Callable[[asyncpg.Connection], Awaitable[object]]) -> float:
    connection = await asyncpg.connect(stack.superuser_url, timeout=10)
    try:
        # A temporary table would write no WAL: this one costs what ours cost.
        await connection.execute("create table if not exists public.floor (number bigint, payload text)")
        return await _rate(lambda: step(connection))
    finally:
        await connection.execute("drop table if exists public.floor")
        await connection.close()


async def _one_row(connection: asyncpg.Connection) -> None:
    await connection.execute("insert into public.floor values ($1, $2)", 1, "x" * 100)


async def _many_rows(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "insert into public.floor select * from unnest($1::bigint[], $2::text[])",
        list(range(ROWS)),
        ["x" * 100] * ROWS,
    )


async def _kafka(stack: Stack) -> float:
    await create_topics(stack.kafka_bootstrap, [Topic("floor")], 1)
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.kafka_bootstrap, acks="all", enable_idempotence=True, max_batch_size=262_144
    )
    await producer.start()

    async def send() -> None:
        batch = producer.create_batch()
        for number in range(RECORDS):
            batch.append(key=b"%d" % number, value=b"x" * 300, timestamp=None)
        await (await producer.send_batch(batch, "floor", partition=0))

    try:
        return RECORDS * await _rate(send)
    finally:
        await producer.stop()


async def _sandbox(stack: Stack) -> float:
    """Requests per second of the sandbox as our own client makes them, many at once."""
    client = open_client(stack.psp_url, timeout_seconds=5, connections=CONNECTIONS)

    async def many() -> None:
        await asyncio.gather(*(client.request("GET", "/health") for _ in range(CONNECTIONS)))

    try:
        return CONNECTIONS * await _rate(many)
    finally:
        await client.close()
