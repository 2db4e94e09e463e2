"""Functions over queries.sql: settings and lists in, cohorts out. No decisions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from services.renewal.cut_over.domain.cohort import Cohort, Share
from services.renewal.domain.asking import Trigger
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__)


async def read_cohorts(connection: Connection, triggers: Sequence[Trigger]) -> list[Cohort]:
    """What is known of the subscription of each trigger, in their order."""
    asked = [(one.subscription_id, one.cycle, one.kind, one.dunning_try) for one in triggers]
    rows = await connection.fetch(SQL["read_cohorts"], *columns(asked, 4))
    # One setting holds for them all: it is read once.
    shares = shares_of(rows[0]["shares"]) if rows else []
    return [Cohort(row["percent"], shares, row["listed"], row["was_shadow"]) for row in rows]


def shares_of(text: str) -> list[Share]:
    return [Share(**share) for share in orjson.loads(text)]


class Setting(NamedTuple):
    """One version of the cut-over. `live` and `shadow` count the subscriptions that were named."""

    version: int
    percent: int
    shares: list[Share]
    live: int
    shadow: int
    why: str
    set_by: str
    set_at: datetime


async def read(connection: Connection) -> Setting | None:
    """The setting in force; None: nobody ever set anything."""
    row = await connection.fetchrow(SQL["read_cut_over"])
    return None if row is None else _setting(row)


async def list_settings(connection: Connection, before: int | None, limit: int) -> list[Setting]:
    """Newest first, of versions lower than `before`."""
    return [_setting(row) for row in await connection.fetch(SQL["list_cut_overs"], before, limit)]


def _setting(row: Any) -> Setting:
    return Setting(*row.values())._replace(shares=shares_of(row["shares"]))


async def insert(connection: Connection, setting: Setting) -> bool:
    """Whether it got its version: somebody else may have set that meanwhile."""
    version, percent, shares, *others = setting
    text = orjson.dumps([share._asdict() for share in shares]).decode()
    return await connection.fetchval(SQL["insert_cut_over"], version, percent, text, *others) is not None


async def read_list(connection: Connection, *, live: bool) -> list[str]:
    """The subscriptions that are live, or in shadow, because they are named."""
    return [row[0] for row in await connection.fetch(SQL["read_cut_over_list"], live)]


async def read_listed(connection: Connection, subscription_id: str) -> bool | None:
    """Whether it is named as live or as shadow; None: by no list."""
    found: bool | None = await connection.fetchval(SQL["read_listed"], subscription_id)
    return found


async def replace_lists(connection: Connection, live: Collection[str], shadow: Collection[str]) -> None:
    """From now on these are named, and no others."""
    rows = sorted([(name, True) for name in live] + [(name, False) for name in shadow])
    await connection.execute(SQL["replace_cut_over_lists"], *columns(rows, 2))


async def read_whereabouts(connection: Connection, subscription_id: str) -> tuple[str, str] | None:
    """Brand and carrier; None: nobody has told us of the subscription."""
    row = await connection.fetchrow(SQL["read_whereabouts"], subscription_id)
    return None if row is None else (row["brand"], row["carrier"])
