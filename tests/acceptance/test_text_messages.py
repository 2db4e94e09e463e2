"""A subscriber without data answers by text message: the plan is renewed, once, and can be stopped."""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance.http_caller import Reply, send
from tests.acceptance.office import Office
from tests.acceptance.subscribers import AMOUNT_MINOR, Subscriber

PORT = "/v1/text-messages/sandbox"


async def answered(office: Office, subscriber: Subscriber, text: str, message_id: str) -> Reply:
    """What the SMS gateway is told that brings this."""
    said = {"message_id": message_id, "sender": subscriber.msisdn, "text": text}
    body = json.dumps(said).encode()
    headers = {"content-type": "application/json", **office.signed_text(body)}
    return await send(office.stack.service_url("renewal"), "POST", PORT, body, headers)


async def replies_of(office: Office, subscriber: Subscriber) -> list[dict[str, Any]]:
    path = f"/v1/subscriptions/{subscriber.subscription_id}/text-messages"
    items: list[dict[str, Any]] = (await office.ok("renewal", "GET", path)).body["items"]
    return items


async def known_by_number(office: Office, *subscribers: Subscriber) -> None:
    numbers = [one.msisdn for one in subscribers]
    await office.until(
        lambda: office.known("renewal.subscriber_numbers", "msisdn", numbers), "renewal knows the numbers"
    )


async def test_who_answers_1_has_data_and_is_charged_once(office: Office) -> None:
    subscriber = await office.seeded(has_rule=True)
    await known_by_number(office, subscriber)
    first = await answered(office, subscriber, "1", f"sms-{subscriber.number}")
    again = await answered(office, subscriber, "1", f"sms-{subscriber.number}")

    assert (first.status, first.body["outcome"]) == (200, "renewing"), first
    assert (again.status, again.body) == (200, first.body)
    renewal = await office.in_state(first.body["renewal_id"], "completed")
    assert (renewal["origin"], renewal["amount_minor"]) == ("customer", AMOUNT_MINOR)
    assert await office.effects(first.body["renewal_id"]) == ["captured", "applied"]
    assert len(await office.renewals_of(subscriber)) == 1


async def test_who_answers_stop_is_not_renewed_by_the_rule(office: Office) -> None:
    subscriber = await office.seeded(has_rule=True)
    await known_by_number(office, subscriber)
    reply = await answered(office, subscriber, "STOP", f"sms-{subscriber.number}")
    assert (reply.status, reply.body["outcome"]) == (200, "stopped"), reply

    await office.say(subscriber.use("first"), subscriber.use("second"))

    async def waits() -> bool:
        path = f"/v1/subscriptions/{subscriber.subscription_id}/renewal-decisions"
        found = (await office.ok("renewal", "GET", path)).body["items"]
        return [each["reason"] for each in found] == ["rule_paused"] * len(found) != []

    await office.until(waits, "the rule's trigger waits")
    assert await office.renewals_of(subscriber) == []
    assert [each["outcome"] for each in await replies_of(office, subscriber)] == ["stopped"]


async def test_a_message_that_nobody_has_signed_does_nothing(office: Office) -> None:
    subscriber = await office.seeded(has_rule=True)
    await known_by_number(office, subscriber)
    said = {"message_id": f"sms-{subscriber.number}", "sender": subscriber.msisdn, "text": "1"}
    before = await office.metric("renewal", "recarga_renewal_text_messages_total", outcome="forged")

    reply = await office.http("renewal", "POST", PORT, said)

    assert (reply.status, reply.problem) == (401, "text-message-signature-invalid")
    assert await office.metric("renewal", "recarga_renewal_text_messages_total", outcome="forged") > before
    assert await office.renewals_of(subscriber) == []
    assert await replies_of(office, subscriber) == []
