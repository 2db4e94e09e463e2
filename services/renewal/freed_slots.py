"""What follows when slots become free: who waits for them is admitted, what was kept is looked at again."""

from collections.abc import Collection, Mapping, Sequence

from services.renewal import admissions, store, waiting_store
from services.renewal.acceptance import review_store
from services.renewal.domain.admission import SLOT_TAKEN, Admitted, InReview, Joined, Refusal
from services.renewal.domain.asking import Trigger
from services.renewal.domain.policy import Policy
from services.renewal.domain.renewal import ClosedState
from services.renewal.domain.waiting import COMPLETED_AFTER_ALL, Waiting
from shared.messaging.transaction import Transaction


async def look(
    transaction: Transaction, policy: Policy, closed: Mapping[str, ClosedState], following: Sequence[Trigger]
) -> None:
    """How renewals have closed, by subscription; with what is tried anew of those that were not paid.

    One statement where nothing waits.
    """
    taken = await waiting_store.take_freed(transaction.connection, list(closed))
    in_vain = [one for one in taken.waiting if closed[one.subscription_id] == "completed"]
    waiting = [one for one in taken.waiting if closed[one.subscription_id] != "completed"]
    if in_vain:
        await refuse(transaction, [(one, COMPLETED_AFTER_ALL) for one in in_vain])
    if waiting or taken.kept or following:
        await admit(transaction, policy, waiting, [*following, *taken.kept])


async def admit(
    transaction: Transaction, policy: Policy, waiting: Sequence[Waiting], kept: Sequence[Trigger]
) -> None:
    """Judge them anew. People come first: of two for one slot the first gets it."""
    # Whoever is told is told once, here: nobody asks a second time.
    asking: list[admissions.Asking] = [*(one.request._replace(is_told=False) for one in waiting), *kept]
    answers = await admissions.admit(transaction, asking, policy)
    refused = [
        (one, answer if isinstance(answer, Refusal) else SLOT_TAKEN)
        for one, answer in zip(waiting, answers, strict=False)
        if not isinstance(answer, Admitted | Joined | InReview)
    ]
    if refused:
        await refuse(transaction, refused)
    told = {
        one.renewal_id
        for one, answer in zip(waiting, answers, strict=False)
        if isinstance(answer, InReview) and one.is_told
    }
    if told:
        await review_store.promise_answers(transaction.connection, told)


async def refuse(transaction: Transaction, refused: Collection[tuple[Waiting, Refusal]]) -> None:
    """Remember requests that have waited in vain, with the reason; tell those who wait for a message."""
    connection, now = transaction.connection, transaction.now
    await waiting_store.keep(connection, [one.ended("refused", now, why) for one, why in refused])
    await store.keep_refusals(connection, [(one.request, why) for one, why in refused], now)
    for one, why in refused:
        if one.is_told:
            transaction.send(admissions.refusal_of(one.request, why, transaction), one.traceparent)
