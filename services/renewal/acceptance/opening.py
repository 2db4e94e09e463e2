"""Puts before a person what the policy leaves to one; takes it back where nothing waits for it any more."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.renewal.acceptance import review_store
from services.renewal.domain.admission import (
    REVIEW_EXPIRED,
    Admitted,
    Answer,
    InReview,
    Joined,
    NotMeant,
    Refusal,
    Standing,
)
from services.renewal.domain.asking import Request, Trigger
from services.renewal.domain.review import review_of
from shared.messaging.transaction import Transaction


async def open_for_people(
    transaction: Transaction,
    asking: Sequence[Request | Trigger],
    answers: Mapping[int, Answer],
    places: Sequence[int],
) -> list[int]:
    """What people ask for, of these places; the places of those that came second.

    Nothing is asked of the database where nothing is to be reviewed.
    """
    found = {
        place: answer
        for place in places
        if isinstance(answer := answers[place], InReview) and isinstance(asking[place], Request)
    }
    if not found:
        return []
    opened = await put(transaction, list(found.values()))
    second = []
    for place in found:
        renewal_id = asking[place].renewal_id
        # Removed once found: the same request twice in a batch is put once.
        if renewal_id in opened:
            opened.remove(renewal_id)
        else:
            second.append(place)
    return second


async def put(transaction: Transaction, answers: Sequence[InReview]) -> set[UUID]:
    """The ids of those that are new."""
    new = [review_of(answer, transaction.now) for answer in answers if answer.is_new]
    return await review_store.open_reviews(transaction.connection, new) if new else set()


def is_asked(standing: Standing) -> bool:
    """Whether somebody is to decide about it already."""
    reviewed = standing.acceptance.reviewed if standing.acceptance is not None else None
    return reviewed is not None and reviewed.state == "in_review"


async def drop(transaction: Transaction, in_question: Mapping[int, tuple[Request | Trigger, Answer]]) -> None:
    """Of what somebody is to decide about for a rule, what is over: what has expired its loop ends."""
    over = {
        asked.renewal_id
        for asked, answer in in_question.values()
        if isinstance(asked, Trigger)
        and isinstance(answer, Admitted | Joined | Refusal | NotMeant)
        and answer != REVIEW_EXPIRED
    }
    if over:
        await review_store.drop(transaction.connection, over)
