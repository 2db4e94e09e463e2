"""What is kept of polls: functions over queries.sql, no decisions."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from services.usage.polls.gateways.carrier import OTHERS
from shared.contracts.subscriptions import SubscriptionChanged
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__)
_COUNTED_AT_MOST: Final = 10_000
"""Of each carrier; so many are late to the alert PollsLate, which names the number."""


class Poll(NamedTuple):
    """A subscription whose carrier is asked what is left."""

    subscription_id: str
    carrier: str
    iccid: str


async def project(connection: Connection, states: Collection[SubscriptionChanged]) -> None:
    """Each subscription once: its newest state."""
    rows = [
        (each.subscription_id, each.carrier, each.iccid, each.changed_at, each.status != "terminated")
        for each in states
    ]
    await connection.execute(SQL["project_polls"], *columns(rows, 5))


async def claim(
    connection: Connection, wanted: Mapping[str, int], named: Sequence[str], lease_seconds: float
) -> list[Poll]:
    """For each lane about so many that are due; `named` are the carriers with a lane of their own."""
    rows = await connection.fetch(
        SQL["claim_polls"], list(wanted), list(wanted.values()), list(named), lease_seconds
    )
    return [Poll(*row) for row in rows]


async def read_iccids(connection: Connection, subscription_ids: Collection[str]) -> dict[str, str]:
    """By subscription_id, the eSIM that is asked for; nobody who is not polled any more."""
    rows = await connection.fetch(SQL["polled_iccids"], list(subscription_ids))
    return {row["subscription_id"]: row["iccid"] for row in rows}


async def put_off(connection: Connection, asked: Mapping[str, bool]) -> None:
    """By subscription_id: whether it was asked, so that it is asked again only after poll_seconds."""
    await connection.execute(SQL["put_off_polls"], *columns(sorted(asked.items()), 2))


async def count_due(connection: Connection, named: Collection[str]) -> Mapping[str, int]:
    """How many wait for each lane."""
    numbers: Counter[str] = Counter()
    for row in await connection.fetch(SQL["count_due_polls"], _COUNTED_AT_MOST):
        numbers[row["carrier"] if row["carrier"] in named else OTHERS] += row["number"]
    return numbers
