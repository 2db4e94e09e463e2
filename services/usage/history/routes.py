"""Why so much is left, what was used when, what is to be expected, and what was said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, TypeAdapter

from services.usage import store
from services.usage.counting import Carriers
from services.usage.domain.burn import WINDOW_SECONDS
from services.usage.domain.forecast import forecast
from services.usage.domain.records import Bounds, first_instant
from services.usage.history.bodies import (
    ForecastAnswer,
    HistoryAnswer,
    HistoryLine,
    NextTrigger,
    TriggerAnswer,
    UsedAnswer,
    UsedByAnswer,
)
from services.usage.routes import subscription_not_found
from shared.clock import utc_now
from shared.contracts.fields import Id, Instant
from shared.database import Connection
from shared.database.queries import load_queries
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transactions

SQL = load_queries(__file__)
LINE: TypeAdapter[tuple[datetime, int]] = TypeAdapter(tuple[AwareDatetime, int])
"""Where a page of history begins: the instant and number of the last line that was seen."""
SAID: TypeAdapter[tuple[int, str]] = TypeAdapter(tuple[int, str])
"""Where a page of triggers begins: the last cycle and kind."""

By = Literal["hour", "day"]
STEP: Final[dict[By, timedelta]] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
MOST: Final[dict[By, int]] = {"hour": 31 * 24, "day": 400}
USUAL: Final[dict[By, int]] = {"hour": 24, "day": 30}

SubscriptionId = Annotated[Id, Path()]
From = Annotated[Instant | None, Query(alias="from", description="the hour or day of it is the first")]
To = Annotated[Instant | None, Query(description="before that; now, where it is not given")]


def routes(transactions: Transactions, carriers: Carriers, bounds: Bounds) -> APIRouter:
    """The routes, on this service's transactions."""
    router = APIRouter(prefix="/v1/subscriptions/{subscription_id}", tags=["usage"])

    @asynccontextmanager
    async def snapshot() -> AsyncIterator[Connection]:
        """One moment for all statements: what is left and what was taken must belong together."""
        async with (
            transactions.pool.acquire(timeout=10) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    async def used_by(
        by: By, subscription_id: str, from_: datetime | None, to: datetime | None
    ) -> UsedByAnswer:
        now = utc_now()
        first, last = _period(by, from_, to, now)
        async with snapshot() as connection:
            if await store.read_balance(connection, subscription_id) is None:
                raise subscription_not_found(subscription_id)
            rows = await connection.fetch(SQL["usage_by"], subscription_id, first, last, by, STEP[by])
        return UsedByAnswer(
            subscription_id=subscription_id,
            kept_from=first_instant(bounds, now),
            items=[UsedAnswer(**row) for row in rows],
        )

    @router.get("/buckets/{bucket_id}/history")
    async def get_history(
        subscription_id: SubscriptionId,
        bucket_id: Annotated[Id, Path()],
        position: Cursor,
        by: Annotated[By, Query(description="how usage is summed up")] = "day",
    ) -> HistoryAnswer:
        """What became of the bucket's every byte."""
        after = position.after(LINE) or (None, None)
        async with snapshot() as connection:
            bucket = await connection.fetchrow(SQL["bucket"], subscription_id, bucket_id)
            balance = await store.read_balance(connection, subscription_id)
            if bucket is None or balance is None:
                raise _bucket_not_found(subscription_id, bucket_id)
            (sums,) = await connection.fetch(SQL["explained"], subscription_id, bucket_id)
            rows = await connection.fetch(
                SQL["history"], subscription_id, bucket_id, by, *after, position.limit + 1
            )
        kept, next_cursor = position.cut(rows, lambda row: (row["at"], row["place"]))
        is_open = balance.bucket(bucket_id)
        remaining = 0 if is_open is None else is_open.remaining_bytes
        rest = sums["events_bytes"] - sums["used_bytes"] - remaining
        is_older = bucket["created_at"] < first_instant(bounds, utc_now())
        return HistoryAnswer(
            items=[HistoryLine(**{name: row[name] for name in HistoryLine.model_fields}) for row in kept],
            next_cursor=next_cursor,
            subscription_id=subscription_id,
            bucket_id=bucket_id,
            cycle=bucket["cycle"],
            granted_bytes=bucket["granted_bytes"],
            remaining_bytes=remaining,
            **sums,
            forgotten_bytes=rest if is_older else 0,
            unexplained_bytes=0 if is_older else rest,
        )

    @router.get("/usage/by-hour")
    async def get_by_hour(subscription_id: SubscriptionId, from_: From = None, to: To = None) -> UsedByAnswer:
        """Of at most 31 days, the last 24 hours where nothing is given."""
        return await used_by("hour", subscription_id, from_, to)

    @router.get("/usage/by-day")
    async def get_by_day(subscription_id: SubscriptionId, from_: From = None, to: To = None) -> UsedByAnswer:
        """Of at most 400 days (in UTC), the last 30 where nothing is given."""
        return await used_by("day", subscription_id, from_, to)

    @router.get("/forecast")
    async def get_forecast(subscription_id: SubscriptionId) -> ForecastAnswer:
        """When the data ends at the present rate, and what would be said next."""
        async with transactions.begin() as transaction:
            balance = await store.read_balance(transaction.connection, subscription_id)
            if balance is None:
                raise subscription_not_found(subscription_id)
            wants = (await carriers.read(transaction))(balance).wants
        seen = forecast(balance, transaction.now, wants)
        following = seen.next_trigger
        return ForecastAnswer(
            subscription_id=subscription_id,
            cycle=balance.cycle,
            as_of=transaction.now,
            remaining_bytes=seen.remaining_bytes,
            burnt_bytes=seen.burnt_bytes,
            burnt_seconds=WINDOW_SECONDS,
            exhausted_at=seen.exhausted_at,
            expires_at=seen.expires_at,
            next_trigger=following and NextTrigger(kind=following.kind, at=following.at),
        )

    @router.get("/triggers")
    async def get_triggers(subscription_id: SubscriptionId, position: Cursor) -> Page[TriggerAnswer]:
        """What was said, newest cycle first: each kind once per cycle."""
        after = position.after(SAID) or (None, None)
        async with transactions.pool.acquire(timeout=10) as connection:
            if await store.read_balance(connection, subscription_id) is None:
                raise subscription_not_found(subscription_id)
            rows = await connection.fetch(SQL["triggers"], subscription_id, *after, position.limit + 1)
        kept, next_cursor = position.cut(rows, lambda row: (row["cycle"], row["kind"]))
        return Page(items=[TriggerAnswer(**row) for row in kept], next_cursor=next_cursor)

    return router


def _period(by: By, from_: datetime | None, to: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Whole hours or days, in UTC."""
    last = (to or now).astimezone(UTC)
    first = (from_ or last - USUAL[by] * STEP[by]).astimezone(UTC)
    first = first.replace(minute=0, second=0, microsecond=0)
    if by == "day":
        first = first.replace(hour=0)
    if not first < last <= first + MOST[by] * STEP[by]:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            type="invalid-period",
            title="The period is empty or too long",
            detail=f"`from` must be before `to`, and at most {MOST[by]} {by}s before it. Nothing was read: "
            "ask for several shorter periods.",
            most=MOST[by],
        )
    return first, last


def _bucket_not_found(subscription_id: str, bucket_id: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="bucket-not-found",
        title="The bucket is not known",
        detail=f"Subscription {subscription_id} never had a bucket {bucket_id}. Compare both ids: "
        "GET /v1/subscriptions/{subscription_id}/buckets lists those that are open.",
    )
