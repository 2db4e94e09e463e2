"""From a decision to the event that says it. Repeating an answer is making the same event again."""

from datetime import timedelta

from services.provisioning.topups.domain.top_up import Order, TopUp
from shared.contracts.topups import (
    TopUpApplied,
    TopUpAttemptFailed,
    TopUpCancelled,
    TopUpRejected,
    TopUpUndetermined,
)

Answer = TopUpApplied | TopUpAttemptFailed | TopUpCancelled | TopUpRejected | TopUpUndetermined


def answer(order: Order, top_up: TopUp) -> Answer:
    """The event of the state that the top-up is in.

    Raises:
        ValueError: the state is not one that is spoken of.
    """
    match top_up.state:
        case "applied":
            return _applied(order, top_up)
        case "rejected":
            kind: type[TopUpRejected | TopUpCancelled | TopUpUndetermined] = TopUpRejected
        case "cancelled":
            kind = TopUpCancelled
        case "undetermined":
            kind = TopUpUndetermined
        case "failed":
            return _failed(order, top_up)
        case state:
            raise ValueError(f"a top-up that is {state} has no answer yet")
    return kind(
        renewal_id=order.renewal_id,
        subscription_id=order.subscription_id,
        version=top_up.version,
        attempt=top_up.attempt,
        terms=order.terms,
        reason=top_up.reason or top_up.state,
    )


def _applied(order: Order, top_up: TopUp) -> TopUpApplied:
    if (
        order.grant is None
        or order.amount_minor is None
        or order.currency is None
        or top_up.applied_at is None
    ):
        raise ValueError("an applied top-up lacks what was bought")
    earliest_end = top_up.applied_at + timedelta(seconds=order.grant.validity_seconds)
    return TopUpApplied(
        renewal_id=order.renewal_id,
        subscription_id=order.subscription_id,
        version=top_up.version,
        attempt=top_up.attempt,
        terms=order.terms,
        grant=order.grant,
        amount_minor=order.amount_minor,
        currency=order.currency,
        cycle=top_up.cycle or 0,
        applied_at=top_up.applied_at,
        expires_at=top_up.expires_at or earliest_end,
        expiry_stated=top_up.expires_at is not None,
    )


def _failed(order: Order, top_up: TopUp) -> TopUpAttemptFailed:
    return TopUpAttemptFailed(
        renewal_id=order.renewal_id,
        subscription_id=order.subscription_id,
        version=top_up.version,
        attempt=top_up.attempt,
        terms=order.terms,
        reason=top_up.reason or "failed",
        reached_provider=top_up.reached_provider is not False,
        retry_after_seconds=top_up.retry_after_seconds,
    )
