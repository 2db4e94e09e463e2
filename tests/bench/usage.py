"""`make bench-usage`: usage records a second into durable buckets, for a thousand subscriptions to a million.

Kafka, PostgreSQL (fsync on) and two processes of the usage service share this machine, as `make up` sets them
up. For each number of subscriptions the records wait in Kafka; each hits one of them at random. Figures: a
table, and .recarga/bench-usage.json.
"""

import asyncio
import random
import shutil
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import asyncpg
import orjson
import psutil
import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from rich.console import Console
from rich.table import Table

from deploy.local.home import Home
from deploy.local.ports import Ports
from deploy.local.stack import Stack
from shared.contracts.usage_records import UsageRecorded
from shared.messaging.envelope import enclose
from shared.messaging.producer import Producer
from tests.bench.cpu import CpuMeter, spent
from tests.bench.subscribers import Subscriber, iccid_of

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
PROCESSES: Final = 2
TOPIC: Final = "usage-records.v1"
GROUP: Final = "usage.records"
WARM_UP: Final = 20_000
CHUNK: Final = 2_000
GRANTED_BYTES: Final = 2**40
RECORD_BYTES: Final = 1_000_000
DEADLINE_SECONDS: Final = 600.0
IMEI: Final = "490154203237518"

# As a top-up of each would have left it; through Kafka it would take longer than everything that is measured.
_SUBSCRIPTIONS: Final = """
insert into usage.balances (subscription_id, subscription_version, carrier, bound_imei, cycle, cycle_began_at,
    granted_bytes, next_due_at, open_buckets, iccid)
select id, 1, 'cubacel', $2, 1, now() - interval '1 day', $3, now() + interval '30 days',
    json_build_array(json_build_array('top-up-1', 1, 'extend', 1, $3::bigint,
        (extract(epoch from now() + interval '30 days') * 1000000)::bigint,
        (extract(epoch from now() - interval '1 day') * 1000000)::bigint, null, 31 * 86400, 0)), iccid
from unnest($1::text[], $4::text[]) as s (id, iccid)
"""
_ICCIDS: Final = """
insert into usage.iccids (iccid, subscription_id, changed_at)
select iccid, id, now() from unnest($2::text[], $1::text[]) as s (iccid, id)
"""


def usage_records(size: int, count: int, name: str) -> Iterator[UsageRecorded]:
    """Each of one of `size` subscriptions at random, a millisecond after the one before."""
    lot = random.Random(name)
    begin = datetime.now(UTC) - timedelta(minutes=30)
    for number in range(count):
        ended_at = begin + timedelta(milliseconds=number)
        yield UsageRecorded.model_construct(
            source="cubacel",
            record_id=f"{name}-{number:08d}",
            iccid=iccid_of(lot.randrange(size)),
            session_id=f"s-{number:08d}",
            imei=IMEI,
            bytes_up=RECORD_BYTES // 10,
            bytes_down=RECORD_BYTES - RECORD_BYTES // 10,
            country="CU",
            started_at=ended_at - timedelta(minutes=1),
            ended_at=ended_at,
        )


async def bench(records: int, sizes: list[int]) -> dict[str, Any]:
    """The curve; the result as bench-usage.json has it."""
    home = Home.at(None).path / "bench-usage"
    shutil.rmtree(home, ignore_errors=True)
    try:
        stack = Stack(
            home,
            ports=Ports.free(PROCESSES),
            components=("postgres", "kafka", "services"),
            services=("usage",),
            replicas=PROCESSES,
            tell=print,
        )
        async with stack:
            producer = Producer(stack.kafka_bootstrap, "bench", "bench")
            await producer.start()
            try:
                curve, there = [], 0
                for size in sizes:
                    await _grow(stack, there, size)
                    there = size
                    await _counted(stack, producer, size, WARM_UP, f"warm-{size}")
                    point = await _counted(stack, producer, size, records, f"bench-{size}")
                    print(f"  {size:,} subscriptions: {point['records_per_second']:,.0f} records/s")
                    curve.append(point)
            finally:
                await producer.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return {"records_per_second": curve[-1]["records_per_second"], "records": records, "curve": curve}


