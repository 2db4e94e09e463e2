"""The HTTP API of top-ups: read only, they are begun and called off by messages."""

from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, TypeAdapter

from services.provisioning.topups import archive
from services.provisioning.topups.domain.attempt import Operation, Status
from services.provisioning.topups.domain.top_up import State
from shared.contracts.fields import Id
from shared.contracts.message import Grant, Terms
from shared.http.body import Answer
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transactions

PLACE: TypeAdapter[tuple[UUID]] = TypeAdapter(tuple[UUID])
"""Where a page begins: the id of the last renewal that was seen."""

_NEXT_ACTIONS: dict[State, str] = {
    "held": "Nothing: it came too late and waits for a timely command or a cancellation.",
    "pending": "Nothing: it is sent as soon as its carrier takes it.",
    "sending": "Nothing: the carrier is being asked until its answer is known.",
    "failed": "Nothing: the renewal decides whether to try again.",
    "calling_off": "Nothing: the carrier is being asked to call it off.",
    "undetermined": "Ask the carrier whether it was applied, then resolve the renewal accordingly.",
    "applied": "Nothing: the data is on the eSIM.",
    "rejected": "Look up the reason with the carrier; the payment goes back.",
    "cancelled": "Nothing: the payment goes back.",
}


class AttemptAnswer(Answer):
    """One attempt at the carrier. While it is open `due_at` is when it is asked about next.

    Where it `waits_for` a carrier (`*`: one without limits of its own) it is sent as soon as that takes it.
    """

    operation: Operation
    ordinal: int
    status: Status
    calls: int
    first_sent_at: AwareDatetime | None
    due_at: AwareDatetime | None
    waits_for: str | None
    ended_at: AwareDatetime | None
    reason: str | None
    provider_reference: str | None


class TopUpAnswer(Answer):
    """The top-up of one renewal."""

    renewal_id: UUID
    subscription_id: Id
    state: State
    next_action: str
    attempt: int
    version: int
    cancel_wanted: bool
    terms: Terms
    grant: Grant | None
    amount_minor: int | None
    currency: str | None
    carrier: str | None
    reason: str | None
    provider_reference: str | None
    cycle: int | None
    act_before: AwareDatetime
    accepted_at: AwareDatetime
    applied_at: AwareDatetime | None
    expires_at: AwareDatetime | None


class TopUpWithAttempts(TopUpAnswer):
    """The top-up of one renewal, with everything that was tried at the carrier."""

    attempts: list[AttemptAnswer]


_ATTEMPTS = TypeAdapter(list[AttemptAnswer])
_AS_STORED: Final = tuple(TopUpAnswer.model_fields.keys() - {"next_action", "terms", "grant"})


def routes(transactions: Transactions) -> APIRouter:
    """The routes, on this service's transactions."""
    router = APIRouter(prefix="/v1/top-ups", tags=["top-ups"])

    @router.get("/{renewal_id}")
    async def get_top_up(renewal_id: Annotated[UUID, Path()]) -> TopUpWithAttempts:
        """The top-up of one renewal, with its attempts at the carrier."""
        async with transactions.pool.acquire(timeout=10) as connection:
            row = await archive.find(connection, renewal_id)
        if row is None:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                type="top-up-not-found",
                title="There is no top-up for this renewal",
                detail=f"Nothing was asked of the carrier for renewal {renewal_id}. If its payment was "
                "captured just now, ask again in a moment; otherwise compare the id.",
            )
        return TopUpWithAttempts(
            attempts=_ATTEMPTS.validate_json(row["attempts"]), **_answer_of(row).model_dump()
        )

    @router.get("")
    async def list_top_ups(
        subscription_id: Annotated[Id, Query(description="Whose top-ups.")], position: Cursor
    ) -> Page[TopUpAnswer]:
        """The top-ups of one subscription, newest renewal first."""
        before = position.after(PLACE)
        async with transactions.pool.acquire(timeout=10) as connection:
            rows = await archive.of_subscription(
                connection, subscription_id, before[0] if before is not None else None, position.limit + 1
            )
        page, next_cursor = position.cut(rows, lambda row: [str(row["renewal_id"])])
        return Page(items=[_answer_of(row) for row in page], next_cursor=next_cursor)

    return router


def _answer_of(row: asyncpg.Record) -> TopUpAnswer:
    granted = row["granted"]
    return TopUpAnswer(
        terms=Terms.model_validate_json(row["terms"]),
        grant=Grant.model_validate_json(granted) if granted is not None else None,
        next_action=_NEXT_ACTIONS[row["state"]],
        **{name: row[name] for name in _AS_STORED},
    )
