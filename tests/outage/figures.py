"""What came of an outage: counted in our tables, and in the carrier's journal, which knows nothing of us."""

import asyncio
import statistics
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.request import urlopen

import asyncpg
import orjson

from deploy.local.books import compare, read_books, wait_until_quiet
from deploy.local.books.journals import read_carrier
from deploy.local.books.reading import Sources
from deploy.local.stack import Stack
from tests.outage.story import Told
from tests.rates import busiest_second

QUIET_SECONDS = 120.0
PAGE_SECONDS = 60.0

_ENDINGS = """
select
    count(*) filter (where state = 'completed') as completed,
    count(*) filter (where state = 'refunded') as refunded,
    count(*) filter (where state = 'parked') as parked,
    count(*) filter (where state in ('failed', 'cancelled')) as unpaid,
    coalesce(sum(spent), 0)::bigint as spent,
    max(top_up_attempt) as attempts,
    count(*) filter (where delayed) as told_that_it_takes_longer
from renewal.renewals
where subscription_id = any($1)
"""


async def figures(
    stack: Stack, north_url: str, told: Told, calls_per_second: int, deadline_seconds: float
) -> dict[str, Any]:
    """Every figure by its name; seconds and counts."""
    sources = Sources(stack.superuser_url, stack.psp_url, stack.carrier_url)
    await wait_until_quiet(sources.database_url, QUIET_SECONDS)
    books = await read_books(sources)
    books.carrier = [*books.carrier, *await asyncio.to_thread(read_carrier, north_url)]
    comparison = compare(books)
    for discrepancy in comparison.discrepancies[:20]:
        print(discrepancy)
    endings, by_people = await _endings(stack, told)
    requests, effects = await asyncio.to_thread(_journal, north_url)
    meanwhile = [at for at in requests if told.broke_at <= at < told.well_at]
    applied_at = [effects[renewal_id] for renewal_id in by_people if renewal_id in effects]
    elsewhere = statistics.quantiles(told.elsewhere_seconds, n=100, method="inclusive")
    return {
        "renewals": len(told.stuck),
        "deadline_seconds": deadline_seconds,
        "outage_seconds": told.well_at - told.broke_at,
        "most_waiting_in_the_queue": told.most_waiting,
        "calls_to_it_meanwhile": len(meanwhile),
        "seconds_until_all_had_ended": told.ended_at - told.well_at,
        "seconds_until_the_last_person_had": max(applied_at, default=told.well_at) - told.well_at,
        "calls_per_second_allowed": calls_per_second,
        "calls_in_its_busiest_second": busiest_second(requests),
        **endings,
        "renewals_elsewhere": len(told.elsewhere_seconds),
        "p50_seconds_elsewhere": elsewhere[49],
        "p99_seconds_elsewhere": elsewhere[98],
        "books_balance": comparison.is_balanced,
    }


def is_as_promised(result: dict[str, Any]) -> bool:
    """All ended, at the carrier's rate at most, nothing spent, nobody parked, and the books agree.

    Where the outage is over before the first deadline all are completed; where it outlasts deadlines, some
    are refunded.
    """
    was_too_long = result["outage_seconds"] > result["deadline_seconds"]
    return bool(
        result["completed"] + result["refunded"] == result["renewals"]
        and (result["refunded"] > 0) == was_too_long
        and result["parked"] == 0
        and result["spent"] == 0
        and result["calls_in_its_busiest_second"] <= result["calls_per_second_allowed"]
        and result["books_balance"]
    )


async def _endings(stack: Stack, told: Told) -> tuple[dict[str, int], list[str]]:
    """How the renewals ended; and the ids of those that people had asked for."""
    connection = await asyncpg.connect(stack.superuser_url, timeout=10)
    try:
        endings = dict(await connection.fetchrow(_ENDINGS, list(told.stuck)) or {})
        people = await connection.fetch(
            "select renewal_id from renewal.renewals where subscription_id = any($1)", list(told.people)
        )
    finally:
        await connection.close()
    return endings, [str(row[0]) for row in people]


def _journal(url: str) -> tuple[list[float], dict[str, float]]:
    """When each request came, and when each renewal was applied (Unix seconds). Blocking."""
    requests = [_instant(row) for row in _rows(url, "request") if "topup" in row["operation"]]
    effects = {row["reference"]: _instant(row) for row in _rows(url, "effect") if row["effect"] == "applied"}
    return requests, effects


def _instant(row: dict[str, Any]) -> float:
    return datetime.fromisoformat(row["at"]).timestamp()


def _rows(url: str, kind: str) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        address = f"{url}/journal?kind={kind}&after={after}"
        with urlopen(address, timeout=PAGE_SECONDS) as answer:  # noqa: S310 - our own sandbox's address
            page = orjson.loads(answer.read())
        yield from page["rows"]
        if not page["more"]:
            return
        after = page["next_after"]
