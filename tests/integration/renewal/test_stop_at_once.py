"""Charges are stopped while batches of triggers are under way: from the answer on none begins anything."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.renewal.domain.charge_stop import ChargeStop, StopKind, scope_of
from services.renewal.operators import charge_routes, charge_store
from shared.clock import utc_now
from shared.messaging.transaction import Transaction
from tests.integration.at_once import DEADLINE_SECONDS, at_once, consuming
from tests.integration.renewal.conftest import Subscriber, known
from tests.integration.renewal.operating import Operator
from tests.integration.wired import Reply, Wired

STOPS = "/v1/operator/charge-stops"
_WAITING = "select count(*) from pg_locks where locktype = 'advisory' and not granted"


@pytest.fixture(autouse=True)
async def everything_is_resumed(renewal: Wired) -> AsyncIterator[None]:
    yield
    await renewal.pool.execute("delete from charge_stops")
    await renewal.pool.execute("delete from kept_triggers")


async def ruled(renewal: Wired) -> Subscriber:
    [one] = await known(renewal)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    assert (await renewal.request("PUT", path, one.rule())).status == 200
    return one


async def stop(renewal: Wired) -> Reply:
    return await Operator(renewal).post(STOPS, kind="everywhere", why="the PSP charges twice")


async def begun(renewal: Wired, one: Subscriber) -> int:
    found: int = await renewal.pool.fetchval(
        "select count(*) from renewals where subscription_id = $1", one.subscription_id
    )
    return found


async def test_a_stop_is_answered_when_what_had_looked_before_it_has_ended(renewal: Wired) -> None:
    one = await ruled(renewal)
    trigger = consuming(renewal, "admission", one.exhausted())
    looked, may_commit = asyncio.Event(), asyncio.Event()
    begun_at_answer: list[int] = []

    async def answered() -> None:
        assert (await stop(renewal)).status == 200
        begun_at_answer.append(await begun(renewal, one))

    async def slow_batch() -> None:
        async with renewal.transactions.begin() as transaction:
            await trigger(transaction)
            looked.set()
            await may_commit.wait()

    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(slow_batch())
        await looked.wait()
        stopping = tasks.create_task(answered())
        while not stopping.done() and not await renewal.pool.fetchval(_WAITING):
            await asyncio.sleep(0.01)
        may_commit.set()
    assert begun_at_answer == [1], "what it had begun was there at the answer, not after it"


@pytest.mark.parametrize("kind", ["everywhere", "brand", "carrier", "subscription"])
async def test_a_batch_that_comes_while_a_stop_waits_begins_nothing(renewal: Wired, kind: StopKind) -> None:
    one = await ruled(renewal)
    names = {"brand": "ola", "carrier": "cubacel", "subscription": one.subscription_id}
    name = names.get(kind)
    made = ChargeStop(scope_of(kind, name), kind, name, "ana", utc_now(), "the PSP charges twice")

    async def stop_and_wait(transaction: Transaction) -> None:
        await transaction.connection.execute(charge_store.SQL["wait_for_admissions"])
        await charge_store.insert_stop(transaction.connection, made)

    await at_once(renewal, stop_and_wait, consuming(renewal, "admission", one.exhausted()))
    assert await begun(renewal, one) == 0
    kept = (await Operator(renewal).get(f"/v1/operator/subscriptions/{one.subscription_id}")).body
    assert kept["kept_trigger"]["held_by"] == made.scope


async def test_what_takes_too_long_to_end_is_said_and_the_stop_holds(
    renewal: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charge_routes, "WAIT_SECONDS", 0.1)
    slow, late = await ruled(renewal), await ruled(renewal)
    async with renewal.transactions.begin() as transaction:
        await consuming(renewal, "admission", slow.exhausted())(transaction)
        refused = await stop(renewal)
        assert (refused.status, refused.problem) == (503, "renewals-still-beginning")
        await renewal.consume("admission", late.exhausted())
    assert (await begun(renewal, slow), await begun(renewal, late)) == (1, 0)
    monkeypatch.undo()
    again = await stop(renewal)
    assert (again.status, [one["scope"] for one in again.body["stops"]]) == (200, ["everywhere"])


async def test_what_people_ask_for_waits_for_no_stop_and_no_stop_for_them(renewal: Wired) -> None:
    [under_way, another] = await known(renewal, 2)
    async with renewal.transactions.begin() as transaction:
        await consuming(renewal, "admission", under_way.request())(transaction)
        assert (await stop(renewal)).status == 200
        await transaction.connection.execute(charge_store.SQL["wait_for_admissions"])
        await renewal.consume("admission", another.request())
    assert (await begun(renewal, under_way), await begun(renewal, another)) == (1, 1)
