"""Data runs out, a rule renews: once per cycle, and again in the next one."""

from __future__ import annotations

from typing import Any

from tests.acceptance.office import Office
from tests.acceptance.subscribers import DATA_BYTES, RECORD_BYTES, Subscriber


async def left(office: Office, subscriber: Subscriber, *, cycle: int, used_bytes: int) -> dict[str, Any]:
    """What is left once that much was used and that many top-ups have arrived."""
    found: dict[str, Any] = {}

    async def counted() -> bool:
        found.update(await office.buckets(subscriber))
        return bool(found["cycle"] == cycle and found["used_bytes"] == used_bytes)

    await office.until(counted, f"{used_bytes} bytes used in cycle {cycle}")
    return found


async def renewals(office: Office, subscriber: Subscriber, count: int) -> list[dict[str, Any]]:
    """That subscriber's renewals, newest first, once there are so many and all are completed."""

    async def completed() -> bool:
        found = await office.renewals_of(subscriber)
        return len(found) == count and all(one["state"] == "completed" for one in found)

    await office.until(completed, f"{count} completed renewals")
    return await office.renewals_of(subscriber)


async def test_exhausted_data_is_renewed_by_the_rule_once_per_cycle(office: Office) -> None:
    subscriber = await office.seeded(has_rule=True)
    first, second = subscriber.use("first"), subscriber.use("second")

    await office.say(first, second)

    [renewal] = await renewals(office, subscriber, 1)
    assert (renewal["origin"], renewal["cycle"]) == ("rule", 0)
    assert await office.effects(renewal["renewal_id"]) == ["captured", "applied"]
    filled = await left(office, subscriber, cycle=1, used_bytes=2 * RECORD_BYTES)
    assert filled["remaining_bytes"] == DATA_BYTES

    # The network repeats itself; the record behind the repetitions shows that they were read.
    await office.say(first, second, first, subscriber.use("third", size=1))
    same = await left(office, subscriber, cycle=1, used_bytes=2 * RECORD_BYTES + 1)
    assert same["remaining_bytes"] == DATA_BYTES - 1
    assert len(await office.renewals_of(subscriber)) == 1

    # Armed again: what the top-up brought is used up, and renewed.
    await office.say(subscriber.use("all-of-it", size=DATA_BYTES))
    newest, _ = await renewals(office, subscriber, 2)
    assert (newest["origin"], newest["cycle"]) == ("rule", 1)
    refilled = await left(office, subscriber, cycle=2, used_bytes=2 * RECORD_BYTES + 1 + DATA_BYTES)
    assert refilled["remaining_bytes"] == DATA_BYTES


async def test_a_rule_that_is_switched_off_renews_nothing(office: Office) -> None:
    subscriber = await office.seeded(has_rule=True)
    address = f"/v1/subscriptions/{subscriber.subscription_id}/renewal-rule"
    await office.ok("renewal", "PUT", address, subscriber.rule() | {"enabled": False})
    before = await unanswered_triggers(office)

    await office.say(subscriber.use("all", size=2 * RECORD_BYTES))

    async def both_read() -> bool:
        return await unanswered_triggers(office) == before + 2

    await office.until(both_read, "renewal has read both triggers")
    assert await office.renewals_of(subscriber) == []


async def unanswered_triggers(office: Office) -> float:
    """How many triggers found no rule that asks."""
    return await office.metric("renewal", "recarga_renewal_requests_total", answer="not_meant")
