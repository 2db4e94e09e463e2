"""usage's HTTP API: what is left, what was used, and data from before Recarga."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

import asyncpg
import orjson
from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, TypeAdapter

from services.usage import store
from services.usage.bodies import (
    BucketAnswer,
    BucketBody,
    BucketItem,
    BucketsAnswer,
    OwnBucketId,
    QuarantinedAnswer,
    UsageAnswer,
)
from services.usage.counting import Carriers
from services.usage.domain.balance import Balance, Bucket, Granted
from services.usage.domain.records import Reason
from services.usage.domain.triggers import Wants
from services.usage.handlers import add_buckets
from shared.contracts.fields import Id
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

MAX_OPEN_BUCKETS = 200

PLACE: TypeAdapter[tuple[datetime, str, str]] = TypeAdapter(tuple[AwareDatetime, str, str])
"""Where a page of usage begins: the end, source and id of the last record that was seen."""

SubscriptionId = Annotated[Id, Path()]
BucketId = Annotated[OwnBucketId, Path()]


class Buckets:
    """Writes buckets from before Recarga: each once, never changed afterwards."""

    def __init__(self, transactions: Transactions, carriers: Carriers, late_records: timedelta) -> None:
        self._transactions = transactions
        self._carriers = carriers
        self._late_records = late_records

    async def put(self, wanted: Sequence[tuple[str, str, BucketBody]]) -> list[Granted | Problem]:
        """Each (subscription_id, bucket_id, body) as it was granted, or why it was refused."""
        return await self._transactions.run(lambda transaction: self._put(transaction, wanted))

    async def _put(
        self, transaction: Transaction, wanted: Sequence[tuple[str, str, BucketBody]]
    ) -> list[Granted | Problem]:
        later = await _of_later_cycles(transaction, wanted)
        # Of two in one request that name the same bucket the first counts.
        grants: dict[tuple[str, str], Granted] = {}
        for place, (subscription_id, bucket_id, body) in enumerate(wanted):
            if place not in later:
                grants.setdefault((subscription_id, bucket_id), body.granted(bucket_id, transaction.now))
        await add_buckets(transaction, grants, self._carriers, self._late_records)
        kept = await store.find_buckets(transaction.connection, grants.keys())
        return [
            later.get(place)
            or _same_or_problem(kept[subscription_id, bucket_id], body.granted(bucket_id, transaction.now))
            for place, (subscription_id, bucket_id, body) in enumerate(wanted)
        ]


async def _of_later_cycles(
    transaction: Transaction, wanted: Sequence[tuple[str, str, BucketBody]]
) -> dict[int, Problem]:
    """By place those of a cycle that has not begun here: the top-ups to come would pass for older ones, and
    nothing would be said of them until there are as many."""
    named = {subscription_id for subscription_id, _, body in wanted if body.cycle}
    if not named:
        return {}
    known = await store.lock_balances(transaction.connection, named)
    cycles = {name: balance.cycle for name, balance in known.items()}
    return {
        place: _later_cycle(body.cycle, cycles.get(subscription_id, 0))
        for place, (subscription_id, _, body) in enumerate(wanted)
        if body.cycle > cycles.get(subscription_id, 0)
    }


def _later_cycle(cycle: int, known: int) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        type="bucket-of-a-later-cycle",
        title="The bucket belongs to a cycle that has not begun",
        detail=f"Recarga has topped the subscription up {known} times as far as usage has heard, not {cycle} "
        "times: top-ups from before Recarga do not count. Leave `cycle` out, or send it again once it is so.",
        cycle=known,
    )


def _same_or_problem(kept: Granted, wanted: Granted) -> Granted | Problem:
    if replace(kept, began_at=wanted.began_at) == wanted:
        return kept
    return _bucket_exists(wanted.bucket_id)


def _bucket_exists(bucket_id: str) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        type="bucket-exists",
        title="The bucket is there with other values",
        detail=f"Bucket {bucket_id} was written before with other values and may be in use, "
        "so nothing was done. Use another bucket id for other data, or repeat the first values.",
    )


def subscription_not_found(subscription_id: str) -> Problem:
    """404: usage has heard nothing of it."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="subscription-not-found",
        title="The subscription is not known",
        detail=f"Usage knows no subscription {subscription_id}. Compare the id; "
        "one that was just created is known here within seconds.",
    )


