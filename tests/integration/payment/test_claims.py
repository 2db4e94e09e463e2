"""What a poll takes over: calls that nobody holds, and nothing else, whatever else stands in the table.

The service's own poller looks once a minute here, so that a test's poll is the only one.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.payment.domain.calls import Call
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import Operation
from services.payment.settings import Settings
from shared.clock import utc_now
from shared.contracts.payments import PaymentCancelled, PaymentCaptured
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


async def test_a_call_that_was_put_off_waits_in_its_queue_as_if_nobody_had_taken_it(
    payment: Wired, other: OtherProcess, payer: Subscribe
) -> None:
    renewal = await payer()
    begun = await other.consume(renewal.priced())
    await other.record(other.calls.put_off(begun))
    waits = await row(payment, renewal)
    assert (waits["lane"], waits["is_bulk"], waits["ordinal"]) == ("sandbox", False, begun.ordinal)
    assert waits["queued_until"] == waits["due_at"]

    five_minutes = timedelta(minutes=5)
    await payment.pool.execute(
        "update payments set due_at = due_at - $2::interval, queued_until = queued_until - $2::interval"
        " where renewal_id = $1",
        renewal.renewal_id,
        five_minutes,
    )
    [call] = await fetched(payment, other, 10)
    assert (call.key, call.was_sent, call.sent_before) == (begun.key, False, None)
    taken = await row(payment, renewal)
    assert taken["queued_until"] != taken["due_at"]
    # Nobody could ask meanwhile: what it has to be known by has moved on with it.
    moved = taken["resolve_before"] - waits["resolve_before"]
    assert five_minutes <= moved <= five_minutes + timedelta(seconds=30)

    # A lease that was lost gives nothing back.
    await other.record(other.calls.put_off(begun))
    assert await row(payment, renewal) == taken
    await other.record(other.calls.put_off(call))
    await payment.consume("commands", renewal.cancel())
    await hear(payment, PaymentCancelled, renewal)
    assert await fetched(payment, other, 10) == []


async def test_a_capture_whose_answer_was_lost_in_an_outage_stays_one_that_may_have_been_made(
    payment: Wired, other: OtherProcess, payer: Subscribe
) -> None:
    renewal = await payer()
    call = await other.confirmable(await other.consume(renewal.priced()))
    lost = Outcome(call.renewal_id, Kind.UNKNOWN, utc_now(), call.operation, is_outage=True)
    await other.record(other.calls.excused(call, lost))

    [again] = await fetched(payment, other, 10)
    assert (again.key, again.was_sent, again.reference) == (call.key, True, call.reference)
    await other.record(other.calls.put_off(again))
    [once_more] = await fetched(payment, other, 10)
    assert once_more.was_sent
    assert once_more.sent_before == again.sent_before


async def fetched(payment: Wired, other: OtherProcess, number: int) -> Sequence[Call]:
    """What a lane with room for so many takes out of the PSP's queue."""

    async def claim(transaction: Transaction) -> Sequence[Call]:
        return (await other.calls.claim(transaction.connection, 0, {"sandbox": number})).queued

    return await payment.transactions.run(claim)


async def attempt(payment: Wired, renewal: Renewal) -> Any:
    return await payment.pool.fetchrow(
        "select * from payment_attempts where renewal_id = $1", renewal.renewal_id
    )
