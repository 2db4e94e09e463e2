"""What must hold once all is quiet, whatever was done meanwhile. Each promise is a function; each sentence it
yields is a broken one.

The books are compared by deploy/local/books; what follows here looks for everything that was said to us and
that we said: acknowledged requests, records in Kafka, usage, and who died.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.books.comparison import Comparison
from deploy.local.ports import SERVICES
from shared.contracts.topics import DEAD_LETTERS_SUFFIX, TOPICS
from shared.database import Pool
from tests.acceptance.subscribers import CALLER
from tests.chaos.chaos_stack import ChaosStack
from tests.chaos.schedule import Schedule
from tests.chaos.story import Story
from tests.chaos.traffic import Traffic

CLOSED: Final = frozenset({"completed", "refunded", "failed", "cancelled"})
NEEDS_A_HUMAN: Final[dict[tuple[str, str], str]] = {
    ("refund_rejected", "charge_disputed"): "the bank has the money and decides whose it is: ask there",
}
"""Why a renewal may be parked, by reason and detail: DESIGN's "refunding | RefundRejected | parked".

All else is a fault of ours: no refund fails for 24 hours here, one whose outcome is unknown becomes known
when the PSP answers again, and a carrier that can be asked and can call off leaves no top-up undetermined."""
LEAST_COMPLETED_SHARE: Final = 0.3
MOST_LISTED: Final = 20
KAFKA_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict looks at."""

    stack: ChaosStack
    database: Pool
    schedule: Schedule
    story: Story
    traffic: Traffic
    comparison: Comparison
    unrest: Sequence[str]
    """What was still under way when waiting ended."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken` is empty where every promise held. `parked` says who waits for a person, and why."""

    broken: Sequence[str]
    parked: Sequence[str]
    endings: Counter[str]


async def verdict(evidence: Evidence) -> Verdict:
    """Every promise, in the order in which a reader would ask."""
    broken = [*evidence.unrest, *_books(evidence.comparison)]
    broken += evidence.traffic.customers.problems
    broken += [line async for line in _acknowledged(evidence.database, evidence.traffic)]
    broken += [line async for line in _requests(evidence.database, evidence.traffic)]
    broken += [line async for line in _usage(evidence.database, evidence.traffic)]
    parked = [line async for line in _parked(evidence.database, evidence.traffic)]
    broken += [line.text for line in parked if not line.needs_a_human]
    broken += [line async for line in _alarms(evidence.database)]
    broken += [line async for line in _set_aside(evidence.database)]
    broken += [line async for line in _dead_letters(evidence.stack.kafka_bootstrap)]
    broken += _deaths(evidence)
    broken += never_struck(evidence.schedule, evidence.story)
    broken += _life(evidence.comparison)
    return Verdict(broken, [line.text for line in parked], evidence.comparison.outcomes)


def _books(comparison: Comparison) -> Iterator[str]:
    """Renewal, payment, ledger and provisioning against the journals of PSP and carrier, row by row."""
    for one in comparison.discrepancies:
        about = f"renewal {one.renewal_id}: " if one.renewal_id else ""
        says = "".join(f"\n    {book} says: {text}" for book, text in one.says)
        yield f"{about}{one.sentence} [{one.kind}]{says}"


async def _acknowledged(database: Pool, traffic: Traffic) -> AsyncIterator[str]:
    """Every request acknowledged over HTTP has ended."""
    wanted = {renewal_id: key for key, renewal_id in traffic.customers.acknowledged.items()}
    rows = await database.fetch(
        "select renewal_id::text, state from renewal.renewals where renewal_id = any($1::uuid[])",
        list(wanted),
    )
    states = {row["renewal_id"]: row["state"] for row in rows}
    for renewal_id, key in wanted.items():
        state = states.get(renewal_id)
        if state is None:
            yield f"renewal {renewal_id} ({key}) was acknowledged over HTTP and is lost"
        elif state not in CLOSED and state != "parked":
            yield f"renewal {renewal_id} ({key}) was acknowledged over HTTP and is still {state}"


async def _requests(database: Pool, traffic: Traffic) -> AsyncIterator[str]:
    """Every record of renewal-requests that Kafka took became one renewal, or was refused."""
    rows = await database.fetch(
        "select request_id, state from renewal.renewals where caller = $1"
        " union all select request_id, 'refused' from renewal.refusals where caller = $1",
        CALLER,
    )
    answers: dict[str, list[str]] = {}
    for row in rows:
        answers.setdefault(row["request_id"], []).append(row["state"])
    for request_id in traffic.on_kafka:
        match answers.get(request_id, []):
            case []:
                yield f"the request {request_id} lies in Kafka and was never answered"
            case [state] if state in CLOSED or state in ("parked", "refused"):
                pass
            case others:
                yield f"the request {request_id} became {', '.join(others)}"


