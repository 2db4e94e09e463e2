"""The way over from another system: who is not live is judged and recorded, and nothing else happens."""

import asyncio
from datetime import timedelta
from typing import Any

from services.renewal.cut_over.domain.cohort import bucket
from shared.clock import utc_now
from shared.contracts.renewals import RenewalAnnounced
from tests.integration.renewal.conftest import Subscriber, known, signed_in
from tests.integration.renewal.operating import WHY, Operator
from tests.integration.renewal.test_rules import decisions, look, requested, ruled
from tests.integration.wired import Reply, Wired

PATH = "/v1/cut-over"
_COUNT = {
    "renewals": "select count(*) from renewals where subscription_id = $1",
    "kept_triggers": "select count(*) from kept_triggers where subscription_id = $1",
    "refusals": "select count(*) from refusals where subscription_id = $1",
}
NOTHING = dict.fromkeys(_COUNT, 0)


async def put(renewal: Wired, name: str = "ana", **said: Any) -> Reply:
    """The setting, made from the one in force unless something else is said."""
    version = (await Operator(renewal).get(PATH)).body["version"]
    body = {"replaces": version, "percent": 100, "why": WHY} | said
    return await renewal.request("PUT", PATH, body, signed_in(name))


async def set_(renewal: Wired, **said: Any) -> dict[str, Any]:
    reply = await put(renewal, **said)
    assert reply.status == 200, reply
    body: dict[str, Any] = reply.body
    return body


async def in_shadow(renewal: Wired, one: Subscriber) -> None:
    await set_(renewal, shadow=[one.subscription_id])


async def rows_of(renewal: Wired, one: Subscriber) -> dict[str, int]:
    """How many rows there are of the subscription where something would be begun, kept or refused."""
    return {table: await renewal.pool.fetchval(_COUNT[table], one.subscription_id) for table in _COUNT}


async def test_who_is_in_shadow_gets_a_decision_and_nothing_else(renewal: Wired) -> None:
    one = await ruled(renewal)
    await in_shadow(renewal, one)
    await renewal.consume("admission", one.exhausted())
    [decision] = await decisions(renewal, one)
    assert (decision["outcome"], decision["shadow"], decision["renewal_id"]) == ("would_renew", True, None)
    assert decision["terms"] == {
        "offering_id": one.rule()["offering_id"],
        "max_amount_minor": 950,
        "currency": "USD",
        "payment_method_id": one.cards[0],
    }
    assert not requested(renewal, one)
    assert await rows_of(renewal, one) == NOTHING
    await set_(renewal)


async def test_a_refusal_in_shadow_is_the_one_that_it_would_have_been(renewal: Wired) -> None:
    one = await ruled(renewal)
    await in_shadow(renewal, one)
    unverified = one.customer(version=2, verified=False)
    await renewal.consume("projections", unverified)
    await renewal.consume("admission", one.exhausted())
    [decision] = await decisions(renewal, one)
    assert (decision["outcome"], decision["reason"]) == ("refused", "identity_not_verified")
    assert decision["shadow"]
    assert await rows_of(renewal, one) == NOTHING
    await set_(renewal)


async def test_nobody_in_shadow_is_told_of_a_charge_and_none_follows(renewal: Wired) -> None:
    one = await ruled(renewal, notice_seconds=3600)
    await in_shadow(renewal, one)
    await renewal.consume("admission", one.exhausted())
    [decision] = await decisions(renewal, one)
    assert decision["outcome"] == "would_renew"
    told = [said for said in renewal.said(RenewalAnnounced) if said.subscription_id == one.subscription_id]
    assert not told
    await look(renewal, timedelta(hours=2))
    assert await rows_of(renewal, one) == NOTHING
    await set_(renewal)


async def test_what_would_wait_is_not_kept_and_is_not_looked_at_again(renewal: Wired) -> None:
    hour = utc_now().hour
    night = {"from_hour": hour, "to_hour": (hour + 3) % 24, "zone": "UTC"}
    one = await ruled(renewal, quiet_hours=night)
    await in_shadow(renewal, one)
    await renewal.consume("admission", one.exhausted())
    [decision] = await decisions(renewal, one)
    assert (decision["outcome"], decision["reason"]) == ("would_wait", "quiet_hours")
    assert decision["next_try_at"] is not None
    assert await rows_of(renewal, one) == NOTHING
    await set_(renewal)


async def test_what_was_judged_in_shadow_is_not_charged_when_it_is_read_again_after_the_step(
    renewal: Wired,
) -> None:
    one = await ruled(renewal)
    await in_shadow(renewal, one)
    trigger = one.exhausted()
    await renewal.consume("admission", trigger)
    await set_(renewal, live=[one.subscription_id])
    await renewal.consume("admission", trigger)
    assert not requested(renewal, one)
    await renewal.consume("admission", one.exhausted(cycle=1))
    assert len(requested(renewal, one)) == 1
    await set_(renewal)