async def _grow(stack: Stack, there: int, size: int) -> None:
    """Add subscriptions until there are `size`."""
    print(f"Preparing {size:,} subscriptions ...")
    connection = await asyncpg.connect(stack.superuser_url, timeout=10)
    try:
        for start in range(there, size, 50_000):
            some = [Subscriber(number) for number in range(start, min(start + 50_000, size))]
            ids, iccids = [one.subscription_id for one in some], [iccid_of(one.number) for one in some]
            await connection.execute(_SUBSCRIPTIONS, ids, IMEI, GRANTED_BYTES, iccids)
            await connection.execute(_ICCIDS, ids, iccids)
        await connection.execute("vacuum analyze usage.balances")
        await connection.execute("vacuum analyze usage.iccids")
        await connection.execute("checkpoint")
    finally:
        await connection.close()


async def _counted(stack: Stack, producer: Producer, size: int, count: int, name: str) -> dict[str, Any]:
    """From the first record read to the last one committed: all of them wait in Kafka before."""
    processes = [f"usage-{number}" for number in range(1, PROCESSES + 1)]
    for process in processes:
        stack.send(process, signal.SIGSTOP)
    now, chunk = datetime.now(UTC), []
    for record in usage_records(size, count, name):
        chunk.append(enclose(record, None))
        if len(chunk) == CHUNK:
            await producer.publish(chunk, now)
            chunk = []
    if chunk:
        await producer.publish(chunk, now)
    meter = CpuMeter(stack.pids)
    before = meter.read()
    began = time.monotonic()
    for process in processes:
        stack.send(process, signal.SIGCONT)
    await _until_read(stack)
    seconds = time.monotonic() - began
    cost = {process: used / count * 1e6 for process, used in spent(before, meter.read()).items()}
    return {
        "subscriptions": size,
        "records_per_second": round(count / seconds, 1),
        "cpu_us_per_record": {process: round(used, 2) for process, used in cost.items()},
        "cpu_us_per_record_in_all": round(sum(cost.values()), 2),
        "usage_megabytes": max(_megabytes(stack.pids[process]) for process in processes),
    }


async def _until_read(stack: Stack) -> None:
    """Until every offset of the topic is committed by the group: what is committed is durable before."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap)
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    await consumer.start()
    await admin.start()
    try:
        partitions = [TopicPartition(TOPIC, number) for number in range(stack.partitions)]
        ends = {place: end for place, end in (await consumer.end_offsets(partitions)).items() if end}
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                committed = await admin.list_consumer_group_offsets(GROUP)
                if all(place in committed and committed[place].offset >= end for place, end in ends.items()):
                    return
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
        await consumer.stop()


def _megabytes(pid: int) -> float:
    return round(psutil.Process(pid).memory_info().rss / 2**20, 1)


def show(result: dict[str, Any]) -> None:
    """Print the curve."""
    table = Table("subscriptions", "records/s", "us a record", "by process", "MB of a usage process")
    for point in result["curve"]:
        parts = sorted(point["cpu_us_per_record"].items(), key=lambda part: -part[1])
        table.add_row(
            f"{point['subscriptions']:,}",
            f"{point['records_per_second']:,.0f}",
            f"{point['cpu_us_per_record_in_all']:.1f}",
            ", ".join(f"{name} {used:.1f}" for name, used in parts),
            f"{point['usage_megabytes']:.0f}",
        )
    Console().print(table)


def main(
    records: Annotated[int, typer.Option(min=10_000, help="records for each size")] = 400_000,
    size: Annotated[list[int] | None, typer.Option(help="numbers of subscriptions, rising")] = None,
) -> None:
    """Measure, print the curve, write .recarga/bench-usage.json."""
    result = asyncio.run(bench(records, sorted(size or SIZES)))
    path = Home.at(None).path / "bench-usage.json"
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    show(result)


if __name__ == "__main__":
    typer.run(main)
