"""The burst breaker on a real server: it trips, waits for a person, and counts exactly among several."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from services.renewal import admissions, burst_store
from services.renewal.domain.asking import Trigger, trigger_of
from services.renewal.domain.burst import BurstLimit, BurstLimits
from services.renewal.domain.policy import POLICY, Policy
from services.renewal.operators import metrics
from services.renewal.operators.charges import KeptTriggers
from shared.clock import utc_now
from shared.contracts.renewals import AutomaticChargesStopped, RenewalRequested
from shared.messaging.transaction import Transaction
from tests.integration.renewal.conftest import About, Subscriber, known
from tests.integration.renewal.operating import Operator
from tests.integration.wired import Wired

STOPS = "/v1/operator/charge-stops"
MANY = BurstLimit(1000, 600)


def policy(**limits: BurstLimit) -> Policy:
    return replace(POLICY, bursts=BurstLimits(MANY, MANY, MANY)._replace(**limits))


async def ruled(renewal: Wired, how_many: int) -> list[Subscriber]:
    people = await known(renewal, how_many)
    for one in people:
        path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
        assert (await renewal.request("PUT", path, one.rule())).status == 200
    return people


@pytest.fixture(autouse=True)
async def everything_is_resumed(renewal: Wired) -> AsyncIterator[None]:
    await renewal.pool.execute("delete from burst_counts")
    yield
    for one in (await Operator(renewal).get(STOPS)).body["stops"]:
        await Operator(renewal).post(
            f"{STOPS}/resume",
            kind=one["kind"],
            why="it is over",
            **({"name": one["name"]} if one["name"] else {}),
        )
    await renewal.pool.execute("delete from kept_triggers")


async def trigger(renewal: Wired, limits: Policy, *triggers: Trigger) -> None:
    async def work(transaction: Transaction) -> None:
        await admissions.admit(transaction, triggers, limits)

    await renewal.transactions.run(work)


def exhausted(one: Subscriber, cycle: int = 0) -> Trigger:
    return trigger_of(one.exhausted(cycle), None)


async def begun(renewal: Wired, people: list[Subscriber]) -> int:
    names = [one.subscription_id for one in people]
    found: int = await renewal.pool.fetchval(
        "select count(*) from renewals where subscription_id = any($1) and dunning_try is not null", names
    )
    return found


async def decided(renewal: Wired, one: Subscriber) -> dict[str, Any]:
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-decisions"
    newest: dict[str, Any] = (await renewal.request("GET", path)).body["items"][0]
    return newest


async def test_beyond_the_limit_a_brand_is_stopped_told_and_waits_until_a_person_resumes_it(
    renewal: Wired,
) -> None:
    people = await ruled(renewal, 4)
    limits = policy(brand=BurstLimit(2, 600))
    await trigger(renewal, limits, *(exhausted(one) for one in people))
    assert await begun(renewal, people) == 2

    [stop] = (await Operator(renewal).get(STOPS)).body["stops"]
    assert (stop["scope"], stop["stopped_by"]) == ("brand ola", "breaker")
    [said] = [said for said in renewal.said(AutomaticChargesStopped) if said.key == "brand ola"]
    assert (said.kind, said.name, said.limit, said.counted) == ("brand", "ola", 2, 2)
    reasons = [(await decided(renewal, one))["reason"] for one in people]
    assert sorted(map(str, reasons)) == ["None", "None", "breaker", "breaker"]
    [deed] = (await Operator(renewal).get("/v1/operator/audit?operator=breaker&limit=1")).body["items"]
    assert (deed["action"], deed["choice"]) == ("stop charges", "brand ola")

    await KeptTriggers(renewal.transactions, limits).count()
    assert metrics.breaker_open["brand"]._value.get() == 1
    [another] = await ruled(renewal, 1)
    await trigger(renewal, limits, exhausted(another))
    assert (await decided(renewal, another))["reason"] == "breaker", "a stop is found, not made again"
    assert len([said for said in renewal.said(AutomaticChargesStopped) if said.key == "brand ola"]) == 1

    resumed = await Operator(renewal, "ben").post(
        f"{STOPS}/resume", kind="brand", name="ola", why="a busy day"
    )
    assert resumed.body["stops"] == []
    deadline = asyncio.get_running_loop().time() + 20
    while await begun(renewal, [*people, another]) < 5:
        assert asyncio.get_running_loop().time() < deadline, "what waited was not looked at again"
        await asyncio.sleep(0.05)


async def test_several_processes_at_once_count_together(renewal: Wired) -> None:
    people = await ruled(renewal, 8)
    limits = policy(everywhere=BurstLimit(3, 600))
    await asyncio.gather(*(trigger(renewal, limits, exhausted(one)) for one in people))
    counted = await renewal.pool.fetchval("select sum(renewals) from burst_counts where scope = 'everywhere'")
    assert counted == await begun(renewal, people)
    assert (await Operator(renewal).get(STOPS)).body["stops"][0]["scope"] == "everywhere"
    before = await begun(renewal, people)
    [late] = await ruled(renewal, 1)
    await trigger(renewal, limits, exhausted(late))
    assert (await begun(renewal, people), await begun(renewal, [late])) == (before, 0)


async def test_one_subscription_that_renews_again_and_again_is_stopped_alone(renewal: Wired) -> None:
    again, other = await ruled(renewal, 2)
    limits = policy(subscription=BurstLimit(2, 600))
    for cycle in range(3):
        await trigger(renewal, limits, exhausted(again, cycle))
        said = [
            each for each in renewal.said(RenewalRequested) if each.subscription_id == again.subscription_id
        ]
        about = About(said[-1])
        if cycle < 2:
            await renewal.consume("saga", about.priced(), about.captured(), about.applied(cycle + 1))
    assert await begun(renewal, [again]) == 2
    assert (await decided(renewal, again))["reason"] == "breaker"
    await trigger(renewal, limits, exhausted(other))
    assert await begun(renewal, [other]) == 1

    scope = {"kind": "subscription", "name": again.subscription_id}
    path = f"/v1/operator/subscriptions/{again.subscription_id}"
    assert (await Operator(renewal).get(path)).body["charges_stopped"]["stopped_by"] == "breaker"
    assert (await Operator(renewal).post(f"{STOPS}/resume", why="it was a test", **scope)).status == 200
    await trigger(renewal, limits, exhausted(again, 2))
    assert await begun(renewal, [again]) == 3, "it counts from when it was closed"


async def test_what_people_ask_for_is_neither_counted_nor_stopped(renewal: Wired) -> None:
    [one] = await known(renewal)
    await renewal.consume("admission", one.request())
    assert not await renewal.pool.fetchval("select count(*) from burst_counts")
    assert not any("burst" in statement for statement in renewal.statements)


async def test_old_counts_are_forgotten(renewal: Wired) -> None:
    async with renewal.transactions.begin() as transaction:
        connection, now = transaction.connection, utc_now()
        await burst_store.add(connection, [("brand gone", now, 7, now)])
        await burst_store.reset(connection, "subscription gone", now)
        await burst_store.forget(connection, utc_now())
        assert not await connection.fetchval("select count(*) from burst_counts where scope = 'brand gone'")
        assert not await connection.fetchval("select count(*) from burst_resets where scope like '% gone'")
