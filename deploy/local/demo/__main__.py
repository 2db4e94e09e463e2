"""`make demo`: python -m deploy.local.demo. Exit code 0 only if the story happened and the books balance."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from deploy.local import launcher
from deploy.local.__main__ import errors_in_one_line
from deploy.local.artifacts import fetch_kafka
from deploy.local.console import DownloadBar
from deploy.local.demo.day import Day, live, plan_day, unless_a_process_dies
from deploy.local.demo.narrator import Narrator
from deploy.local.demo.promises import Evening, promises
from deploy.local.demo.report import show_evening, show_promises, show_verdict
from deploy.local.errors import AlreadyRunning, LocalStackError
from deploy.local.home import Home, default_home
from deploy.local.ports import Ports
from deploy.local.postgres_account import stand_in
from deploy.local.stack import Stack
from shared.clock import utc_now

FOLDER: Final = "demo"
INTERRUPTED: Final = 130
PLAIN_WIDTH: Final = 110


def main(
    usage: Annotated[
        Path | None, typer.Option(help="Your own usage records, in the form of docs/usage-csv.md.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Where its data and logs lie while it runs (.recarga/demo).")
    ] = None,
) -> None:
    """Plays a day of renewals on the real stack, fresh each time, and stops everything at its end."""
    # Where nobody says how wide the screen is, rich takes 80 columns: too few for the tables.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    narrator = Narrator(console)
    place = Home.at(home or default_home() / FOLDER)
    with errors_in_one_line():
        _use_own_postgres(narrator)
        _start_afresh(place, narrator)
        day = plan_day(usage, place.path, utc_now())
        _introduce(day, narrator)
        try:
            evening = asyncio.run(_run(place, day, narrator))
        except asyncio.CancelledError:
            console.print("Interrupted: everything is stopped.")
            raise typer.Exit(INTERRUPTED) from None
        except LocalStackError as error:
            raise LocalStackError(f"{error}\nThe log of every process is in {place.logs}.") from error
    kept = promises(evening)
    show_promises(console, kept)
    if not show_verdict(console, kept, place.logs, narrator.seconds):
        raise typer.Exit(1)
    _forget(place)


def _use_own_postgres(narrator: Narrator) -> None:
    """The demo begins with empty tables: it must not touch a server that somebody named for the stack."""
    if os.environ.pop("DATABASE_URL", None):
        narrator.step("DATABASE_URL is left alone: the demo runs a PostgreSQL of its own.")


def _start_afresh(place: Home, narrator: Narrator) -> None:
    if launcher.is_locked(place):
        raise AlreadyRunning(f"Another demo is running in {place.path}: wait for its end.")
    launcher.clean(place, narrator.note)
    place.prepare()


def _forget(place: Home) -> None:
    """Removes the data; logs and the usage file stay, to be looked at."""
    for folder in (stand_in(place.stored), place.stored, place.secrets):
        shutil.rmtree(folder, ignore_errors=True)


def _introduce(day: Day, narrator: Narrator) -> None:
    scenes = {person.scene.name for person in day.people}
    narrator.step(
        f"A day at a carrier: {len(day.people)} subscribers in {len(scenes)} situations. Real Kafka, real "
        "PostgreSQL, a PSP and a carrier to test against, every service as a process of its own."
    )
    narrator.note(f"its usage records: {day.file}")
    if day.contents.bad_lines:
        narrator.note(f"{day.contents.bad_lines} lines of it are no usage records and are left out:")
        for bad in day.contents.bad:
            narrator.note(f"  line {bad.line}: {bad.why}")
    if day.own_file:
        narrator.note(f"its {len(day.contents.use)} ICCIDs get a subscriber each, with a rule and a card")


async def _run(place: Home, day: Day, narrator: Narrator) -> Evening:
    bar = DownloadBar()
    try:
        await asyncio.to_thread(fetch_kafka, place.path, bar)
    finally:
        bar.close()
    narrator.step("Starting everything:")
    async with Stack(place.path, ports=Ports.free(), tell=narrator.note) as stack:
        evening = await unless_a_process_dies(stack, live(stack, day, narrator))
        show_evening(narrator.console, evening)
        narrator.step("Stopping everything.")
    return evening


if __name__ == "__main__":
    typer.run(main)
