"""Time passes: what is due fires once, in bounded numbers, and never because we ourselves were deaf."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from services.renewal import store
from services.renewal.catch_up import CatchUp, ProgressReport
from services.renewal.domain.policy import POLICY
from services.renewal.store import Progress
from services.renewal.timers import Timers
from shared.clock import utc_now
from shared.contracts.message import Message
from shared.contracts.payment_commands import CancelPayment, CapturePayment
from shared.contracts.renewals import RenewalDelayed, RenewalRequested
from shared.messaging.consumer import Consumer
from shared.messaging.transaction import Transactions
from tests.integration.renewal.conftest import About, begun, known, row
from tests.integration.wired import Wired

DEADLINE = timedelta(seconds=POLICY.deadline_seconds["customer"])
PROMISE = timedelta(seconds=POLICY.promise_seconds)


class Future:
    """Timers whose clock a test sets; the service's own keep to the real time, in which nothing is due."""

    def __init__(self, renewal: Wired, per_tick: int = 500) -> None:
        self.renewal = renewal
        self.now = utc_now()
        self.transactions = Transactions(renewal.pool, renewal.outbox, lambda: self.now)
        self.timers = Timers(self.transactions, POLICY, tick_seconds=1, per_tick=per_tick)

    async def fire(self) -> int:
        """Fire what is due now; how many renewals were looked at."""
        return await self.transactions.run(self.timers.fire)

    async def wait(self, seconds: float) -> None:
        """Time passes while the saga keeps reading to the end."""
        until = self.now + timedelta(seconds=seconds)
        while self.now < until:
            self.now = min(until, self.now + timedelta(seconds=5))
            await self.caught_up()

    async def caught_up(self) -> None:
        """The saga's partitions are read to their end."""
        async with self.renewal.pool.acquire() as connection:
            await store.report_progress(connection, [Progress("prices.v1", 0, 0, True)], self.now, 10)

    async def next_due_at(self, renewal_id: UUID) -> datetime:
        found: datetime = (await row(self.renewal, renewal_id))["next_due_at"]
        return found


@pytest.fixture
async def future(renewal: Wired) -> AsyncIterator[Future]:
    """Only this test's renewals are open, and nothing has stalled yet."""
    await renewal.pool.execute("delete from renewals where closed_at is null")
    await renewal.pool.execute("truncate consumer_progress, stalls")
    made = Future(renewal)
    await made.caught_up()
    yield made
    await renewal.pool.execute("truncate consumer_progress, stalls")


def about_it(messages: list, about: About) -> list:  # type: ignore[type-arg]
    return [message for message in messages if message.renewal_id == about.renewal_id]


def needs_customer(about: About) -> Message:
    """Payment says that only the payer can help."""
    return about.declined().model_copy(update={"decline_class": "needs_customer"})


async def begin(renewal: Wired) -> About:
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    return about


async def test_nothing_fires_before_it_is_due(renewal: Wired, future: Future) -> None:
    await begin(renewal)
    await future.wait(10)
    assert await future.fire() == 0


async def test_silence_asks_the_same_question_again_with_the_same_id(renewal: Wired, future: Future) -> None:
    about = await begin(renewal)
    await future.wait(31)
    assert await future.fire() == 1
    first, second = about_it(renewal.said(RenewalRequested), about)
    assert first.event_id == second.event_id
    assert await future.fire() == 0, "the next question waits twice as long"
    assert (await future.next_due_at(about.renewal_id)) > future.now + timedelta(seconds=50)


async def test_a_renewal_that_goes_well_only_wakes_up_and_looks(renewal: Wired, future: Future) -> None:
    about = await begin(renewal)
    due_at = await future.next_due_at(about.renewal_id)
    await future.wait(29)
    batch = [renewal.received(about.priced()), renewal.received(about.captured())]
    handle = renewal.consumer("saga").handle
    await future.transactions.run(lambda transaction: handle(transaction, batch))  # type: ignore[arg-type, call-arg]
    before = await row(renewal, about.renewal_id)
    assert before["next_due_at"] == due_at, "the happy path never moves the timer"
    await future.wait(2)
    assert await future.fire() == 1
    after = await row(renewal, about.renewal_id)
    assert (after["version"], after["state"]) == (before["version"], "captured")
    assert after["next_due_at"] > future.now


