"""When a step that failed is tried again: how a row of the policy is read, for every step alike."""

from datetime import datetime, timedelta
from typing import NamedTuple

from services.renewal.domain.policy import Moment, Retry
from services.renewal.domain.renewal import Renewal
from shared.contracts.payments import PaymentAttemptFailed, RefundAttemptFailed
from shared.contracts.topups import TopUpAttemptFailed


class Failed(NamedTuple):
    """How often a step has failed by now, and what its provider asks for."""

    spent: int
    """Failures that reached the provider."""
    repeated: int
    """How often it was tried again before."""
    retry_after_seconds: int | None = None


def how_it_failed(
    renewal: Renewal, message: PaymentAttemptFailed | RefundAttemptFailed | TopUpAttemptFailed
) -> Failed:
    """Failures that did not reach the provider spend no budget."""
    spent = renewal.spent + message.reached_provider
    return Failed(spent, message.attempt - 1, message.retry_after_seconds)


def next_try(retry: Retry, failed: Failed, began_at: datetime | None, moment: Moment) -> datetime | None:
    """When it is tried again; None: the row's budget or its time is spent.

    `began_at` is when the step began, None where that is not known: then the row's deadline ends nothing.
    """
    if retry.budget is not None and failed.spent > retry.budget:
        return None
    # Retry-After wins where it is longer: coming earlier would only be refused again.
    seconds = max(retry.backoff.seconds(failed.repeated, moment.jitter), failed.retry_after_seconds or 0)
    retry_at = moment.after(seconds)
    ends_at = _ends_at(retry, began_at)
    return None if ends_at is not None and retry_at > ends_at else retry_at


def _ends_at(retry: Retry, began_at: datetime | None) -> datetime | None:
    if retry.deadline_seconds is None or began_at is None:
        return None
    return began_at + timedelta(seconds=retry.deadline_seconds)


def payment_began_at(renewal: Renewal) -> datetime:
    """Payment reads the price as soon as we do; what failed before we saw one counts from the request."""
    return renewal.priced_at or renewal.requested_at


def refund_began_at(renewal: Renewal, moment: Moment) -> datetime | None:
    """The row holds its end under the row of the policy that knows no reason yet."""
    if renewal.refund_before is None:
        return None
    return renewal.refund_before - timedelta(seconds=moment.policy.refund_seconds)
