"""The day itself: seed, replay the usage, let people ask, wait until all is quiet, look at the books."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg

from deploy.local.books import compare, read_books, underway
from deploy.local.books.reading import Sources
from deploy.local.demo import facts
from deploy.local.demo.api import Api, until
from deploy.local.demo.by_hand import Handmade, ask_for_all
from deploy.local.demo.facts import Connection
from deploy.local.demo.narrator import Narrator
from deploy.local.demo.progress import DayView
from deploy.local.demo.promises import Evening
from deploy.local.demo.seeding import seed
from deploy.local.demo.story import Subscriber, by_hand, cast, subscribers_of
from deploy.local.demo.usage_day import day_rows, write_day
from deploy.local.demo.usage_file import Contents, Replay, replay, survey
from deploy.local.errors import LocalStackError
from deploy.local.stack import Stack
from shared.clock import utc_now

REPLAY_SECONDS: Final = 8.0
QUIET_SECONDS: Final = 120.0
SECONDS_PER_ICCID: Final = 0.02
"""A carrier's own file may have many: so much longer is waited for each."""
LOOK_SECONDS: Final = 0.25
CONNECT_SECONDS: Final = 10.0
Result = TypeVar("Result")


class Day(NamedTuple):
    """What will be played: the file, what is in it, and who."""

    file: Path
    contents: Contents
    people: Sequence[Subscriber]
    own_file: bool

    @property
    def patience_seconds(self) -> float:
        return QUIET_SECONDS + SECONDS_PER_ICCID * len(self.contents.use)


def plan_day(own_file: Path | None, folder: Path, now: datetime) -> Day:
    """The story's own day, written to `folder`, or a carrier's file. Raises LocalStackError. Blocking."""
    if own_file is None:
        people = cast()
        midnight = (now - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        file = folder / "usage.csv"
        write_day(day_rows(people, midnight), file)
        return Day(file, survey(file), people, own_file=False)
    contents = survey(own_file)
    people = cast(by_hand())
    ours = {person.iccid for person in people}
    theirs = {iccid: use for iccid, use in contents.use.items() if iccid not in ours}
    return Day(own_file, contents, [*people, *subscribers_of(theirs, len(people) + 1)], own_file=True)


async def live(stack: Stack, day: Day, narrator: Narrator) -> Evening:
    """Plays the day on a running stack. Raises LocalStackError where it cannot go on."""
    connection = await asyncpg.connect(stack.superuser_url, timeout=CONNECT_SECONDS)
    try:
        async with Api(stack.service_url, stack.services) as api:
            narrator.step("Seeding, over the services' own HTTP APIs:")
            await seed(api, stack.kafka_bootstrap, connection, day.people, utc_now(), narrator.note)
            contents = day.contents
            narrator.step(f"A day passes: {contents.lines} usage records of {len(contents.use)} eSIMs")
            handmade = Handmade()
            with DayView(narrator, contents) as view:
                await _pass(stack, day, api, connection, handmade, view)
            narrator.step("The day is over and all is quiet. Comparing the books.")
            return await _evening(stack, day, connection, handmade)
    finally:
        await connection.close()


async def _pass(
    stack: Stack, day: Day, api: Api, connection: Connection, handmade: Handmade, view: DayView
) -> None:
    """Usage flows, people ask, somebody watches; then everything comes to rest."""
    progress = Replay()
    asking = [person for person in day.people if person.scene.asks == "by hand"]
    doing = asyncio.gather(
        replay(day.file, day.contents, stack.kafka_bootstrap, REPLAY_SECONDS, progress),
        ask_for_all(api, asking, handmade),
    )
    try:
        while not doing.done():
            view.show(progress, await facts.states(connection))
            await asyncio.wait({doing}, timeout=LOOK_SECONDS)
        await doing
        await _wait_for_rest(day, connection, progress, view)
    finally:
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


async def _wait_for_rest(day: Day, connection: Connection, progress: Replay, view: DayView) -> None:
    """Until every record is counted and nothing is under way any more."""
    waits_for = ""

    async def at_rest() -> bool:
        nonlocal waits_for
        usage = await facts.usage(connection)
        left = await underway(connection)
        if usage.recorded - usage.unknown < day.contents.distinct:
            left["usage records that are not counted"] = (
                day.contents.distinct - usage.recorded + usage.unknown
            )
        waits_for = ", ".join(f"{what} ({number})" for what, number in left.items())
        view.show(progress, await facts.states(connection), waits_for)
        return not left

    await until(at_rest, day.patience_seconds, lambda: f"there are still {waits_for}")


async def _evening(stack: Stack, day: Day, connection: Connection, handmade: Handmade) -> Evening:
    sources = Sources(stack.superuser_url, stack.psp_url, stack.carrier_url)
    return Evening(
        people=day.people,
        renewals=await facts.renewals(connection),
        usage=await facts.usage(connection),
        contents=day.contents,
        handmade=handmade,
        comparison=compare(await read_books(sources)),
        set_aside=await facts.set_aside(connection),
        refusals=await facts.refusals(connection),
        own_file=day.own_file,
    )


async def unless_a_process_dies(stack: Stack, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result. Raises LocalStackError as soon as a process of the stack ends by itself."""
    working = asyncio.ensure_future(work)
    dying = asyncio.ensure_future(stack.wait_for_death())
    try:
        await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
        if dying.done() and not working.done():
            raise LocalStackError(stack.deaths[0])
        return await working
    finally:
        for task in (working, dying):
            task.cancel()
        await asyncio.gather(working, dying, return_exceptions=True)