async def test_a_deadline_cancels_through_the_payment(renewal: Wired, future: Future) -> None:
    about = await begin(renewal)
    await renewal.consume("saga", about.priced())
    await future.wait(DEADLINE.total_seconds() + 60)
    await future.fire()
    found = await row(renewal, about.renewal_id)
    assert (found["state"], found["reason"]) == ("cancelling_payment", "deadline_passed")
    assert [c.reason for c in about_it(renewal.said(CancelPayment), about)] == ["deadline_passed"]


async def test_a_delay_is_told_once(renewal: Wired, future: Future) -> None:
    about = await begin(renewal)
    for _ in range(20):
        await future.wait(20)
        await future.fire()
    assert len(about_it(renewal.said(RenewalDelayed), about)) == 1


async def test_a_delay_is_told_at_the_promise_by_one_of_several_processes(
    renewal: Wired, future: Future
) -> None:
    about = await begin(renewal)
    asked_at = (await row(renewal, about.renewal_id))["requested_at"]
    promised_by = asked_at + PROMISE
    await future.wait((promised_by - future.now - timedelta(microseconds=1)).total_seconds())
    while await future.fire():  # silence, before that
        assert about_it(renewal.said(RenewalDelayed), about) == []
    future.now = promised_by
    await asyncio.gather(*(future.fire() for _ in range(4)))
    [told] = about_it(renewal.said(RenewalDelayed), about)
    assert (told.promised_by, told.state) == (future.now, "requested")


async def test_while_a_consumer_is_behind_only_planned_retries_and_promises_fire(
    renewal: Wired, future: Future
) -> None:
    silent, retried = await begin(renewal), await begin(renewal)
    failed = retried.declined().model_copy(update={"decline_class": "soft"})
    await renewal.consume("saga", retried.priced(), failed)
    last = failed.model_copy(update={"attempt": 2, "version": 2})
    await renewal.consume("saga", last)
    planned = (await row(renewal, retried.renewal_id))["retry_at"]
    assert planned is not None
    future.now += DEADLINE + timedelta(minutes=5)
    while await future.fire():
        pass
    assert len(about_it(renewal.said(CapturePayment), retried)) == 2, "one at once, one as planned"
    assert len(about_it(renewal.said(RenewalRequested), silent)) == 1
    assert (await row(renewal, silent.renewal_id))["state"] == "requested"
    for about in (silent, retried):
        assert len(about_it(renewal.said(RenewalDelayed), about)) == 1


async def test_no_stall_of_ours_makes_the_customer_wait_longer_for_a_word(
    renewal: Wired, future: Future
) -> None:
    about = await begin(renewal)
    promised_by = (await row(renewal, about.renewal_id))["requested_at"] + PROMISE
    future.now = promised_by - timedelta(microseconds=1)
    assert await future.fire() == 0, "behind, and nobody has waited too long yet"
    future.now = promised_by
    assert await future.fire() == 1
    [told] = about_it(renewal.said(RenewalDelayed), about)
    assert told.promised_by == promised_by
    assert await future.fire() == 0, "told once, and all else waits until we are caught up"


async def test_behind_a_payer_whose_turn_it_is_is_neither_told_nor_looked_at(
    renewal: Wired, future: Future
) -> None:
    about = await begin(renewal)
    await renewal.consume("saga", about.priced(), needs_customer(about))
    assert (await row(renewal, about.renewal_id))["state"] == "awaiting_customer"
    future.now += DEADLINE + timedelta(minutes=5)
    assert await future.fire() == 0


async def test_whose_renewal_is_parked_is_told_at_the_promise_and_then_it_sleeps(
    renewal: Wired, future: Future
) -> None:
    about = await begin(renewal)
    await renewal.consume("saga", about.priced(), about.captured(), about.undetermined())
    parked = await row(renewal, about.renewal_id)
    promised_by = parked["requested_at"] + PROMISE
    assert (parked["state"], parked["next_due_at"]) == ("parked", promised_by)
    future.now = promised_by
    await asyncio.gather(*(future.fire() for _ in range(4)))
    [told] = about_it(renewal.said(RenewalDelayed), about)
    assert (told.promised_by, told.state) == (promised_by, "parked")
    after = await row(renewal, about.renewal_id)
    assert (after["state"], after["next_due_at"], after["delayed"]) == ("parked", None, True)


