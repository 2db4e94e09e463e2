"""The switch: automatic charges stop everywhere, for a brand or for a carrier, and come back."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from services.renewal.domain.policy import POLICY
from services.renewal.operators import metrics
from services.renewal.operators.charges import AT_ONCE, KeptTriggers
from shared.clock import utc_now
from shared.contracts.renewals import RenewalRequested
from tests.integration.renewal.conftest import Subscriber, begun, known, someone
from tests.integration.renewal.operating import Operator
from tests.integration.wired import Reply, Wired

WHY = "the PSP charges twice, incident 7"
SECONDS = 20.0
STOPS = "/v1/operator/charge-stops"


async def stop(renewal: Wired, kind: str, name: str | None = None, by: str = "ana") -> Reply:
    named = {} if name is None else {"name": name}
    return await Operator(renewal, by).post(STOPS, kind=kind, why=WHY, **named)


async def resume(renewal: Wired, kind: str, name: str | None = None, by: str = "ben") -> Reply:
    named = {} if name is None else {"name": name}
    return await Operator(renewal, by).post(f"{STOPS}/resume", kind=kind, why="it is mended", **named)


@pytest.fixture(autouse=True)
async def everything_is_resumed(renewal: Wired) -> AsyncIterator[None]:
    yield
    for one in (await Operator(renewal).get(STOPS)).body["stops"]:
        assert (await resume(renewal, one["kind"], one["name"])).status == 200


async def ruled(renewal: Wired) -> Subscriber:
    """Somebody whose rule renews when the data is used up."""
    [one] = await known(renewal)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    assert (await renewal.request("PUT", path, one.rule())).status == 200
    return one


def requested(renewal: Wired, one: Subscriber) -> list[RenewalRequested]:
    return [said for said in renewal.said(RenewalRequested) if said.subscription_id == one.subscription_id]


async def until_requested(renewal: Wired, one: Subscriber, times: int = 1) -> list[RenewalRequested]:
    deadline = time.monotonic() + SECONDS
    while len(said := requested(renewal, one)) < times:
        assert time.monotonic() < deadline, "nothing was begun"
        await asyncio.sleep(0.05)
    return said


async def explained(renewal: Wired, one: Subscriber) -> dict[str, Any]:
    reply = await Operator(renewal).get(f"/v1/operator/subscriptions/{one.subscription_id}")
    body: dict[str, Any] = reply.body
    return body


@pytest.mark.parametrize(
    ("kind", "name", "scope"),
    [
        ("everywhere", None, "everywhere"),
        ("brand", "ola", "brand ola"),
        ("carrier", "cubacel", "carrier cubacel"),
    ],
)
async def test_a_rules_trigger_waits_while_charges_are_stopped_and_is_looked_at_when_they_are_resumed(
    renewal: Wired, kind: str, name: str | None, scope: str
) -> None:
    one = await ruled(renewal)
    stopped = await stop(renewal, kind, name)
    assert (stopped.status, [each["scope"] for each in stopped.body["stops"]]) == (200, [scope])
    await renewal.consume("admission", one.exhausted())
    assert requested(renewal, one) == []

    seen = await explained(renewal, one)
    assert seen["charges_stopped"]["stopped_by"] == "ana"
    assert (seen["kept_trigger"]["held_by"], seen["kept_trigger"]["cycle"]) == (scope, 0)
    assert WHY in seen["kept_trigger"]["detail"]
    assert (await Operator(renewal).get(STOPS)).body["kept_triggers"] == 1

    resumed = await resume(renewal, kind, name)
    assert resumed.body["stops"] == []
    [said] = await until_requested(renewal, one)
    assert said.terms.origin == "rule"
    assert (await explained(renewal, one))["kept_trigger"] is None


async def test_what_is_asked_for_by_hand_and_what_is_in_flight_goes_on(renewal: Wired) -> None:
    by_hand, under_way = await known(renewal, 2)
    [about] = await begun(renewal, under_way)
    await stop(renewal, "everywhere")
    await begun(renewal, by_hand)
    assert len(requested(renewal, by_hand)) == 1
    await renewal.consume("saga", about.priced(), about.captured(), about.applied())
    body = (await renewal.request("GET", f"/v1/renewals/{about.renewal_id}")).body
    assert body["state"] == "completed"


async def test_another_brands_or_carriers_rules_go_on(renewal: Wired) -> None:
    one, other = await ruled(renewal), await ruled(renewal)
    await renewal.consume("projections", other.subscription(2, brand="alo", carrier="etecsa"))
    await stop(renewal, "brand", "alo")
    await stop(renewal, "carrier", "etecsa")
    await renewal.consume("admission", one.exhausted(), other.exhausted())
    assert (len(requested(renewal, one)), len(requested(renewal, other))) == (1, 0)
    await resume(renewal, "brand", "alo")
    assert requested(renewal, other) == []
    await resume(renewal, "carrier", "etecsa")
    await until_requested(renewal, other)


async def test_what_one_stop_let_go_another_keeps(renewal: Wired) -> None:
    one = await ruled(renewal)
    await stop(renewal, "brand", "ola")
    await renewal.consume("admission", one.exhausted())
    await stop(renewal, "everywhere")
    await resume(renewal, "brand", "ola")
    deadline = time.monotonic() + SECONDS
    while (await explained(renewal, one))["kept_trigger"]["held_by"] != "everywhere":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert requested(renewal, one) == []
    await resume(renewal, "everywhere")
    await until_requested(renewal, one)


async def test_a_trigger_that_waited_too_long_is_refused_when_it_is_looked_at(renewal: Wired) -> None:
    one = await ruled(renewal)
    await stop(renewal, "everywhere")
    await renewal.consume("admission", one.exhausted())
    await renewal.consume("projections", one.subscription(2, top_ups=1))
    await resume(renewal, "everywhere")
    deadline = time.monotonic() + SECONDS
    while (seen := await explained(renewal, one))["kept_trigger"] is not None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert [refused["reason"] for refused in seen["refusals"]] == ["cycle_over"]


async def test_a_slot_that_frees_while_charges_are_stopped_begins_nothing_automatic(renewal: Wired) -> None:
    one = await ruled(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("admission", one.exhausted())
    assert (await explained(renewal, one))["kept_trigger"]["held_by"] is None
    await stop(renewal, "everywhere")
    await renewal.consume("saga", about.rejected(), about.payment_cancelled())
    assert (await explained(renewal, one))["kept_trigger"]["held_by"] == "everywhere"
    await resume(renewal, "everywhere")
    await until_requested(renewal, one, 2)


async def test_resumed_triggers_come_as_a_stream(renewal: Wired) -> None:
    people = [someone() for _ in range(AT_ONCE + 10)]
    kept = KeptTriggers(renewal.transactions, POLICY)
    async with renewal.transactions.begin() as transaction:
        await transaction.connection.executemany(
            "insert into kept_triggers (subscription_id, cycle, kind, held_by, kept_at) "
            "values ($1, 0, 'exhausted', 'brand gone', now())",
            [(one.subscription_id,) for one in people],
        )
        assert [await kept.look(transaction) for _ in range(3)] == [AT_ONCE, 10, 0]


async def test_a_trigger_whose_slot_freed_as_it_was_kept_is_found_by_the_sweep(renewal: Wired) -> None:
    one, busy = await ruled(renewal), await ruled(renewal)
    await begun(renewal, busy)
    kept = KeptTriggers(renewal.transactions, POLICY)
    async with renewal.transactions.begin() as transaction:
        await transaction.connection.executemany(
            "insert into kept_triggers (subscription_id, cycle, kind, kept_at) "
            "values ($1, 0, 'exhausted', $2)",
            [(each.subscription_id, utc_now() - timedelta(minutes=1)) for each in (one, busy)],
        )
        await kept.sweep(transaction)
    assert len(requested(renewal, one)) == 1
    assert len(requested(renewal, busy)) == 1, "its slot is still taken"
    assert (await explained(renewal, busy))["kept_trigger"] is not None


async def test_stopping_twice_is_stopping_once_and_each_change_is_audited(renewal: Wired) -> None:
    await known(renewal)
    await stop(renewal, "brand", "ola", by="uma")
    again = await stop(renewal, "brand", "ola", by="uma")
    assert (again.status, len(again.body["stops"])) == (200, 1)
    await resume(renewal, "brand", "ola", by="uma")
    resumed, stopped = (await Operator(renewal).get("/v1/operator/audit?operator=uma")).body["items"]
    assert (stopped["action"], stopped["choice"], stopped["why"]) == ("stop charges", "brand ola", WHY)
    assert (stopped["before"], stopped["after"]) == ({"stopped": []}, {"stopped": ["brand ola"]})
    assert (resumed["action"], resumed["after"]) == ("resume charges", {"stopped": []})


async def test_what_is_not_stopped_cannot_be_resumed_and_what_is_is_told(renewal: Wired) -> None:
    await known(renewal)
    await stop(renewal, "carrier", "cubacel")
    reply = await resume(renewal, "everywhere")
    assert (reply.status, reply.problem) == (409, "charges-not-stopped")
    assert reply.body["stopped"] == ["carrier cubacel"]


@pytest.mark.parametrize("kind", ["brand", "carrier"])
async def test_a_brand_or_carrier_that_is_none_is_refused_with_those_that_there_are(
    renewal: Wired, kind: str
) -> None:
    await known(renewal)
    reply = await stop(renewal, kind, "olla")
    assert (reply.status, reply.problem) == (422, f"unknown-{kind}")
    assert {"brand": "ola", "carrier": "cubacel"}[kind] in reply.body["allowed"]
    assert (await Operator(renewal).get(STOPS)).body["stops"] == []


@pytest.mark.parametrize(("kind", "name"), [("everywhere", "ola"), ("brand", None)])
async def test_the_name_must_go_with_the_kind(renewal: Wired, kind: str, name: str | None) -> None:
    for reply in (await stop(renewal, kind, name), await resume(renewal, kind, name)):
        assert (reply.status, reply.problem) == (422, "stop-name-not-right")


async def test_a_viewer_sees_the_switch_and_does_not_touch_it(renewal: Wired) -> None:
    vera = Operator(renewal, "vera", "viewer")
    assert (await vera.get(STOPS)).status == 200
    assert (await vera.post(STOPS, kind="everywhere", why=WHY)).problem == "role-not-sufficient"


async def test_a_subscription_that_nobody_knows_is_not_explained(renewal: Wired) -> None:
    reply = await Operator(renewal).get("/v1/operator/subscriptions/nobody")
    assert (reply.status, reply.problem) == (404, "subscription-unknown")


async def test_the_timeline_says_why_the_next_renewal_waits(renewal: Wired) -> None:
    one = await ruled(renewal)
    await renewal.consume("admission", one.exhausted())
    [said] = requested(renewal, one)
    await stop(renewal, "everywhere")
    await renewal.consume("admission", one.exhausted(cycle=1))
    told = (await Operator(renewal).get(f"/v1/renewals/{said.renewal_id}/operator/timeline")).body
    assert told["charges_stopped"]["scope"] == "everywhere"
    assert told["kept_trigger"]["cycle"] == 1
    assert "Another renewal of the subscription is under way" in told["kept_trigger"]["detail"]


async def test_the_gauges_tell_what_is_stopped_and_what_waits(renewal: Wired) -> None:
    one = await ruled(renewal)
    await stop(renewal, "brand", "ola")
    await renewal.consume("admission", one.exhausted())
    await KeptTriggers(renewal.transactions, POLICY).count()
    assert metrics.charges_stopped["brand"]._value.get() == 1
    assert metrics.charges_stopped["everywhere"]._value.get() == 0
    assert metrics.kept_by["stop"]._value.get() == 1


async def test_the_batch_asks_as_often_as_before(renewal: Wired) -> None:
    people = [await ruled(renewal) for _ in range(3)]
    await renewal.consume("admission", people[0].exhausted())
    one_trigger = len(renewal.statements)
    await stop(renewal, "everywhere")
    await renewal.consume("admission", *(each.exhausted() for each in people[1:]))
    assert len(renewal.statements) == one_trigger - 1, "read; then keep instead of insert, and count nothing"