async def test_a_person_is_served_whatever_the_cut_over_says(renewal: Wired) -> None:
    one = await ruled(renewal)
    await in_shadow(renewal, one)
    reply = await renewal.request("POST", "/v1/renewals", one.body(), {"idempotency-key": "by-hand-1"})
    assert reply.status == 202, reply
    await set_(renewal)


async def test_a_step_of_the_percentage_adds_subscriptions_and_loses_none(renewal: Wired) -> None:
    people = await known(renewal, 4)
    in_order = sorted(people, key=lambda one: bucket(one.subscription_id))
    before: set[str] = set()
    for one in in_order:
        await set_(renewal, percent=bucket(one.subscription_id) + 1, why=f"{WHY}, {one.subscription_id}")
        live = set()
        for each in people:
            found = await Operator(renewal).get(f"{PATH}/subscriptions/{each.subscription_id}")
            assert found.body["percent"] == bucket(one.subscription_id) + 1
            if found.body["live"]:
                live.add(each.subscription_id)
        assert before | {one.subscription_id} <= live
        before = live
    assert before == {one.subscription_id for one in people}
    await set_(renewal)


async def test_a_share_of_a_brand_at_a_carrier_leaves_the_others_alone(renewal: Wired) -> None:
    one = await ruled(renewal)
    await set_(renewal, shares=[{"brand": "ola", "carrier": "cubacel", "percent": 0}])
    await renewal.consume("admission", one.exhausted())
    assert not requested(renewal, one)
    other = await ruled(renewal)
    await renewal.consume("projections", other.subscription(version=2, brand="luz"))
    await renewal.consume("admission", other.exhausted())
    assert len(requested(renewal, other)) == 1
    await set_(renewal)


async def test_every_version_is_kept_and_audited_and_the_same_again_is_none(renewal: Wired) -> None:
    first = await set_(renewal, percent=7, why="the first step, agreed with the carrier")
    again = await set_(renewal, percent=7, why="once more")
    assert again["version"] == first["version"]
    second = await set_(renewal, percent=8, live=["sub-b", "sub-a"])
    assert (second["version"], second["live"]) == (first["version"] + 1, ["sub-a", "sub-b"])
    versions = (await Operator(renewal).get(f"{PATH}/versions?limit=2")).body["items"]
    assert [(each["version"], each["percent"], each["live"]) for each in versions] == [
        (second["version"], 8, 2),
        (first["version"], 7, 0),
    ]
    audit = (await Operator(renewal).get("/v1/operator/audit?limit=2")).body["items"]
    assert [(line["action"], line["choice"]) for line in audit] == [
        ("set cut-over", str(second["version"])),
        ("set cut-over", str(first["version"])),
    ]
    assert audit[0]["after"]["live"] == ["sub-a", "sub-b"]
    await set_(renewal)


async def test_of_two_who_take_the_same_step_at_once_one_is_told_to_look_again(renewal: Wired) -> None:
    now = await set_(renewal, percent=21)
    replies = await asyncio.gather(
        *(put(renewal, replaces=now["version"], percent=percent) for percent in (22, 23))
    )
    assert sorted(reply.status for reply in replies) == [200, 409]
    late = await put(renewal, replaces=now["version"], percent=24)
    assert (late.status, late.problem) == (409, "cut-over-changed")
    await set_(renewal)


async def test_a_setting_that_says_two_things_is_refused(renewal: Wired) -> None:
    twice = [{"brand": "ola", "percent": 1}, {"brand": "ola", "percent": 2}]
    for wrong in ({"live": ["s"], "shadow": ["s"]}, {"shares": twice}, {"shares": [{"percent": 5}]}):
        assert (await put(renewal, **wrong)).status == 422
    assert (await put(renewal, percent=101)).status == 422


async def test_it_is_for_operators_and_a_viewer_may_only_look(renewal: Wired) -> None:
    assert (await renewal.request("GET", PATH)).status == 401
    viewer = signed_in("eva", "viewer")
    assert (await renewal.request("GET", PATH, None, viewer)).status == 200
    body = {"replaces": 0, "percent": 1, "why": WHY}
    assert (await renewal.request("PUT", PATH, body, viewer)).status == 403


async def test_a_subscription_that_nobody_told_of_is_not_found(renewal: Wired) -> None:
    found = await Operator(renewal).get(f"{PATH}/subscriptions/sub-nobody")
    assert (found.status, found.problem) == (404, "subscription-unknown")
