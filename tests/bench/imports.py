"""`make bench-import`: a million subscriptions from a CSV file, until every service knows them.

Kafka, PostgreSQL (fsync on), one process of each service and the import share this machine, as `make up` sets
them up. Figures: a table, and .recarga/bench-import.json.
"""

import asyncio
import gzip
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import asyncpg
import orjson
import typer
from rich.console import Console
from rich.table import Table

from deploy.local.home import REPOSITORY, Home
from deploy.local.ports import Ports
from deploy.local.stack import Stack
from services.provisioning.subscriptions.imports import SUBSCRIPTIONS
from tests.bench.cpu import CpuMeter, spent
from tests.bench.subscribers import Subscriber, subscription_item

WANTED_SECONDS: Final = 180.0
DEADLINE_SECONDS: Final = 1_800.0
PROJECTIONS: Final = ("renewal.subscriptions", "usage.iccids", "usage.balances", "catalog.subscriptions")


def write_file(path: Path, count: int) -> None:
    """A gzip CSV with as many subscriptions, whose numbers are all right."""
    with gzip.open(path, "wt", compresslevel=1, encoding="ascii", newline="") as file:
        file.writelines(_lines(count))


def _lines(count: int) -> Iterator[str]:
    yield ",".join(subscription_item(Subscriber(0))) + "\n"
    for number in range(count):
        yield ",".join(subscription_item(Subscriber(number)).values()) + "\n"


async def bench(count: int) -> dict[str, Any]:
    """The import and what follows it; the result as bench-import.json has it."""
    home = Home.at(None).path / "bench-import"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    home.chmod(0o755)
    try:
        file = home / "subscriptions.csv.gz"
        print(f"Writing {count:,} subscriptions ...")
        write_file(file, count)
        async with Stack(home, ports=Ports.free(), tell=print) as stack:
            load = os.getloadavg()[0]
            meter = CpuMeter(stack.pids)
            before, own = meter.read(), _of_ended_children()
            began = time.monotonic()
            await _import(stack, file)
            imported = time.monotonic()
            cpu = {"import": _of_ended_children() - own}
            projected = {table: at - began for table, at in (await _projected(stack, count)).items()}
            cpu |= spent(before, meter.read())
    finally:
        shutil.rmtree(home, ignore_errors=True)
    seconds = max(projected.values())
    return {
        "subscriptions": count,
        "seconds": round(seconds, 1),
        "subscriptions_per_second": round(count / seconds, 1),
        "imported_after_seconds": round(imported - began, 1),
        "projected_after_seconds": {table: round(at, 1) for table, at in projected.items()},
        "cpu_us_per_subscription": {
            name: round(used / count * 1e6, 1) for name, used in sorted(cpu.items(), key=lambda one: -one[1])
        },
        "load_average_before": round(load, 2),
    }


async def _import(stack: Stack, file: Path) -> None:
    """As `make import` does it."""
    url = stack.service_url(SUBSCRIPTIONS.service)
    module = "services.provisioning.subscriptions.imports"
    importing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, str(file), "--url", url, cwd=REPOSITORY
    )
    async with asyncio.timeout(DEADLINE_SECONDS):
        status = await importing.wait()
    if status:
        raise RuntimeError(f"the import ended with status {status}")


async def _projected(stack: Stack, count: int) -> dict[str, float]:
    """When (monotonic) each projection held them all."""
    connection = await asyncpg.connect(stack.superuser_url, timeout=10)
    full: dict[str, float] = {}
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while missing := [table for table in PROJECTIONS if table not in full]:
                for table in missing:
                    if await _holds(connection, table, count):
                        full[table] = time.monotonic()
                await asyncio.sleep(0.25)
    finally:
        await connection.close()
    return full


async def _holds(connection: asyncpg.Connection, table: str, count: int) -> bool:
    """The statistics are asked first: counting a million rows again and again would slow everything down."""
    schema, name = table.split(".")
    inserted = await connection.fetchval(
        "select n_tup_ins from pg_stat_user_tables where schemaname = $1 and relname = $2", schema, name
    )
    rows = await connection.fetchval(f"select count(*) from {table}") if inserted >= count else 0  # noqa: S608
    return bool(rows >= count)


def _of_ended_children() -> float:
    """CPU seconds of the children that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    console = Console()
    console.print(
        f"\n[bold]{result['subscriptions']:,} subscriptions in {result['seconds']:,.1f} s[/bold], "
        f"{result['subscriptions_per_second']:,.0f} a second; wanted: a million in {WANTED_SECONDS:.0f} s."
    )
    reached = Table("all there", "after s")
    reached.add_row("provisioning", f"{result['imported_after_seconds']:,.1f}")
    for table, seconds in result["projected_after_seconds"].items():
        reached.add_row(table, f"{seconds:,.1f}")
    console.print(reached)
    cpu = Table("process", "us a subscription", title="CPU")
    for name, used in result["cpu_us_per_subscription"].items():
        cpu.add_row(name, f"{used:,.1f}")
    cpu.add_row("all", f"{sum(result['cpu_us_per_subscription'].values()):,.1f}", style="bold")
    console.print(cpu)


def main(
    subscriptions: Annotated[int, typer.Option(min=1_000, help="how many")] = 1_000_000,
) -> None:
    """Measure, print the table, write .recarga/bench-import.json."""
    result = asyncio.run(bench(subscriptions))
    path = Home.at(None).path / "bench-import.json"
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    show(result)


if __name__ == "__main__":
    typer.run(main)
