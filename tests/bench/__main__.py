"""`make bench`: saturated throughput, latency in open loop and CPU by process, next to the machine's floor.

Everything runs here with the settings of `make up`: Kafka, PostgreSQL (fsync on), the sandbox and one
process of each service, in a folder and on ports of its own. Figures: a table, and .recarga/bench.json.
"""

import asyncio
import shutil
from typing import Annotated, Any

import typer

from deploy.local.books import compare, read_books, wait_until_quiet
from deploy.local.books.reading import Sources
from deploy.local.home import Home
from deploy.local.ports import Ports
from deploy.local.stack import Stack
from shared.messaging.producer import Producer
from tests.bench import floor, phases, report
from tests.bench.load import Watch
from tests.bench.subscribers import Subscriber, seed

RATES = (100.0, 1_000.0)
QUIET_SECONDS = 60.0


async def bench(renewals: int, rates: list[float], open_loop: bool) -> dict[str, Any]:
    """Run all phases; the result as bench.json has it."""
    home = Home.at(None).path / "bench"
    shutil.rmtree(home, ignore_errors=True)
    try:
        async with Stack(home, ports=Ports.free(), tell=print) as stack:
            producer = Producer(stack.kafka_bootstrap, "bench", "bench")
            await producer.start()
            try:
                print(f"Seeding {renewals:,} subscribers over HTTP ...")
                subscribers = [Subscriber(number) for number in range(renewals)]
                await seed(stack, producer, subscribers)
                async with Watch(stack.kafka_bootstrap) as watch:
                    await phases.warm_up(producer, watch, subscribers)
                    # Topped up is not closed: who still has the slot would be refused the next renewal.
                    await wait_until_quiet(stack.superuser_url, QUIET_SECONDS)
                    print(f"Saturated: {renewals:,} requests wait in Kafka ...")
                    full = await phases.saturated(stack, producer, watch, subscribers)
                    print(f"  {full.renewals_per_second:,.0f} renewals/s")
                    loops = []
                    for rate in [*rates, full.renewals_per_second / 2] if open_loop else []:
                        print(f"Open loop at {rate:,.0f}/s ...")
                        loops.append(await phases.at_rate(stack, producer, watch, subscribers, rate))
                print("Comparing the books with the journals of the sandbox ...")
                comparison = await compare_when_quiet(stack)
                print("Measuring the floor ...")
                alone = await floor.measure(stack)
            finally:
                await producer.stop()
    finally:
        shutil.rmtree(home / "data", ignore_errors=True)
    return report.document(full, loops, alone, comparison)


async def compare_when_quiet(stack: Stack) -> bool:
    """Whether the books balance, once nothing is open any more."""
    sources = Sources(stack.superuser_url, stack.psp_url, stack.carrier_url)
    await wait_until_quiet(sources.database_url, QUIET_SECONDS)
    comparison = compare(await read_books(sources))
    for discrepancy in comparison.discrepancies[:20]:
        print(discrepancy)
    return comparison.is_balanced


def main(
    renewals: Annotated[int, typer.Option(help="requests waiting in Kafka")] = 20_000,
    rate: Annotated[list[float] | None, typer.Option(help="open-loop rates per second")] = None,
    open_loop: Annotated[bool, typer.Option(help="measure latency too")] = True,
) -> None:
    """Measure, print the tables, write .recarga/bench.json; exit status 1 where the books do not balance."""
    result = asyncio.run(bench(renewals, rate or list(RATES), open_loop))
    report.write(Home.at(None).path / "bench.json", result)
    report.show(result)
    if not result["books_balance"]:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