async def _usage(database: Pool, traffic: Traffic) -> AsyncIterator[str]:
    """Every record of usage counted once."""
    rows = await database.fetch(
        "select subscription_id, used_bytes from usage.balances where subscription_id = any($1::text[])",
        list(traffic.used_bytes),
    )
    counted = {row["subscription_id"]: row["used_bytes"] for row in rows}
    for subscription_id, used in traffic.used_bytes.items():
        if counted.get(subscription_id) != used:
            yield f"{subscription_id} used {used} bytes, {counted.get(subscription_id)} were counted"


class Parked(NamedTuple):
    """One that waits for a person, and whether that is right."""

    text: str
    needs_a_human: bool


async def _parked(database: Pool, traffic: Traffic) -> AsyncIterator[Parked]:
    """Who waits for a person, why, and how that person's card and carrier behave."""
    rows = await database.fetch(
        "select r.renewal_id, r.subscription_id, r.parked_from, r.parked_reason, h.detail"
        " from renewal.renewals as r left join renewal.renewal_history as h"
        " on h.renewal_id = r.renewal_id and h.to_state = 'parked' and h.reason = r.parked_reason"
        " where r.state = 'parked' order by r.requested_at"
    )
    traits = {one.subscription_id: (one.cards, one.carrier_code) for one in traffic.subscribers}
    for row in rows:
        reason, detail = row["parked_reason"], row["detail"]
        why = NEEDS_A_HUMAN.get((reason, detail))
        cards, code = traits.get(row["subscription_id"], ((), ""))
        yield Parked(
            f"{row['renewal_id']} is parked from {row['parked_from']}: {reason} ({detail}), "
            f"{why or 'for which no person should be needed'} (cards {', '.join(cards)}; carrier {code})",
            why is not None,
        )


async def _alarms(database: Pool) -> AsyncIterator[str]:
    """The saga itself saw two authorities contradict each other."""
    rows = await database.fetch(
        "select renewal_id, detail from renewal.renewal_history where reason = 'promise_broken'"
    )
    for row in rows:
        yield f"renewal {row['renewal_id']} raised an alarm: {row['detail']}"


async def _set_aside(database: Pool) -> AsyncIterator[str]:
    """No record broke its transaction: nothing we said was unreadable or absurd."""
    for service in SERVICES:
        rows = await database.fetch(f"select consumer, topic, type, reason from {service}.set_aside")  # noqa: S608 - names of ours
        for row in rows:
            yield f"{service}.{row['consumer']} set a {row['type']} of {row['topic']} aside: {row['reason']}"


async def _dead_letters(bootstrap: str) -> AsyncIterator[str]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    async with asyncio.timeout(KAFKA_SECONDS):
        await consumer.start()
        try:
            for topic in TOPICS:
                if topic.name.endswith(DEAD_LETTERS_SUFFIX):
                    places = [TopicPartition(topic.name, number) for number in range(4)]
                    letters = sum((await consumer.end_offsets(places)).values())
                    if letters:
                        yield f"{letters} dead letters lie in {topic.name}"
        finally:
            await consumer.stop()


def _deaths(evidence: Evidence) -> Iterator[str]:
    """Nobody died without being told to."""
    for notice in evidence.stack.deaths:
        instance = notice.partition(" ")[0]
        as_ordered = "was killed by signal 9" in notice and evidence.story.deaths_of(instance)
        if not as_ordered:
            yield notice


def never_struck(schedule: Schedule, story: Story) -> Iterator[str]:
    """What was planned and met nobody proves nothing."""
    yield from story.misses
    for kind in sorted(schedule.kinds):
        if not story.times(kind):
            yield f"it was planned and never struck: {kind}"


def _life(comparison: Comparison) -> Iterator[str]:
    """That nothing is wrong because nothing happened does not count."""
    completed = comparison.outcomes["completed"]
    if completed < comparison.renewals * LEAST_COMPLETED_SHARE or not comparison.renewals:
        yield f"only {completed} of {comparison.renewals} renewals were completed"
    for what, number in (
        ("captured", comparison.captures),
        ("refunded", comparison.refunds),
        ("topped up", comparison.top_ups),
    ):
        if not number:
            yield f"nothing was {what}"