def routes(transactions: Transactions, carriers: Carriers, late_records: timedelta) -> APIRouter:
    """The routes, on this service's transactions."""
    router = APIRouter(prefix="/v1", tags=["usage"])
    buckets = Buckets(transactions, carriers, late_records)

    @router.put("/subscriptions/{subscription_id}/buckets/{bucket_id}")
    async def put_bucket(
        subscription_id: SubscriptionId, bucket_id: BucketId, body: BucketBody
    ) -> BucketAnswer:
        """Data that the subscriber has from before Recarga. The same again changes nothing."""
        granted = (await buckets.put([(subscription_id, bucket_id, body)]))[0]
        if isinstance(granted, Problem):
            raise granted
        async with transactions.pool.acquire(timeout=10) as connection:
            balance = await store.read_balance(connection, subscription_id)
        return _bucket_answer(balance.bucket(bucket_id) if balance else None, granted)

    @router.post("/buckets/bulk")
    async def put_buckets(body: Bulk[BucketItem]) -> BulkAnswer:
        """Up to 1,000 buckets from before Recarga, each judged by itself."""
        valid = body.valid
        if not valid:
            return body.answer()
        answers = await buckets.put([(item.subscription_id, item.bucket_id, item) for _, item in valid])
        return body.answer(
            {
                index: answer
                for (index, _), answer in zip(valid, answers, strict=True)
                if isinstance(answer, Problem)
            }
        )

    @router.get("/subscriptions/{subscription_id}/buckets")
    async def get_buckets(subscription_id: SubscriptionId) -> BucketsAnswer:
        """What is left, in the order in which it is consumed."""
        async with transactions.begin() as transaction:
            balance = await store.read_balance(transaction.connection, subscription_id)
            if balance is None:
                raise subscription_not_found(subscription_id)
            granted = await store.find_buckets(
                transaction.connection,
                [(subscription_id, bucket.bucket_id) for bucket in balance.buckets[:MAX_OPEN_BUCKETS]],
            )
            carrier = (await carriers.read(transaction))(balance)
        return _buckets_answer(balance, granted, carrier.wants, transaction.now)

    @router.get("/subscriptions/{subscription_id}/usage")
    async def get_usage(subscription_id: SubscriptionId, position: Cursor) -> Page[UsageAnswer]:
        """What was used, newest first, and from which bucket it was taken."""
        after = position.after(PLACE) or (None, None, None)
        async with transactions.pool.acquire(timeout=10) as connection:
            if await store.read_balance(connection, subscription_id) is None:
                raise subscription_not_found(subscription_id)
            rows = await connection.fetch(
                store.SQL["usage_records"], subscription_id, *after, position.limit + 1
            )
        kept, next_cursor = position.cut(rows, lambda row: (row["ended_at"], row["source"], row["record_id"]))
        return Page(items=[_usage_answer(row) for row in kept], next_cursor=next_cursor)

    @router.get("/quarantined-records")
    async def get_quarantined(
        position: Cursor, reason: Annotated[Reason | None, Query(description="Only these.")] = None
    ) -> Page[QuarantinedAnswer]:
        """Records that were set aside, newest first: they took nothing from any bucket."""
        after = position.after(PLACE) or (None, None, None)
        async with transactions.pool.acquire(timeout=10) as connection:
            rows = await connection.fetch(
                store.SQL["quarantined_records"], reason, *after, position.limit + 1
            )
        kept, next_cursor = position.cut(
            rows, lambda row: (row["quarantined_at"], row["source"], row["record_id"])
        )
        items = [QuarantinedAnswer(**{**row, "record": orjson.loads(row["record"])}) for row in kept]
        return Page(items=items, next_cursor=next_cursor)

    return router


def _buckets_answer(
    balance: Balance, granted: Mapping[tuple[str, str], Granted], wants: Wants, now: datetime
) -> BucketsAnswer:
    return BucketsAnswer(
        subscription_id=balance.subscription_id,
        cycle=balance.cycle,
        remaining_bytes=balance.remaining_bytes(now),
        threshold_bytes=(
            wants.threshold(balance.granted_bytes) if balance.granted_bytes and wants.has_threshold else None
        ),
        used_bytes=balance.used_bytes,
        overrun_bytes=balance.overrun_bytes,
        owed_bytes=balance.owed_bytes,
        buckets=[
            _bucket_answer(bucket, granted[balance.subscription_id, bucket.bucket_id])
            for bucket in balance.buckets[:MAX_OPEN_BUCKETS]
        ],
    )


def _bucket_answer(bucket: Bucket | None, granted: Granted) -> BucketAnswer:
    """`bucket` None: it is closed, and nothing is left."""
    return BucketAnswer(
        bucket_id=granted.bucket_id,
        cycle=granted.cycle,
        granted_bytes=granted.granted_bytes,
        remaining_bytes=bucket.remaining_bytes if bucket is not None else 0,
        expires_at=bucket.expires_at if bucket is not None else granted.expires_at,
        created_at=granted.began_at,
    )


def _usage_answer(row: asyncpg.Record) -> UsageAnswer:
    allocation = row["allocation"]
    taken = None if allocation is None else dict(_part(part) for part in allocation.split())
    return UsageAnswer(**{**row, "taken": taken})


def _part(text: str) -> tuple[str, int]:
    bucket_id, _, size = text.partition("=")
    return bucket_id, int(size)
