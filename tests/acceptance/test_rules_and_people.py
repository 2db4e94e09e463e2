"""A rule that cannot be paid tries anew and asks for another card; whoever asks in person comes first."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer

from shared.contracts.renewals import TOPIC, PaymentMethodRequired
from tests.acceptance.office import DEADLINE_SECONDS, Office
from tests.acceptance.subscribers import Subscriber


async def set_rule(office: Office, subscriber: Subscriber, *cards: int, **different: Any) -> None:
    """The subscriber's rule, paying with these of their cards, counted from 0."""
    methods = {"payment_method_ids": [subscriber.payment_method_ids[card] for card in cards]}
    path = f"/v1/subscriptions/{subscriber.subscription_id}/renewal-rule"
    await office.ok("renewal", "PUT", path, subscriber.rule() | methods | different)


async def begun_by_rule(office: Office, subscriber: Subscriber, already: int = 0) -> str:
    """The id of the newest renewal, once the rule has begun so many and one more."""

    async def is_begun() -> bool:
        return len(await office.renewals_of(subscriber)) == already + 1

    await office.until(is_begun, f"renewal number {already + 1} of the rule")
    newest = (await office.renewals_of(subscriber))[0]
    assert newest["origin"] == "rule"
    return str(newest["renewal_id"])


async def asked_for_another_card(office: Office, renewal_id: str) -> PaymentMethodRequired:
    """As whoever writes to payers reads it."""
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=office.stack.kafka_bootstrap, auto_offset_reset="earliest"
    )
    wanted = (PaymentMethodRequired.__name__.encode(), renewal_id.encode())
    await consumer.start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for record in consumer:
                headers = dict(record.headers)
                if (headers.get("ce_type"), headers.get("ce_subject")) == wanted:
                    return PaymentMethodRequired.model_validate_json(record.value)
    finally:
        await consumer.stop()
    raise AssertionError("the topic has no end")


async def exhaust(office: Office, subscriber: Subscriber) -> None:
    await office.say(subscriber.use("first"), subscriber.use("second"))


async def test_a_declined_rule_asks_for_another_card_and_renews_with_it(office: Office) -> None:
    subscriber = await office.seeded(cards=("decline_lost_card", "ok"), has_rule=True)
    dunning = {"hard_after_seconds": [3600]}
    await set_rule(office, subscriber, 0, dunning=dunning)
    await exhaust(office, subscriber)
    first = await begun_by_rule(office, subscriber)
    failed = await office.in_state(first, "failed")
    assert failed["reason"] == "declined_hard"
    asked = await asked_for_another_card(office, first)
    assert asked.payment_method_ids == (subscriber.payment_method_ids[0],)

    await set_rule(office, subscriber, 0, 1, dunning=dunning)

    second = await begun_by_rule(office, subscriber, already=1)
    renewed = await office.in_state(second, "completed")
    assert renewed["payment_method_ids"] == [subscriber.payment_method_ids[1]]
    assert renewed["cycle"] == failed["cycle"]
    assert "captured" not in await office.effects(first)
    assert await office.effects(second) == ["captured", "applied"]


async def test_after_the_last_try_the_rule_is_paused_and_says_why(office: Office) -> None:
    subscriber = await office.seeded(cards=("decline_lost_card",), has_rule=True)
    await set_rule(office, subscriber, 0, dunning={"hard_after_seconds": [1]})
    await exhaust(office, subscriber)
    await office.in_state(await begun_by_rule(office, subscriber), "failed")
    rule_path = f"/v1/subscriptions/{subscriber.subscription_id}/renewal-rule"

    async def is_paused() -> bool:
        return (await office.ok("renewal", "GET", rule_path)).body["paused"] is not None

    await office.until(is_paused, "the rule is paused")
    assert (await office.ok("renewal", "GET", rule_path)).body["paused"]["by"] == "dunning"
    path = f"/v1/subscriptions/{subscriber.subscription_id}/renewal-decisions"
    decisions = (await office.ok("renewal", "GET", path)).body["items"]
    told = {(each["dunning_try"], each["outcome"], each["reason"]) for each in decisions}
    assert {(1, "refused", "declined"), (2, "refused", "no_other_card")} <= told
    assert len(await office.renewals_of(subscriber)) == 1


async def test_whoever_asks_in_person_comes_before_a_rule_that_waits_for_its_payer(office: Office) -> None:
    subscriber = await office.seeded(cards=("sca_off_session", "ok"), has_rule=True)
    await set_rule(office, subscriber, 0)
    await exhaust(office, subscriber)
    automatic = await begun_by_rule(office, subscriber)
    await office.in_state(automatic, "awaiting_customer")

    card = [subscriber.payment_method_ids[1]]
    reply = await office.ask(subscriber, key="in-person", payment_method_ids=card)

    assert reply.status == 202, reply
    in_person = str(reply.body["renewal_id"])
    assert (await office.ask(subscriber, key="in-person", payment_method_ids=card)).body[
        "renewal_id"
    ] == in_person
    renewed = await office.in_state(in_person, "completed")
    assert (renewed["origin"], renewed["payment_method_ids"]) == ("customer", card)
    cancelled = await office.in_state(automatic, "cancelled")
    assert cancelled["reason"] == "customer_cancelled"
    assert await office.effects(automatic) == ["cancelled"]
    assert await office.effects(in_person) == ["captured", "applied"]
