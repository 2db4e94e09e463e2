"""What follows where a rule's renewal could not be paid: the next try, another card, in the end a pause."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from services.renewal.domain.asking import Trigger
from services.renewal.domain.renewal import Renewal
from services.renewal.rules import pausing, store
from services.renewal.rules.domain.decision import Decision
from services.renewal.rules.domain.dunning import ASKS, Failure, failure_of, next_try
from shared.contracts.renewals import PaymentMethodRequired
from shared.messaging.transaction import Transaction

DUNNING: Final = "dunning"
"""Who pauses a rule after the last try, in its pause and in the audit."""


class Tries(NamedTuple):
    """The failed tries' decisions, with what follows; and what is kept for the next tries."""

    decisions: list[Decision]
    following: list[Trigger]


async def go_on(transaction: Transaction, ended: Sequence[tuple[Decision, Renewal]]) -> Tries:
    """What follows of renewals that rules began and that have ended; nothing where they could be paid.

    One statement, and those of a pause where it was the last try.
    """
    failed = [
        (decision, renewal, failure)
        for decision, renewal in ended
        if (failure := failure_of(renewal)) is not None
    ]
    if not failed:
        return Tries([decision for decision, _ in ended], [])
    rules = await store.lock(transaction.connection, {renewal.subscription_id for _, renewal, _ in failed})
    told = {decision.place: decision for decision, _ in ended}
    following: list[Trigger] = []
    last: set[str] = set()
    for decision, renewal, failure in failed:
        rule = rules.get(renewal.subscription_id)
        if rule is None:
            continue
        trigger = next_try(rule.says.dunned_by, failure, decision, renewal, transaction.now)
        if trigger is None:
            last.add(renewal.subscription_id)
            told[decision.place] = decision._replace(detail=f"{decision.detail} That was the last try.")
            continue
        following.append(trigger)
        told[decision.place] = decision._replace(next_try_at=trigger.not_before)
        if failure in ASKS:
            _ask(transaction, decision, renewal, failure, trigger)
    if last:
        await pause(transaction, last)
    return Tries(list(told.values()), following)


def _ask(
    transaction: Transaction, decision: Decision, renewal: Renewal, failure: Failure, trigger: Trigger
) -> None:
    terms = renewal.agreed
    if trigger.not_before is None:
        raise AssertionError("a next try has its instant")
    asked = PaymentMethodRequired(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        mandate_id=decision.mandate_id or "",
        offering_id=terms.offering_id,
        max_amount_minor=terms.max_amount_minor,
        currency=terms.currency,
        reason=renewal.reason or failure,
        payment_method_ids=terms.payment_method_ids,
        asked_at=transaction.now,
        next_try_at=trigger.not_before,
    )
    transaction.send(asked, renewal.traceparent)


async def pause(transaction: Transaction, subscription_ids: Collection[str]) -> None:
    """After the last try: nothing is charged any more until somebody lets the rule go on."""
    why = "The payment failed as often as the rule lets it be tried."
    await pausing.pause(transaction, subscription_ids, DUNNING, why)
