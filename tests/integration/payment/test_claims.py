"""What a poll takes over: calls that nobody holds, and nothing else, whatever else stands in the table.

The service's own poller looks once a minute here, so that a test's poll is the only one.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from services.payment.domain.calls import Call
from services.payment.domain.payment import Operation
from services.payment.settings import Settings
from shared.contracts.payments import PaymentCaptured
from shared.messaging.transaction import Transaction
from tests.integration.payment.conftest import Renewal, Subscribe, hear, row
from tests.integration.payment.other_process import OtherProcess
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.sandboxed import until
from tests.integration.wired import Wired


@pytest.fixture(scope="module")
def told(database_url: str, sandbox: Sandbox) -> Settings:
    return Settings(
        database_url=database_url,
        psp_url=f"http://127.0.0.1:{sandbox.psp.port}",
        payment_poll_seconds=60,
        payment_send_window_seconds=0.2,
        payment_call_seconds=0.2,
        payment_lease_seconds=0.7,
    )


async def claimed(payment: Wired, other: OtherProcess, limit: int) -> Sequence[Call]:
    async def claim(transaction: Transaction) -> Sequence[Call]:
        return (await other.calls.claim(transaction.connection, limit, {})).due

    return await payment.transactions.run(claim)


async def lease_is_over(payment: Wired, *renewals: Renewal) -> None:
    """Wait until whoever made their first calls has lost the right to."""
    latest = (
        "select max(send_before) < clock_timestamp() - interval '1 second' from payment_attempts"
        " where renewal_id = any($1)"
    )
    await until(lambda: payment.pool.fetchval(latest, [renewal.renewal_id for renewal in renewals]))


async def test_captures_that_wait_for_their_top_up_take_no_room_from_calls_that_are_to_be_made(
    payment: Wired, other: OtherProcess, payer: Subscribe
) -> None:
    waiting = [await payer() for _ in range(3)]
    await payment.consume("commands", *(renewal.priced() for renewal in waiting))
    for renewal in waiting:
        await hear(payment, PaymentCaptured, renewal)
    await lease_is_over(payment, *waiting)
    # A process that dies with its call: the last in the queue of what is due.
    left_behind = await payer()
    lost = await other.consume(left_behind.priced())
    await lease_is_over(payment, left_behind)

    [call] = await claimed(payment, other, limit=1)
    assert (call.renewal_id, call.operation) == (left_behind.renewal_id, Operation.CAPTURE)
    assert (call.ordinal, call.claim, call.key) == (lost.ordinal, lost.claim + 1, lost.key)
    assert await claimed(payment, other, limit=10) == []


async def test_who_takes_a_call_over_learns_until_when_it_may_have_been_sent(
    payment: Wired, other: OtherProcess, payer: Subscribe
) -> None:
    renewal = await payer("tok_ok")
    begun = await other.consume(renewal.priced())
    before = await attempt(payment, renewal)
    await lease_is_over(payment, renewal)

    [call] = [
        call for call in await claimed(payment, other, limit=10) if call.renewal_id == renewal.renewal_id
    ]
    assert call.was_sent
    assert (call.sent_before, call.first_sent_at) == (before["send_before"], before["first_sent_at"])
    assert call.token == begun.token == "tok_ok"
    after = await attempt(payment, renewal)
    assert after["send_before"] > before["send_before"]
    assert (await row(payment, renewal))["claim"] == call.claim


async def attempt(payment: Wired, renewal: Renewal) -> Any:
    return await payment.pool.fetchrow(
        "select * from payment_attempts where renewal_id = $1", renewal.renewal_id
    )
