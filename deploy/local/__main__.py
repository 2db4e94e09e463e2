"""The commands of the local stack: python -m deploy.local --help."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from deploy.local import launcher
from deploy.local.addresses import COMPONENTS
from deploy.local.artifacts import fetch_kafka
from deploy.local.console import DownloadBar, address_lines, console, show_error
from deploy.local.errors import LocalStackError
from deploy.local.home import Home
from deploy.local.ports import Ports
from deploy.local.postgres import kept_secret
from deploy.local.stack import Stack
from shared.clock import utc_now
from shared.operators.tokens import Role, sign

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Where data and logs lie (RECARGA_HOME, or .recarga).")
]
OffsetOption = Annotated[
    int | None,
    typer.Option(help="Moves every port by so much (RECARGA_PORT_OFFSET); RECARGA_*_PORT moves one."),
]
ReplicasOption = Annotated[int, typer.Option(min=1, max=9, help="Processes of each service.")]
OnlyOption = Annotated[
    str, typer.Option(help=f"Which of {', '.join(sorted(COMPONENTS))} to start, with commas between.")
]
ALL = ",".join(sorted(COMPONENTS))
NOT_RUNNING = 3


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """What the user can mend is told without a traceback."""
    try:
        yield
    except LocalStackError as error:
        show_error(error)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("Stopped.")
        raise typer.Exit(130) from None


@app.command()
def up(
    home: HomeOption = None,
    port_offset: OffsetOption = None,
    replicas: ReplicasOption = 1,
    only: OnlyOption = ALL,
) -> None:
    """Starts the stack and leaves it running; says so when it is up already."""
    place = Home.at(home)
    with errors_in_one_line():
        record = launcher.running(place)
        if record is not None:
            console.print("The stack is already up.")
        else:
            _download(place)
            options = ["--replicas", str(replicas), "--only", only]
            options += ["--port-offset", str(port_offset)] if port_offset is not None else []
            record = launcher.up(place, options, lambda text: console.print(f"  {text}", soft_wrap=True))
            console.print("The stack is up.")
    console.print(address_lines(record.processes), soft_wrap=True)
    console.print(f"Logs: {place.logs}. Stop it with: make down")


@app.command()
def down(home: HomeOption = None) -> None:
    """Stops the stack; data survives."""
    place = Home.at(home)
    with errors_in_one_line():
        stopped = launcher.down(place, console.print)
    console.print(f"Stopped. Data stays in {place.path}." if stopped else "The stack was not running.")


@app.command()
def clean(home: HomeOption = None) -> None:
    """Stops the stack and removes its data, logs and passwords."""
    place = Home.at(home)
    with errors_in_one_line():
        launcher.clean(place, console.print)
    console.print(f"Removed the data in {place.path}.")


@app.command()
def status(home: HomeOption = None) -> None:
    """Tells what runs; exit code 3 when nothing does, 1 when a process has ended."""
    place = Home.at(home)
    with errors_in_one_line():
        record = launcher.running(place)
    if record is None:
        console.print("The stack is not running.")
        raise typer.Exit(NOT_RUNNING)
    console.print(address_lines(record.processes), soft_wrap=True)
    if not all(process.identity.alive() for process in record.processes):
        console.print(f"A process has ended: see its log in {place.logs}, then `make down` and `make up`.")
        raise typer.Exit(1)


@app.command()
def fetch(home: HomeOption = None) -> None:
    """Downloads and verifies Kafka, and starts nothing."""
    with errors_in_one_line():
        _download(Home.at(home))
    console.print("Kafka is here and matches the lock.")


@app.command()
def run(
    home: HomeOption = None,
    port_offset: OffsetOption = None,
    replicas: ReplicasOption = 1,
    only: OnlyOption = ALL,
    report: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Runs the stack in the foreground until Ctrl-C."""
    components = {name for name in only.split(",") if name}

    def stack(tell: launcher.Tell) -> Stack:
        ports = Ports.configured(offset=port_offset)
        return Stack(home, ports=ports, components=components, replicas=replicas, tell=tell)

    with errors_in_one_line():
        if report is None:
            _download(Home.at(home))
        try:
            asyncio.run(launcher.run(stack, report))
        except asyncio.CancelledError:
            sys.exit(0)  # a signal asked us to stop, and everything is stopped


@app.command()
def operator_token(
    name: Annotated[str, typer.Argument(help="Who it is for: small letters, digits and ._-")],
    role: Annotated[Role, typer.Option(help="What it is good for: a viewer only looks.")] = "operator",
    hours: Annotated[float, typer.Option(min=0.01, max=168, help="How long it is good for.")] = 12,
    home: HomeOption = None,
) -> None:
    """Prints a token that names an operator of this stack; RECARGA_OPERATOR_TOKEN takes it to the CLI."""
    place = Home.at(home)
    place.prepare()
    secret = SecretStr(kept_secret(place.operator_secret_file))
    with errors_in_one_line():
        try:
            token = sign(secret, name, role, utc_now(), timedelta(hours=hours))
        except ValueError as error:
            raise LocalStackError(str(error)) from None
    typer.echo(token)


def _download(home: Home) -> None:
    """Before anything starts, so that the bar is the command's own."""
    bar = DownloadBar()
    try:
        fetch_kafka(home.path, bar)
    finally:
        bar.close()


if __name__ == "__main__":
    app()
