"""usage's HTTP API: what is left, what was used, and data from before Recarga."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, TypeAdapter

from services.usage import store
from services.usage.bodies import (
    BucketAnswer,
    BucketBody,
    BucketItem,
    BucketsAnswer,
    OwnBucketId,
    UsageAnswer,
)
from services.usage.domain.balance import Balance, Bucket, add_bucket
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

    def __init__(self, transactions: Transactions, threshold_percent: int, late_records: timedelta) -> None:
        self._transactions = transactions
        self._threshold_percent = threshold_percent
        self._late_records = late_records

    async def put(self, wanted: Sequence[tuple[str, Bucket]]) -> list[Bucket | Problem]:
        """Each (subscription_id, bucket) as it is kept now, or why it was refused."""
        return await self._transactions.run(lambda transaction: self._put(transaction, wanted))

    async def _put(
        self, transaction: Transaction, wanted: Sequence[tuple[str, Bucket]]
    ) -> list[Bucket | Problem]:
        connection = transaction.connection
        ids = {subscription_id for subscription_id, _ in wanted}
        await store.insert_balances(connection, ids)
        named = {(subscription_id, bucket.bucket_id) for subscription_id, bucket in wanted}
        balances = await store.lock_balances(connection, ids, named)
        answers = [self._put_one(balances[owner], bucket, transaction) for owner, bucket in wanted]
        changed = [
            balance for balance in balances.values() if any(bucket.is_new for bucket in balance.buckets)
        ]
        if changed:
            await store.insert_buckets(connection, changed)
            await store.update_balances(connection, changed)
        return answers

    def _put_one(self, balance: Balance, wanted: Bucket, transaction: Transaction) -> Bucket | Problem:
        existing = balance.bucket(wanted.bucket_id)
        if existing is not None:
            return existing if _same(existing, wanted) else _bucket_exists(wanted.bucket_id)
        # A copy: the transaction may be repeated as a whole, and must find what it was given unchanged.
        bucket = replace(wanted)
        add_bucket(
            balance,
            bucket,
            transaction.now,
            threshold_percent=self._threshold_percent,
            late_records=self._late_records,
        )
        return bucket


def _same(existing: Bucket, wanted: Bucket) -> bool:
    return (
        existing.cycle == wanted.cycle
        and existing.granted_bytes == wanted.granted_bytes
        and existing.initial_bytes == wanted.initial_bytes
        and existing.initial_expires_at == wanted.initial_expires_at
    )


def _bucket_exists(bucket_id: str) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        type="bucket-exists",
        title="The bucket is there with other values",
        detail=f"Bucket {bucket_id} was written before with other values and may be in use, "
        "so nothing was done. Use another bucket id for other data, or repeat the first values.",
    )


def _subscription_not_found(subscription_id: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="subscription-not-found",
        title="The subscription is not known",
        detail=f"Usage knows no subscription {subscription_id}. Compare the id; "
        "one that was just created is known here within seconds.",
    )


def routes(transactions: Transactions, threshold_percent: int, late_records: timedelta) -> APIRouter:
    """The routes, on this service's transactions."""
    router = APIRouter(prefix="/v1", tags=["usage"])
    buckets = Buckets(transactions, threshold_percent, late_records)

    @router.put("/subscriptions/{subscription_id}/buckets/{bucket_id}")
    async def put_bucket(
        subscription_id: SubscriptionId, bucket_id: BucketId, body: BucketBody
    ) -> BucketAnswer:
        """Data that the subscriber has from before Recarga. The same again changes nothing."""
        wanted = [(subscription_id, body.bucket(bucket_id))]
        answer = (await buckets.put(wanted))[0]
        if isinstance(answer, Problem):
            raise answer
        return BucketAnswer.model_validate(asdict(answer))

    @router.post("/buckets/bulk")
    async def put_buckets(body: Bulk[BucketItem]) -> BulkAnswer:
        """Up to 1,000 buckets from before Recarga, each judged by itself."""
        valid = body.valid
        if not valid:
            return body.answer()
        answers = await buckets.put(
            [(item.subscription_id, item.bucket(item.bucket_id)) for _, item in valid]
        )
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
            balance = await transaction.connection.fetchrow(store.SQL["balance"], subscription_id)
            if balance is None:
                raise _subscription_not_found(subscription_id)
            rows = await transaction.connection.fetch(
                store.SQL["open_buckets"], subscription_id, MAX_OPEN_BUCKETS
            )
        live = [row["remaining_bytes"] for row in rows if row["expires_at"] > transaction.now]
        return BucketsAnswer(
            subscription_id=subscription_id,
            remaining_bytes=sum(live),
            buckets=[BucketAnswer.model_validate(dict(row)) for row in rows],
            **dict(balance),
        )

    @router.get("/subscriptions/{subscription_id}/usage")
    async def get_usage(subscription_id: SubscriptionId, position: Cursor) -> Page[UsageAnswer]:
        """What was used, newest first; records that were refused say why and count for nothing."""
        after = position.after(PLACE) or (None, None, None)
        async with transactions.pool.acquire(timeout=10) as connection:
            if await connection.fetchrow(store.SQL["balance"], subscription_id) is None:
                raise _subscription_not_found(subscription_id)
            rows = await connection.fetch(
                store.SQL["usage_records"], subscription_id, *after, position.limit + 1
            )
        kept, next_cursor = position.cut(rows, lambda row: (row["ended_at"], row["source"], row["record_id"]))
        return Page(items=[UsageAnswer.model_validate(dict(row)) for row in kept], next_cursor=next_cursor)

    return router
