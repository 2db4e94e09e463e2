"""`make crash-usage RECORDS=1000000 KILLS=5`: count a raw file while processes of usage are killed; compare.

Everything runs with two processes of every service, in a folder and on ports of its own. Exit status 1 where
a bucket does not hold what the file says, or a cycle has more than one automatic renewal per dunning try.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.console import console
from deploy.local.errors import LocalStackError
from deploy.local.home import Home
from shared.observability.logging import configure_logging
from tests.acceptance.office import NotInTime
from tests.chaos.run import opened
from tests.crash_usage.run import Outcome, Plan, run

MOST_LISTED = 30
DEADLINE_SECONDS = 3_600.0
"""No renewal is given up in a run: each bucket that the file asks for is bought."""


def main(
    records: Annotated[int, typer.Option(min=2_000, help="lines of the raw file")] = 1_000_000,
    kills: Annotated[int, typer.Option(min=0, help="SIGKILLs while it is counted")] = 5,
    seed: Annotated[int, typer.Option(help="draws the file and the kills")] = 7,
) -> None:
    """Kill processes that count usage; every bucket must hold what the file says, to the byte."""
    home = Home.at(None).path / "crash-usage"
    shutil.rmtree(home, ignore_errors=True)
    log = Home.at(home).log_of("crash-usage")
    log.parent.mkdir(parents=True)
    configure_logging("crash-usage", "crash-usage", output=log.open("ab"))
    plan = Plan(records, kills, seed, seconds=max(240.0, records / 1_000))
    try:
        outcome = asyncio.run(_run(home, plan))
    except (LocalStackError, NotInTime) as error:
        _say(f"The run broke off: {error}. Its data and logs are in {home}.")
        raise typer.Exit(1) from None
    _report(outcome)
    if outcome.broken:
        _say(f"Its data and logs are in {home}.")
        raise typer.Exit(1)


async def _run(home: Path, plan: Plan) -> Outcome:
    async with opened(home, _say, deadline_seconds=DEADLINE_SECONDS) as office:
        return await run(office, home, plan, _say)


def _report(outcome: Outcome) -> None:
    _say(
        f"\n{outcome.lines:,} lines, {outcome.records:,} records, counted in "
        f"{outcome.counted_seconds:.1f} s, {outcome.over_http:,} over HTTP ({outcome.sent_again:,} again), "
        f"with {len(outcome.kills)} SIGKILLs; {outcome.renewals:,} automatic renewals."
    )
    if not outcome.broken:
        _say("Every bucket holds what the file says, to the byte; no cycle was renewed twice; books agree.")
        return
    _say(f"{len(outcome.broken)} things are not as the file says:")
    for line in outcome.broken[:MOST_LISTED]:
        _say(f"  {line}")


def _say(text: str) -> None:
    console.print(text, soft_wrap=True, markup=False)


if __name__ == "__main__":
    typer.run(main)
