"""`make bench-crossing`: from the usage record that crosses a threshold to the top-up of the rule's renewal.

All services, Kafka, PostgreSQL (fsync on) and the sandbox share this machine, as `make up` sets them up.
Records come at a rate that waits for nobody: most of them of people who have plenty, some that make data run
out. Figures: a table, and .recarga/bench-crossing.json.
"""

import asyncio
import shutil
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import asyncpg
import orjson
import typer
from rich.console import Console
from rich.table import Table

from deploy.local.home import Home
from deploy.local.ports import Ports
from deploy.local.stack import Stack
from shared.contracts.usage_records import UsageRecorded
from shared.messaging.envelope import Envelope, enclose
from shared.messaging.producer import Producer
from tests.bench.__main__ import compare_when_quiet
from tests.bench.cpu import CpuMeter, spent
from tests.bench.load import Watch
from tests.bench.subscribers import (
    AMOUNT_MINOR,
    CURRENCY,
    OFFERING,
    Subscriber,
    client_of,
    iccid_of,
    put_all,
    seed,
)

GRANTED_BYTES: Final = 3_000_000_000
RECORD_BYTES: Final = 1_000_000
NEARLY_OUT_BYTES: Final = GRANTED_BYTES // 10 + RECORD_BYTES // 2
"""One record more, and a tenth of what was granted is left."""
WARM_UP_SECONDS: Final = 5.0
TICK_SECONDS: Final = 0.01
WANTED_MS: Final = {"p50": 1_000.0, "p99": 3_000.0}


def _record(number: int, name: str, at: datetime) -> UsageRecorded:
    return UsageRecorded(
        source="cubacel",
        record_id=name,
        iccid=iccid_of(number),
        bytes_up=RECORD_BYTES // 10,
        bytes_down=RECORD_BYTES - RECORD_BYTES // 10,
        country="CU",
        started_at=at - timedelta(minutes=1),
        ended_at=at,
    )


class Load:
    """Two kinds of subscribers: the first `crossing` of them are nearly out of data, the others never are."""

    def __init__(self, crossing: int, others: int) -> None:
        self.subscribers = [Subscriber(number) for number in range(crossing + others)]
        self.crossing = crossing
        self.crossed = 0
        self.sent = 0

    def next_crossing(self, at: datetime) -> Envelope:
        self.crossed += 1
        return enclose(_record(self.crossed - 1, f"crossing-{self.crossed}", at), None)

    def others(self, count: int, at: datetime) -> list[Envelope]:
        envelopes = []
        for _ in range(count):
            number = self.crossing + self.sent % (len(self.subscribers) - self.crossing)
            self.sent += 1
            envelopes.append(enclose(_record(number, f"other-{self.sent}", at), None))
        return envelopes


async def run_at(
    producer: Producer, watch: Watch, load: Load, crossings: float, others: float, seconds: float
) -> list[float]:
    """Seconds from when each crossing record was due to its top-up's arrival."""
    due: dict[str, float] = {}
    wanted = watch.count + int(crossings * seconds)
    start, crossed, sent = time.monotonic(), 0, 0
    while crossed < int(crossings * seconds):
        elapsed = time.monotonic() - start
        now = datetime.now(UTC)
        batch = load.others(int(elapsed * others) + 1 - sent, now)
        sent += len(batch)
        while crossed < min(int(elapsed * crossings) + 1, int(crossings * seconds)):
            due[load.subscribers[load.crossed].subscription_id] = start + crossed / crossings
            batch.append(load.next_crossing(now))
            crossed += 1
        await producer.publish(batch, now)
        await asyncio.sleep(TICK_SECONDS)
    await watch.until(wanted)
    return [watch.arrived[subscription_id][-1] - asked for subscription_id, asked in due.items()]


