"""When a step that failed is tried again: how a row of the policy is read, for every step alike."""

from datetime import datetime, timedelta
from typing import NamedTuple

from services.renewal.domain.policy import ANY_OTHER, Moment, Retry
from services.renewal.domain.renewal import Renewal


class Failed(NamedTuple):
    """How often the present step has failed for the reasons of one row of the policy."""

    times: int
    """All of them: the delay grows with it."""
    spent: int
    """Those that reached the provider: they use up the budget."""


def failures(renewal: Renewal) -> dict[str, Failed]:
    """By row of the policy.

    Where they do not add up to what was spent, an older version has counted, which knows the sum alone: then
    all of it was for any other reason.
    """
    words = (word.rsplit(":", 2) for word in (renewal.failures or "").split())
    found = {row: Failed(int(times), int(spent)) for row, times, spent in words}
    if sum(failed.spent for failed in found.values()) == renewal.spent:
        return found
    return {ANY_OTHER: Failed(renewal.spent, renewal.spent)} if renewal.spent else {}


def failed_again(renewal: Renewal, row: str, *, reached_provider: bool) -> tuple[Renewal, Failed]:
    """The renewal with one more failure of that row, and how often that was. Not reached spends nothing."""
    before = failures(renewal)
    times, spent = before.get(row, Failed(0, 0))
    failed = Failed(times + 1, spent + reached_provider)
    counted = sorted({**before, row: failed}.items())
    words = (f"{name}:{one.times}:{one.spent}" for name, one in counted)
    return renewal._replace(spent=renewal.spent + reached_provider, failures=" ".join(words)), failed


def not_failed_yet(renewal: Renewal) -> Renewal:
    """Another step, or another payment method: every row has its budget and its first delay again."""
    return renewal._replace(spent=0, failures=None)


def next_try(
    retry: Retry,
    failed: Failed,
    began_at: datetime | None,
    moment: Moment,
    retry_after_seconds: int | None = None,
) -> datetime | None:
    """When it is tried again; None: the row's budget or its time is spent.

    `began_at` is when the step began, None where that is not known: then the row's deadline ends nothing.
    """
    if retry.budget is not None and failed.spent > retry.budget:
        return None
    # Retry-After wins where it is longer: coming earlier would only be refused again.
    seconds = max(retry.backoff.seconds(failed.times - 1, moment.jitter), retry_after_seconds or 0)
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
