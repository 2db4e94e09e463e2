"""`make outage`: thousands of renewals behind one carrier's outage, while another carrier's flow.

The whole stack, two processes of every service, in a folder and on ports of its own. The carrier `north` has
a rate and is out of order; `south` works, and its renewals are asked for at a steady pace meanwhile. Nearly
all of north's are charged by rule; every twentieth was asked for by a person. Figures: a table, and
.recarga/outage.json.
"""

import asyncio
import shutil
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from deploy.local.home import Home
from deploy.local.ports import HOST, Ports
from deploy.local.readiness import http_ready
from deploy.local.stack import Stack
from shared.messaging.producer import Producer
from tests.bench.load import Watch
from tests.bench.subscribers import Subscriber
from tests.outage.figures import figures, is_as_promised
from tests.outage.story import NORTH, SOUTH, Story

PEOPLE_EVERY = 20
ELSEWHERE = 2_000


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def _settings(port: int, calls_per_second: int, deadline_seconds: float) -> dict[str, str]:
    north = {"url": f"http://{HOST}:{port}", "calls_per_second": calls_per_second}
    return {
        "RECARGA_PROVISIONING_CARRIERS": orjson.dumps({NORTH: north}).decode(),
        "RECARGA_RENEWAL_MANUAL_DEADLINE_SECONDS": str(deadline_seconds),
        "RECARGA_RENEWAL_AUTOMATIC_DEADLINE_SECONDS": str(deadline_seconds),
    }


async def _carrier(stack: Stack, folder: Path, port: int) -> str:
    """A carrier of its own, with a journal of its own; its address."""
    url = f"http://{HOST}:{port}"
    options = ["--carrier-port", str(port), "--directory", str(folder)]
    await stack.start(
        "sandbox-north",
        [sys.executable, "-m", "deploy.sandbox", "carrier", *options],
        ready=lambda: http_ready(f"{url}/health"),
        address=url,
    )
    return url


async def outage(
    renewals: int,
    calls_per_second: int,
    seconds: float,
    behaviour: str,
    elsewhere_per_second: float,
    deadline_seconds: float,
) -> dict[str, Any]:
    """Run the story; what came of it, as outage.json has it."""
    home = Home.at(None).path / "outage"
    shutil.rmtree(home, ignore_errors=True)
    port = _free_port()
    try:
        async with Stack(
            home,
            ports=Ports.free(2),
            replicas=2,
            service_environment=_settings(port, calls_per_second, deadline_seconds),
            tell=print,
        ) as stack:
            north_url = await _carrier(stack, home / "data" / "north", port)
            producer = Producer(stack.kafka_bootstrap, "outage", "outage")
            await producer.start()
            try:
                async with Watch(stack.kafka_bootstrap) as watch:
                    story = Story(
                        stack,
                        producer,
                        watch,
                        north_url,
                        stuck=[Subscriber(number, NORTH) for number in range(renewals)],
                        elsewhere=[Subscriber(renewals + number, SOUTH) for number in range(ELSEWHERE)],
                        people_every=PEOPLE_EVERY,
                    )
                    await story.seed()
                    told = await story.run(seconds, behaviour, elsewhere_per_second)
                return await figures(stack, north_url, told, calls_per_second, deadline_seconds)
            finally:
                await producer.stop()
    finally:
        shutil.rmtree(home / "data", ignore_errors=True)


def show(result: dict[str, Any]) -> None:
    """Print the figures."""
    table = Table("what", "figure", title="One carrier's outage")
    for name, value in result.items():
        table.add_row(name.replace("_", " "), f"{value:,.1f}" if isinstance(value, float) else f"{value:,}")
    Console().print(table)


def main(
    renewals: Annotated[int, typer.Option(help="waiting behind the outage")] = 10_000,
    rate: Annotated[int, typer.Option(help="calls a second that the carrier allows")] = 200,
    seconds: Annotated[float, typer.Option(help="how long it is out of order, at least")] = 120.0,
    behaviour: Annotated[
        str, typer.Option(help="server_error, timeout_before, timeout_after")
    ] = "server_error",
    elsewhere: Annotated[float, typer.Option(help="renewals a second of the other carrier meanwhile")] = 20.0,
    deadline: Annotated[float, typer.Option(help="seconds after which a renewal is given up")] = 3_600.0,
) -> None:
    """Run it, print the figures, write .recarga/outage.json; exit status 1 where a promise was broken."""
    result = asyncio.run(outage(renewals, rate, seconds, behaviour, elsewhere, deadline))
    path = Home.at(None).path / "outage.json"
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    show(result)
    if not is_as_promised(result):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
