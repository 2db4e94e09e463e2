"""`make chaos SEED=7 MINUTES=10`: the story while it happens, what each fault changed, and the verdict.

Everything runs with the settings of `make up` but for shorter patience, two processes of every service, in a
folder and on ports of its own. Exit status 1 where a promise was broken: the seed repeats the run's schedule.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.books.tables import totals_table
from deploy.local.console import console
from deploy.local.errors import LocalStackError
from deploy.local.home import Home
from shared.observability.logging import configure_logging
from tests.acceptance.office import NotInTime
from tests.chaos.changes import told
from tests.chaos.run import Load, Outcome, opened, run
from tests.chaos.schedule import Schedule, draw
from tests.chaos.story import hits_table, strikes_table
from tests.chaos.verdict import MOST_LISTED

SUBSCRIBERS = 2_000


def main(
    seed: Annotated[int, typer.Option(help="draws the schedule and the load")] = 7,
    minutes: Annotated[float, typer.Option(min=0.2, help="how long faults happen")] = 10.0,
    per_second: Annotated[float, typer.Option(min=1, help="renewals asked for a second")] = 12.0,
) -> None:
    """Kill, stop and lie; then compare the books of renewal, payment, provisioning, PSP and carrier."""
    schedule = draw(seed, minutes * 60)
    home = Home.at(None).path / "chaos"
    shutil.rmtree(home, ignore_errors=True)
    # What our own clients meet while Kafka is away is not the story.
    log = Home.at(home).log_of("chaos")
    log.parent.mkdir(parents=True)
    configure_logging("chaos", "chaos", output=log.open("ab"))
    try:
        outcome = asyncio.run(_run(home, schedule, Load(SUBSCRIBERS, per_second)))
    except (LocalStackError, NotInTime) as error:
        _say(f"The run broke off: {error}")
        _repeat(seed, minutes, home)
        raise typer.Exit(1) from None
    _report(outcome)
    if outcome.verdict.broken:
        _repeat(seed, minutes, home)
        raise typer.Exit(1)


async def _run(home: Path, schedule: Schedule, load: Load) -> Outcome:
    faults = sum(len(lane) for lane in schedule.lanes)
    _say(f"Seed {schedule.seed}: {faults} faults in {schedule.seconds / 60:g} minutes.")
    async with opened(home, _say) as office:
        return await run(office, schedule, load, _say)


def _report(outcome: Outcome) -> None:
    _say("\nWhat each fault met, and what was out of the ordinary meanwhile:")
    for line in told(outcome.story, outcome.changes):
        _say(line)
    console.print()
    console.print(hits_table(outcome.story, outcome.schedule.crashes))
    console.print(strikes_table(outcome.story, outcome.schedule.kinds))
    comparison, found = outcome.comparison, outcome.verdict
    endings = ", ".join(f"{number} {state}" for state, number in found.endings.most_common())
    _say(
        f"\n{comparison.renewals} renewals: {endings}. {comparison.captures} captures and "
        f"{comparison.refunds} refunds at the PSP, {comparison.top_ups} top-ups at the carrier."
    )
    console.print(totals_table(comparison))
    for line in found.parked:
        _say(f"Parked: {line}")
    if not found.broken:
        _say("Every promise held: the four books tell the same, row by row.")
        return
    _say(f"{len(found.broken)} promises were broken:")
    for line in found.broken[:MOST_LISTED]:
        _say(f"  {line}")
    if len(found.broken) > MOST_LISTED:
        _say(f"  and {len(found.broken) - MOST_LISTED} more.")
    for line in outcome.traces:
        _say(line)


def _repeat(seed: int, minutes: float, home: Path) -> None:
    _say(f"Its data and logs are in {home}. To repeat it: make chaos SEED={seed} MINUTES={minutes:g}")


def _say(text: str) -> None:
    console.print(text, soft_wrap=True, markup=False)


if __name__ == "__main__":
    typer.run(main)
