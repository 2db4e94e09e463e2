"""Failures are kept by the row of the policy that they count under, also while an older version counts."""

from services.renewal import store
from services.renewal.domain.policy import ANY_OTHER, POLICY
from services.renewal.domain.retries import Failed, failures
from shared.contracts.payments import PaymentAttemptFailed
from tests.integration.renewal.conftest import About, begun, known, row
from tests.integration.wired import Wired


def failed(about: About, attempt: int, reason: str) -> PaymentAttemptFailed:
    declined = about.declined(attempt)
    return PaymentAttemptFailed(
        renewal_id=declined.renewal_id,
        subscription_id=declined.subscription_id,
        version=declined.version,
        attempt=attempt,
        terms=declined.terms,
        payment_method_id=declined.payment_method_id,
        reason=reason,
        reached_provider=reason != "not_sent",
    )


async def failing(renewal: Wired, *reasons: str) -> About:
    """A renewal whose payment has failed for one reason after the other."""
    [about] = await begun(renewal, *await known(renewal))
    failed_in_turn = [failed(about, attempt, reason) for attempt, reason in enumerate(reasons, 1)]
    await renewal.consume("saga", about.priced(), *failed_in_turn)
    return about


async def test_what_failed_is_read_as_it_was_counted_and_forgotten_with_its_step(renewal: Wired) -> None:
    about = await failing(renewal, "provider_error", "rate_limited", "not_sent", "rate_limited")
    async with renewal.pool.acquire() as connection:
        found = await store.read(connection, about.renewal_id)
    assert found is not None
    assert failures(found) == {"*": Failed(2, 1), "rate_limited": Failed(2, 2)}
    assert found.spent == 3
    await renewal.consume("saga", about.captured())
    after = await row(renewal, about.renewal_id)
    assert (after["state"], after["spent"], after["failures"]) == ("captured", 0, None)


async def test_what_an_older_process_counted_beside_ours_is_spent(renewal: Wired) -> None:
    """It writes `spent` and leaves the words as they are; without words it is a row of an older version."""
    budget = POLICY.payment_retries[ANY_OTHER].budget
    for words in ("*:2:1 rate_limited:1:1", None):
        about = await failing(renewal, "provider_error", "rate_limited", "not_sent")
        await renewal.pool.execute(
            "update renewals set spent = $2, failures = $3 where renewal_id = $1",
            about.renewal_id,
            budget,
            words,
        )
        await renewal.consume("saga", failed(about, 4, "provider_error"))
        after = await row(renewal, about.renewal_id)
        assert (after["state"], after["reason"]) == ("cancelling_payment", "payment_attempts_spent")
