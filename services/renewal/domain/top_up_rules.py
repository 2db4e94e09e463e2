"""What follows from what provisioning says."""

from services.renewal.domain import endings, wording
from services.renewal.domain.change import Change, noted
from services.renewal.domain.policy import Moment, row_of
from services.renewal.domain.renewal import Renewal, TopUpFinding
from services.renewal.domain.retries import failed_again, next_try
from shared.contracts.topups import (
    TopUpApplied,
    TopUpAttemptFailed,
    TopUpCancelled,
    TopUpRejected,
    TopUpUndetermined,
)


def complete(renewal: Renewal, message: TopUpApplied, moment: Moment) -> Change:
    """Data on the eSIM settles it, whatever was being tried: no path refunds an applied top-up."""
    new = renewal._replace(
        state="completed",
        version=renewal.version + 1,
        heard_at=moment.at,
        asked=0,
        retry_at=None,
        reason=None,
        amount_minor=message.amount_minor,
        granted=renewal.granted or message.grant.model_dump_json(),
        top_up_cycle=message.cycle,
        applied_at=message.applied_at,
        closed_at=moment.at,
    )
    return Change(new, (wording.renewal_completed(new, message.applied_at, message.terms),))


def _finding(message: TopUpRejected | TopUpCancelled | TopUpUndetermined) -> TopUpFinding:
    if isinstance(message, TopUpRejected):
        return "rejected"
    return "cancelled" if isinstance(message, TopUpCancelled) else "undetermined"


def remember(
    renewal: Renewal, message: TopUpRejected | TopUpCancelled | TopUpUndetermined, _moment: Moment
) -> Change | None:
    """Said before the capture was seen, acted upon when it is. Final replaces undetermined."""
    finding = _finding(message)
    if renewal.top_up == finding or renewal.top_up in ("rejected", "cancelled"):
        return None
    return Change(noted(renewal, top_up=finding), reason=message.reason)


def give_back(renewal: Renewal, message: TopUpRejected | TopUpCancelled, moment: Moment) -> Change:
    finding = _finding(message)
    change = endings.refund(renewal._replace(top_up=finding), f"top_up_{finding}", moment)
    return change._replace(detail=message.reason)


def find_out(renewal: Renewal, message: TopUpRejected | TopUpCancelled, moment: Moment) -> Change | None:
    """The authority has found out. Where no capture was seen there is nothing to give back yet."""
    if renewal.top_up in ("rejected", "cancelled"):
        return None  # it was parked later, by its refund: the same answer again must not send another
    if renewal.captured_at is None:
        return remember(renewal, message, moment)
    return give_back(renewal, message, moment)


def retry_top_up(renewal: Renewal, message: TopUpAttemptFailed, moment: Moment) -> Change | None:
    """The next attempt at back-off. Failures that did not reach the carrier spend no budget."""
    if message.attempt != renewal.top_up_attempt:
        return None
    rows = moment.policy.top_up_retries
    row = row_of(rows, message.reason)
    retry = rows[row]
    counted, failed = failed_again(renewal, row, reached_provider=message.reached_provider)
    retry_at = next_try(retry, failed, renewal.captured_at, moment, message.retry_after_seconds)
    if retry_at is None:
        return endings.spent(renewal, retry.when_spent, "top_up_attempts_spent", moment, message.reason)
    new = noted(
        counted,
        top_up_attempt=renewal.top_up_attempt + 1,
        retry_at=retry_at,
        heard_at=moment.at,
        asked=0,
    )
    return Change(new, reason=message.reason)


def park_unknown(renewal: Renewal, message: TopUpUndetermined, moment: Moment) -> Change | None:
    """A person must look, unless it was said of what has been called off anew since."""
    if message.attempt < renewal.top_up_attempt:
        return None
    change = endings.park(
        renewal._replace(top_up="undetermined"), renewal.state, "top_up_undetermined", moment
    )
    return change._replace(detail=message.reason)
