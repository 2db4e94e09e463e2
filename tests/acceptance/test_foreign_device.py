"""One eSIM, one device: data used in another one blocks renewals until that one is bound."""

from __future__ import annotations

from typing import Any

from shared.contracts.usage_records import UsageRecorded
from tests.acceptance.office import Office
from tests.acceptance.subscribers import RECORD_BYTES, Subscriber


def used_in(subscriber: Subscriber, imei: str, record_id: str, size: int = 1) -> UsageRecorded:
    """What the network measured of a session that begins now, in that device."""
    record = subscriber.use(record_id, size)
    return record.model_copy(update={"imei": imei, "started_at": record.ended_at})


async def subscription(office: Office, subscriber: Subscriber) -> dict[str, Any]:
    """As support sees it."""
    path = f"/v1/subscriptions/{subscriber.subscription_id}"
    shown: dict[str, Any] = (await office.ok("provisioning", "GET", path)).body
    return shown


async def until_renewal_knows(office: Office, subscriber: Subscriber, *, matches: bool) -> None:
    async def known() -> bool:
        row = await office.database.fetchval(
            "select device_matches from renewal.subscriptions where subscription_id = $1",
            subscriber.subscription_id,
        )
        return bool(row == matches)

    await office.until(known, f"renewal knows whether the device matches: {matches}")


async def test_usage_in_another_device_blocks_renewals_until_it_is_bound(office: Office) -> None:
    subscriber = await office.seeded(has_rule=True)
    other = office.subscriber().imei
    assert (await subscription(office, subscriber))["device_matches"] is True

    await office.say(used_in(subscriber, other, "elsewhere"))
    await until_renewal_knows(office, subscriber, matches=False)
    shown = await subscription(office, subscriber)
    assert (shown["device_matches"], shown["foreign_imei"], shown["version"]) == (False, other, 2)

    # Neither the rule nor a person renews it.
    refused = await office.ask(subscriber)
    assert (refused.status, refused.problem) == (422, "device-changed")
    before = await answers(office)
    await office.say(subscriber.use("first"), subscriber.use("second", 2 * RECORD_BYTES))

    async def answered() -> bool:
        return await answers(office) >= before + 2

    await office.until(answered, "renewal has answered both triggers")
    assert await office.renewals_of(subscriber) == []

    # The other one is bound: it matches, usage in it is right, and a person may renew.
    body = subscriber.subscription() | {"bound_imei": other}
    bound = await office.ok("provisioning", "PUT", f"/v1/subscriptions/{subscriber.subscription_id}", body)
    assert (bound.body["device_matches"], bound.body["foreign_imei"]) == (True, None)
    await until_renewal_knows(office, subscriber, matches=True)
    renewal_id = await office.begun(subscriber)
    await office.in_state(renewal_id, "completed")
    await office.say(used_in(subscriber, other, "at-home", size=7))
    await office.until(lambda: used(office, subscriber, 3 * RECORD_BYTES + 8), "all is counted")
    assert (await subscription(office, subscriber))["device_matches"] is True


async def test_one_record_of_another_device_that_uses_everything_up_is_never_charged(office: Office) -> None:
    subscriber = await office.seeded(has_rule=True)
    other = office.subscriber().imei
    await office.say(used_in(subscriber, other, "elsewhere", size=2 * RECORD_BYTES))
    path = f"/v1/subscriptions/{subscriber.subscription_id}/renewal-decisions"

    async def decided() -> bool:
        return len((await office.ok("renewal", "GET", path)).body["items"]) == 2

    await office.until(decided, "both triggers of the record have their decisions")
    told = (await office.ok("renewal", "GET", path)).body["items"]
    assert {(each["trigger"], each["outcome"], each["reason"]) for each in told} == {
        ("threshold", "refused", "device_changed"),
        ("exhausted", "refused", "device_changed"),
    }
    assert await office.renewals_of(subscriber) == []


async def answers(office: Office) -> float:
    """How many requests and triggers renewal has answered, one way or another."""
    return await office.metric("renewal", "recarga_renewal_requests_total")


async def used(office: Office, subscriber: Subscriber, size: int) -> bool:
    return bool((await office.buckets(subscriber))["used_bytes"] == size)