async def test_the_payers_own_time_is_no_delay_of_ours(renewal: Wired, future: Future) -> None:
    """They take longer than was promised; from their answer on the promise counts anew."""
    about = await begin(renewal)
    await renewal.consume("saga", about.priced(), needs_customer(about))
    await future.wait(2 * PROMISE.total_seconds())
    answered = future.now
    handle = renewal.consumer("saga").handle
    batch = [renewal.received(about.captured())]
    await future.transactions.run(lambda transaction: handle(transaction, batch))  # type: ignore[arg-type, call-arg]
    await future.fire()
    assert about_it(renewal.said(RenewalDelayed), about) == []
    await future.wait(PROMISE.total_seconds())
    while await future.fire():  # silence too
        pass
    [told] = about_it(renewal.said(RenewalDelayed), about)
    assert told.promised_by == answered + PROMISE


async def test_an_outage_longer_than_a_renewals_deadline_cancels_nobody(
    renewal: Wired, future: Future
) -> None:
    """Deadlines and silence are shifted by the stall; those that were not waiting meanwhile are not."""
    about = await begin(renewal)
    await renewal.consume("saga", about.priced())
    future.now += DEADLINE + timedelta(minutes=5)
    assert await future.fire() == 1, "behind: nobody has found the partition caught up all the while"
    assert await future.fire() == 0, "all but the promise waits"
    await future.caught_up()
    await future.fire()
    found = await row(renewal, about.renewal_id)
    assert found["state"] == "priced"
    assert future.now < found["next_due_at"] < future.now + timedelta(minutes=1)
    stalls = await renewal.pool.fetch("select * from stalls")
    assert len(stalls) == 1
    for _ in range(int(DEADLINE.total_seconds() / 30) + 10):
        await future.wait(30)
        await future.fire()
    assert (await row(renewal, about.renewal_id))["state"] == "cancelling_payment"


async def test_firing_is_bounded_per_tick_and_shared_by_processes(renewal: Wired, future: Future) -> None:
    people = await known(renewal, 30)
    abouts = await begun(renewal, *people)
    await future.wait(40)
    some = Timers(future.transactions, POLICY, tick_seconds=1, per_tick=10)
    assert await future.transactions.run(some.fire) == 10
    looked = await asyncio.gather(*(future.transactions.run(some.fire) for _ in range(4)))
    assert sum(looked) >= 20
    assert await future.transactions.run(some.fire) == 0
    said = [said.renewal_id for said in renewal.said(RenewalRequested)]
    assert all(said.count(about.renewal_id) == 2 for about in abouts), "each was asked again exactly once"


async def test_a_partition_is_caught_up_without_lag_or_while_its_newest_record_is_young(
    renewal: Wired,
) -> None:
    now = utc_now()
    catch_up = CatchUp()
    lag = {("prices.v1", 0): 0, ("prices.v1", 1): 7}
    assert [(one.partition, one.caught_up) for one in catch_up.rows(lag, now)] == [(0, True), (1, False)]
    about = await begin(renewal)
    fresh = renewal.received(about.priced())
    fresh.partition = 1
    fresh.record = type(fresh.record)(  # type: ignore[call-arg]
        "prices.v1", b"", b"", 1, 0, int(now.timestamp() * 1000) - 500
    )
    catch_up.read([fresh], now)
    assert [one.caught_up for one in catch_up.rows(lag, now)] == [True, True]
    assert [one.caught_up for one in catch_up.rows(lag, now + timedelta(seconds=3))] == [True, False]


async def test_the_report_remembers_a_stall_that_this_process_slept_through(
    renewal: Wired, future: Future
) -> None:
    consumer = Consumer("saga", (), (), handle=renewal.consumer("saga").handle)
    consumer.lag[("payments.v1", 3)] = 0
    clock = future.now
    report = ProgressReport(CatchUp(), consumer, renewal.pool, lambda: clock)
    await report.report()
    clock += timedelta(minutes=5)
    await report.report()
    await report.report()
    [stall] = await renewal.pool.fetch("select * from stalls where topic = 'payments.v1'")
    assert stall["ended_at"] - stall["began_at"] == timedelta(minutes=5)
