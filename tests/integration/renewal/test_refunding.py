"""A refund that fails is tried for a day, then a person is asked, and the timeline says why."""

from datetime import timedelta

from shared.contracts.payment_commands import RefundPayment
from shared.contracts.payments import RefundAttemptFailed
from shared.contracts.renewals import RenewalParked
from tests.integration.renewal.conftest import About, row
from tests.integration.renewal.test_timers import Future, about_it, begin, future
from tests.integration.wired import Wired

__all__ = ["future"]


def refund_failed(about: About, attempt: int) -> RefundAttemptFailed:
    refunded = about.refunded()
    return RefundAttemptFailed(
        renewal_id=refunded.renewal_id,
        subscription_id=refunded.subscription_id,
        version=10 + attempt,
        attempt=attempt,
        terms=refunded.terms,
        reason="expired_or_canceled_card",
        reached_provider=True,
    )


async def fail(renewal: Wired, future: Future, about: About) -> int:
    """The refund that was ordered last fails; how many were ordered until now."""
    ordered = about_it(renewal.said(RefundPayment), about)
    batch = [renewal.received(refund_failed(about, ordered[-1].attempt))]
    handle = renewal.consumer("saga").handle
    await future.transactions.run(lambda transaction: handle(transaction, batch))  # type: ignore[arg-type, call-arg]
    return len(ordered)


async def test_a_refund_is_tried_again_for_a_day_and_then_parked_with_the_reason_on_the_timeline(
    renewal: Wired, future: Future
) -> None:
    about = await begin(renewal)
    await renewal.consume("saga", about.priced(), about.captured(), about.top_up_rejected())
    began = future.now
    while (found := await row(renewal, about.renewal_id))["state"] == "refunding":
        await fail(renewal, future, about)
        planned = (await row(renewal, about.renewal_id))["retry_at"]
        if planned is not None:
            future.now = planned
            await future.caught_up()
            assert await future.fire() == 1
            assert future.now - began < timedelta(hours=24)
    assert found["state"] == "parked"
    assert future.now - began > timedelta(hours=22)
    attempts = [command.attempt for command in about_it(renewal.said(RefundPayment), about)]
    assert attempts == list(range(1, len(attempts) + 1))
    assert 25 < len(attempts) < 80
    [parked] = about_it(renewal.said(RenewalParked), about)
    assert parked.reason == "refund_attempts_spent"
    page = (await renewal.request("GET", f"/v1/renewals/{about.renewal_id}")).body
    last = page["history"][-1]
    assert (page["state"], page["parked_reason"]) == ("parked", "refund_attempts_spent")
    assert (last["message"], last["reason"], last["detail"]) == (
        "RefundAttemptFailed",
        "refund_attempts_spent",
        "expired_or_canceled_card",
    )
    failures = [line for line in page["history"] if line["message"] == "RefundAttemptFailed"]
    assert {line["reason"] for line in failures[:-1]} == {"expired_or_canceled_card"}


async def test_a_refund_that_works_in_the_end_closes_it_as_refunded(renewal: Wired, future: Future) -> None:
    about = await begin(renewal)
    await renewal.consume("saga", about.priced(), about.captured(), about.top_up_rejected())
    await fail(renewal, future, about)
    await renewal.consume("saga", about.refunded())
    found = await row(renewal, about.renewal_id)
    assert (found["state"], found["reason"]) == ("refunded", "top_up_rejected")
