"""One run: seed, load and strike, mend, wait until quiet, judge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from deploy.local.books import Comparison, compare, read_books, wait_until_quiet
from deploy.local.books.quiet import NotQuiet
from deploy.local.books.reading import Sources
from deploy.local.ports import Ports
from shared.messaging.producer import Producer
from tests.acceptance.office import NotInTime, Office
from tests.chaos.changes import Changes
from tests.chaos.chaos_stack import IMPATIENT, ChaosStack
from tests.chaos.customers import Customers
from tests.chaos.schedule import REPLICAS, Schedule
from tests.chaos.story import Story, Tell, first_sentence
from tests.chaos.strikes import Strikes
from tests.chaos.traces import traces
from tests.chaos.traffic import Traffic
from tests.chaos.verdict import Evidence, Verdict, verdict

DEADLINE_SECONDS: Final = 45.0
ANSWERED_SECONDS: Final = 120.0
QUIET_SECONDS: Final = 240.0
"""From the last fault on: a deadline (45 s), both resolutions of a payment (40 s), an outbox whose poller
died, too (30 s), one more question about a refund (60 s), and back-offs, one after another.

Shorter than the time that a late capture has (`late_capture_seconds`, five minutes): one that nothing but
that deadline would have ended is stuck, and is found so. A test holds both ends."""


@asynccontextmanager
async def opened(
    home: Path,
    tell: Tell,
    postgres_settings: Mapping[str, str] | None = None,
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    on_signals: bool = True,
) -> AsyncIterator[Office]:
    """A stack of its own with two processes of every service, and an office at it.

    After `deadline_seconds` a renewal is given up, whoever asked for it.
    """
    deadlines = {
        "RECARGA_RENEWAL_MANUAL_DEADLINE_SECONDS": str(deadline_seconds),
        "RECARGA_RENEWAL_AUTOMATIC_DEADLINE_SECONDS": str(deadline_seconds),
    }
    async with ChaosStack(
        home,
        ports=Ports.free(REPLICAS),
        replicas=REPLICAS,
        postgres_settings=postgres_settings,
        service_environment={**IMPATIENT, **deadlines},
        tell=lambda text: tell(first_sentence(text)),
        on_signals=on_signals,
    ) as stack:
        producer = Producer(stack.kafka_bootstrap, "chaos", "chaos")
        await producer.start()
        database = await asyncpg.create_pool(
            stack.superuser_url, min_size=1, max_size=4, max_inactive_connection_lifetime=5
        )
        try:
            office = Office(stack, producer, database)
            await office.sell()
            yield office
        finally:
            await database.close()
            await producer.stop()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run leaves behind."""

    schedule: Schedule
    story: Story
    changes: Changes
    comparison: Comparison
    verdict: Verdict
    traces: Sequence[str]
    """The ways of the first renewals with which something is wrong, step by step."""


@dataclass(frozen=True, slots=True)
class Load:
    """How many subscribers take turns, and how many renewals are asked for a second."""

    subscribers: int
    per_second: float


async def run(office: Office, schedule: Schedule, load: Load, tell: Tell) -> Outcome:
    """One run at a running stack, from the seeding to the verdict."""
    stack = office.stack
    if not isinstance(stack, ChaosStack):
        raise TypeError("chaos needs a stack that follows orders")
    async with Customers.calling(office) as customers:
        traffic = await Traffic.seeded(office, customers, load.subscribers, schedule.seed)
        story = Story(tell)
        strikes = Strikes(stack, story)
        stopping = asyncio.Event()
        flowing = asyncio.create_task(traffic.flow(load.per_second, schedule.seed, stopping))
        try:
            await strikes.carry_out(schedule)
            story.say("the faults are over")
            stopping.set()
            await flowing
        finally:
            await strikes.end_all()
            flowing.cancel()
            await asyncio.gather(flowing, return_exceptions=True)
    story.say(f"{traffic.asked} renewals were asked for; waiting until all is quiet")
    unrest = await rest(office, traffic)
    story.say("; ".join(unrest) or "all is quiet")
    sources = Sources(stack.superuser_url, stack.psp_url, stack.carrier_url)
    comparison = compare(await read_books(sources))
    suspects = [one.renewal_id for one in comparison.discrepancies if one.renewal_id]
    evidence = Evidence(stack, office.database, schedule, story, traffic, comparison, unrest)
    return Outcome(
        schedule,
        story,
        await Changes.read(office.database, stack.home.logs),
        comparison,
        await verdict(evidence),
        [line async for line in traces(office.database, suspects)],
    )


async def rest(office: Office, traffic: Traffic) -> list[str]:
    """Waits until nothing is under way; what still is, when that takes too long."""
    try:
        await _until_answered(office, traffic)
        await wait_until_quiet(office.stack.superuser_url, QUIET_SECONDS)
    except (NotInTime, NotQuiet) as error:
        return [str(error)]
    return []


async def _until_answered(office: Office, traffic: Traffic) -> None:
    """What lies in Kafka unread is not seen by whoever asks whether all is quiet."""

    async def requests_known() -> bool:
        known = await office.database.fetchval(
            "select count(*) from (select request_id from renewal.renewals"
            " where request_id = any($1::text[])"
            " union select request_id from renewal.refusals where request_id = any($1::text[])) as known",
            traffic.on_kafka,
        )
        return bool(known == len(set(traffic.on_kafka)))

    async def usage_counted() -> bool:
        counted = await office.database.fetchval(
            "select coalesce(sum(used_bytes), 0) from usage.balances where subscription_id = any($1::text[])",
            list(traffic.used_bytes),
        )
        return bool(counted >= traffic.used_bytes.total())

    await office.until(requests_known, "every request in Kafka was answered", ANSWERED_SECONDS)
    await office.until(usage_counted, "every record of usage was counted", ANSWERED_SECONDS)