async def bench(crossings: float, others: float, seconds: float) -> dict[str, Any]:
    """The latencies; the result as bench-crossing.json has it."""
    home = Home.at(None).path / "bench-crossing"
    shutil.rmtree(home, ignore_errors=True)
    try:
        async with Stack(home, ports=Ports.free(), tell=print) as stack:
            producer = Producer(stack.kafka_bootstrap, "bench", "bench")
            await producer.start()
            try:
                load = Load(int(crossings * (seconds + WARM_UP_SECONDS)), others=20_000)
                print(f"Seeding {len(load.subscribers):,} subscribers over HTTP ...")
                await _seed(stack, producer, load)
                async with Watch(stack.kafka_bootstrap) as watch:
                    await run_at(producer, watch, load, crossings, others, WARM_UP_SECONDS)
                    meter = CpuMeter(stack.pids)
                    before = meter.read()
                    print(f"{crossings:,.0f} crossings a second amid {others:,.0f} other records ...")
                    latencies = await run_at(producer, watch, load, crossings, others, seconds)
                    cost = spent(before, meter.read())
                balanced = await compare_when_quiet(stack)
            finally:
                await producer.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return {
        "crossings_per_second": crossings,
        "other_records_per_second": others,
        "latency_ms": {f"p{cut}": round(cuts[cut - 1] * 1000, 1) for cut in (50, 95, 99)},
        "cpu_percent_of_a_core": {name: round(used / seconds * 100, 1) for name, used in cost.items()},
        "books_balance": balanced,
    }


async def _seed(stack: Stack, producer: Producer, load: Load) -> None:
    await seed(stack, producer, load.subscribers)
    running_out, expires_at = load.subscribers[: load.crossing], datetime.now(UTC) + timedelta(days=20)

    def bucket(one: Subscriber) -> dict[str, Any]:
        nearly = one.number < load.crossing
        return {
            "subscription_id": one.subscription_id,
            "bucket_id": "before",
            "granted_bytes": GRANTED_BYTES if nearly else 2**40,
            "remaining_bytes": NEARLY_OUT_BYTES if nearly else 2**40,
            "expires_at": expires_at.isoformat(),
        }

    async with (
        client_of(stack.service_url("usage")) as usage,
        client_of(stack.service_url("renewal")) as renewal,
    ):
        await put_all(usage, "/v1/buckets/bulk", load.subscribers, bucket)
        await put_all(renewal, "/v1/renewal-rules/bulk", running_out, _rule)
    await _until_usage_knows(stack, load.subscribers)


def _rule(one: Subscriber) -> dict[str, Any]:
    return {
        "subscription_id": one.subscription_id,
        "triggers": ["threshold"],
        "offering_id": OFFERING,
        "payment_method_ids": [one.payment_method_id],
        "cap_amount_minor": AMOUNT_MINOR,
        "currency": CURRENCY,
        "enabled": True,
    }


async def _until_usage_knows(stack: Stack, subscribers: Sequence[Subscriber]) -> None:
    connection = await asyncpg.connect(stack.superuser_url, timeout=10)
    try:
        async with asyncio.timeout(120):
            while await connection.fetchval("select count(*) from usage.iccids") < len(subscribers):
                await asyncio.sleep(0.1)
        await connection.execute("analyze")
    finally:
        await connection.close()


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    table = Table("", "measured", "wanted")
    for name, value in result["latency_ms"].items():
        wanted = WANTED_MS.get(name)
        table.add_row(f"{name}, ms", f"{value:,.0f}", f"{wanted:,.0f}" if wanted else "")
    table.add_row("CPU, both cores are 200 %", f"{sum(result['cpu_percent_of_a_core'].values()):.0f} %", "")
    Console().print(table)


def main(
    crossings: Annotated[float, typer.Option(help="crossings a second")] = 100.0,
    others: Annotated[float, typer.Option(help="other records a second")] = 5_000.0,
    seconds: Annotated[float, typer.Option(help="how long")] = 20.0,
) -> None:
    """Measure, print, write .recarga/bench-crossing.json; exit status 1 where the books do not balance."""
    result = asyncio.run(bench(crossings, others, seconds))
    path = Home.at(None).path / "bench-crossing.json"
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    show(result)
    if not result["books_balance"]:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
