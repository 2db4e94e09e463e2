"""services/renewal/acceptance/review_store.py on tables in memory: same names, arguments and answers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from services.renewal.acceptance import review_store
from services.renewal.domain.admission import Refusal
from services.renewal.domain.review import Review
from tests.simulation.database import Open, statement
from tests.simulation.stores.renewal import tables


@statement
async def open_reviews(transaction: Open, reviews: Collection[Review]) -> set[UUID]:
    own = tables(transaction)
    opened = set()
    for one in sorted(reviews, key=lambda review: review.renewal_id):
        transaction.about.add(one.renewal_id)
        if await transaction.is_taken(own.reviews, one.renewal_id):
            continue
        if _has_place(one):
            if await transaction.is_taken(own.review_places, one.subscription_id):
                continue
            await transaction.insert(own.review_places, one.subscription_id, one.renewal_id)
        await transaction.insert(own.reviews, one.renewal_id, one)
        opened.add(one.renewal_id)
    return opened


@statement
async def drop(transaction: Open, renewal_ids: Collection[UUID]) -> None:
    own = tables(transaction)
    for key, one in await transaction.lock_where(own.reviews, _in_question(renewal_ids)):
        transaction.remove(own.reviews, key)
        await _give_place_back(transaction, one)


@statement
async def promise_answers(transaction: Open, renewal_ids: Collection[UUID]) -> None:
    own = tables(transaction)
    for key, one in await transaction.lock_where(own.reviews, _in_question(renewal_ids)):
        transaction.put(own.reviews, key, one._replace(is_told=True))


@statement
async def expire(transaction: Open, now: datetime, why: Refusal, limit: int) -> list[Review]:
    own = tables(transaction)
    overdue = [
        (one.deadline_at, key)
        for key, one in transaction.scan(own.reviews)
        if _is_open(one) and one.deadline_at <= now
    ]
    expired: list[Review] = []
    for _, key in sorted(overdue):
        if len(expired) < limit and transaction.is_free(own.reviews, key):
            transaction.take(own.reviews, key)
            one = transaction.get(own.reviews, key)
            assert one is not None
            ended = one.ended("refused", now, why)
            transaction.put(own.reviews, key, ended)
            await _give_place_back(transaction, one)
            expired.append(ended)
    return expired


@statement
async def forget(transaction: Open, before: datetime, limit: int) -> None:
    table = tables(transaction).reviews
    old = [key for key, one in transaction.scan(table) if one.ended_at is not None and one.ended_at < before]
    for key in sorted(old)[:limit]:
        if await transaction.lock(table, key) is not None:
            transaction.remove(table, key)


def _in_question(renewal_ids: Collection[UUID]) -> dict[UUID, Callable[[Review], bool]]:
    return dict.fromkeys(sorted(set(renewal_ids)), _is_open)


def _is_open(one: Review) -> bool:
    return one.ended_at is None


def _has_place(one: Review) -> bool:
    """In the index of what people ask for, one at a time per subscription."""
    return one.ended_at is None and one.dunning_try is None


async def _give_place_back(transaction: Open, one: Review) -> None:
    own = tables(transaction)
    if _has_place(one):
        await transaction.hold(own.review_places, one.subscription_id)
        transaction.remove(own.review_places, one.subscription_id)


FUNCTIONS: Final = {
    review_store: {
        "open_reviews": open_reviews,
        "drop": drop,
        "promise_answers": promise_answers,
        "expire": expire,
        "forget": forget,
    }
}
NOT_ASKED: Final = {review_store: {"read", "lock", "end", "list_open", "survey"}}
"""Functions that only HTTP and the gauges need."""
