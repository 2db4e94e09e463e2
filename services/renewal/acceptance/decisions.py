"""Carries out what a person decides about a review: approve, refuse, or withdraw it.

Locks are taken in the order of admission: what is kept of a rule's trigger first, its review after that.
"""

from http import HTTPStatus
from typing import Final, NamedTuple
from uuid import UUID

import orjson

from services.renewal import admissions, store, waiting
from services.renewal.acceptance import review_store, reviews
from services.renewal.domain.acceptance import NOT_ACCEPTED
from services.renewal.domain.admission import Refusal
from services.renewal.domain.asking import Trigger
from services.renewal.domain.policy import Policy
from services.renewal.domain.review import WITHDRAWN, Review
from services.renewal.operators.store import Deed, write_audit
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction


class Wanted(NamedTuple):
    """What one operator decides about a review as they saw it, and why."""

    operator: str
    why: str
    version: int


async def approve(transaction: Transaction, policy: Policy, renewal_id: UUID, wanted: Wanted) -> Review:
    """Admit it anew, with the reviewed methods accepted; as it has become: other things may hinder it by now.

    Raises:
        Problem: there is no such review, it is over, or it is not as it was seen.
    """
    review, kept = await _locked(transaction, renewal_id)
    _require(review, wanted.version, transaction)
    after = review.ended("approved", transaction.now)
    await review_store.end(transaction.connection, after)
    if review.is_a_rules:
        await _look_again(transaction, policy, review, kept)
    else:
        [answer] = await waiting.ask(transaction, [review.request], policy)
        if isinstance(answer, Refusal):
            after = after._replace(state="refused", reason=answer.reason, detail=answer.detail)
            await review_store.end(transaction.connection, after)
            if not review.is_told:
                await reviews.tell_refused(transaction, [review], answer)
    await _note(transaction, wanted, "approve review", review, after)
    return after


async def refuse(transaction: Transaction, policy: Policy, renewal_id: UUID, wanted: Wanted) -> Review:
    """It is not accepted: whoever asked is told so, as if the table had refused it.

    Raises:
        Problem: as `approve`.
    """
    review, kept = await _locked(transaction, renewal_id)
    _require(review, wanted.version, transaction)
    why = Refusal(NOT_ACCEPTED, _told(review))
    after = await _end(transaction, policy, review, kept, why)
    await reviews.tell_refused(transaction, [review], why)
    await _note(transaction, wanted, "refuse review", review, after)
    return after


async def withdraw(transaction: Transaction, policy: Policy, renewal_id: UUID) -> Review | None:
    """Called off by whoever asked: as it has become; None where there is none, unchanged where it is over."""
    if await review_store.read(transaction.connection, renewal_id) is None:
        return None
    review, kept = await _locked(transaction, renewal_id)
    if not review.is_open(transaction.now):
        await _keep(transaction, kept)
        return review
    return await _end(transaction, policy, review, kept, WITHDRAWN)


async def _end(
    transaction: Transaction, policy: Policy, review: Review, kept: list[Trigger], why: Refusal
) -> Review:
    state: Final = "withdrawn" if why == WITHDRAWN else "refused"
    after = review.ended(state, transaction.now, why)
    await review_store.end(transaction.connection, after)
    if review.is_a_rules:
        await _look_again(transaction, policy, review, kept)
    return after


async def _locked(transaction: Transaction, renewal_id: UUID) -> tuple[Review, list[Trigger]]:
    """The review, and what is kept of the triggers of its subscription, which leaves the kept ones."""
    seen = await review_store.read(transaction.connection, renewal_id)
    if seen is None:
        raise review_not_found(renewal_id)
    kept: list[Trigger] = []
    if seen.is_a_rules:
        kept = await store.take_kept_triggers(transaction.connection, [seen.subscription_id])
    review = await review_store.lock(transaction.connection, renewal_id)
    if review is None:
        # What it asked for has become something else meanwhile.
        raise review_not_found(renewal_id)
    return review, kept


async def _look_again(transaction: Transaction, policy: Policy, review: Review, kept: list[Trigger]) -> None:
    """Judge what waits for it; a trigger of another cycle in its place is only looked at early."""
    # Whoever held it when it was first taken may have kept it again.
    names = [review.subscription_id]
    kept = kept or await store.take_kept_triggers(transaction.connection, names)
    again = [
        trigger._replace(held_by=None, not_before=None)
        if trigger.renewal_id == review.renewal_id
        else trigger
        for trigger in kept
    ]
    if again:
        await admissions.admit(transaction, again, policy)


async def _keep(transaction: Transaction, kept: list[Trigger]) -> None:
    if kept:
        await store.keep_triggers(transaction.connection, kept, transaction.now)


def _told(review: Review) -> str:
    destination = review.destination or "this destination"
    country = review.payer_country or "an unknown country"
    kinds = review.kinds.replace(",", ", ")
    return (
        f"It was looked at: for {destination} no payment by {kinds} is taken from this payer in {country}. "
        "Name a method of another kind, or another payer."
    )


async def _note(transaction: Transaction, wanted: Wanted, action: str, before: Review, after: Review) -> None:
    deed = Deed(
        wanted.operator,
        "done",
        action,
        None,
        wanted.why,
        before.renewal_id,
        before=_standing(before),
        after=_standing(after),
    )
    await write_audit(transaction.connection, transaction.now, [deed])


def _standing(review: Review) -> str:
    return orjson.dumps({name: getattr(review, name) for name in _AUDITED}).decode()


_AUDITED: Final = ("state", "version", "reason", "ended_at")


def _require(review: Review, version: int, transaction: Transaction) -> None:
    if not review.is_open(transaction.now):
        state = "expired" if review.state == "in_review" else review.state
        raise Problem(
            HTTPStatus.CONFLICT,
            type="review-not-open",
            title="The review is over",
            detail=f"The review is {state} in version {review.version}: it was to be decided until "
            f"{review.deadline_at:%Y-%m-%d %H:%M} UTC. Nothing was done.",
            state=review.state,
            version=review.version,
        )
    if review.version != version:
        raise Problem(
            HTTPStatus.CONFLICT,
            type="review-has-moved",
            title="The review is not as it was seen",
            detail=f"The decision was made on version {version}, the review is in version {review.version}. "
            "Look at it again, then decide again.",
            state=review.state,
            version=review.version,
        )


def review_not_found(renewal_id: UUID) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="review-not-found",
        title="There is no such review",
        detail=f"Nothing is to be decided about {renewal_id}: it never was, or it is not asked any more. "
        "Find it in GET /v1/operator/reviews.",
    )
