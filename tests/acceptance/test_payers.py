"""Payers who are asked for something, and time that passes: by the link, by the deadline, or not at all."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiokafka import AIOKafkaConsumer

from shared.contracts.customers import CustomerChanged
from shared.contracts.renewals import TOPIC, CustomerActionRequired
from tests.acceptance.http_caller import Reply, send_json
from tests.acceptance.office import DEADLINE_SECONDS, Office
from tests.acceptance.subscribers import Subscriber


async def told(office: Office, renewal_id: str) -> CustomerActionRequired:
    """What the payer of that renewal was asked, as whoever writes to payers reads it."""
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=office.stack.kafka_bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for record in consumer:
                headers = dict(record.headers)
                if (headers.get("ce_type"), headers.get("ce_subject")) == (
                    CustomerActionRequired.__name__.encode(),
                    renewal_id.encode(),
                ):
                    return CustomerActionRequired.model_validate_json(record.value)
    finally:
        await consumer.stop()
    raise AssertionError("the topic has no end")


async def follow(question: CustomerActionRequired, method: str, body: object = None) -> Reply:
    """Follow the link of a question, to look or to answer."""
    assert question.action_url is not None
    parts = urlsplit(question.action_url)
    return await send_json(f"{parts.scheme}://{parts.netloc}", method, f"{parts.path}?{parts.query}", body)


async def deadline_passes(office: Office, renewal_id: str) -> None:
    """For this renewal it is as late as its payer, or its deadline, could wait for."""
    await office.database.execute(
        "update renewal.renewals set next_due_at = now(), deadline_at = now(),"
        " action_before = case when action_before is not null then now() end"
        " where renewal_id = $1::uuid",
        renewal_id,
    )


def lines(renewal: dict[str, Any], message: str) -> int:
    """How often that stands in its history."""
    return sum(line["message"] == message for line in renewal["history"])


async def test_a_payer_pays_with_another_card_by_the_link_that_was_sent(office: Office) -> None:
    subscriber = await office.seeded(cards=("sca_off_session", "ok"))
    renewal_id = await office.begun(subscriber)
    await office.in_state(renewal_id, "awaiting_customer")

    question = await told(office, renewal_id)
    shown = await follow(question, "GET")
    paid = await follow(question, "POST", {"payment_method_id": subscriber.payment_method_ids[1]})

    assert (shown.status, shown.body["action"]) == (200, "choose_payment_method")
    assert shown.body["failed"] == "authentication_required"
    assert paid.status == 202
    await office.in_state(renewal_id, "completed")
    assert await office.effects(renewal_id) == ["captured", "applied"]
    late = await follow(question, "POST", {"payment_method_id": subscriber.payment_method_ids[0]})
    assert (late.status, late.problem) == (409, "action-renewal-closed")


@pytest.mark.parametrize("card", ["sca", "sca_off_session"])
async def test_a_payer_who_never_comes_pays_nothing_and_leaves_nothing_behind(
    office: Office, card: str
) -> None:
    subscriber = await office.seeded(cards=(card,))
    renewal_id = await office.begun(subscriber)
    await office.in_state(renewal_id, "awaiting_customer")
    assert (await office.ask(subscriber)).problem == "slot-taken"

    await deadline_passes(office, renewal_id)

    renewal = await office.in_state(renewal_id, "cancelled")
    assert renewal["reason"] == "deadline_passed"
    assert await office.effects(renewal_id) == ["cancelled"], "the PSP's object is cancelled"
    again = await office.begun(subscriber)
    await office.in_state(again, "awaiting_customer")
    await office.ok("renewal", "POST", f"/v1/renewals/{again}/cancel")
    await office.in_state(again, "cancelled")


async def payer_in(office: Office, country: str) -> Subscriber:
    """Somebody with a verified identity and a card there, and no subscription, whom renewal knows."""
    payer = office.subscriber()
    told = CustomerChanged(customer_id=payer.customer_id, version=1, identity_verified=True, country=country)
    await office.say(told)
    await office.ok("payment", "POST", "/v1/payment-methods/bulk", {"items": payer.payment_methods()})
    for table, column, keys in (
        ("renewal.customers", "customer_id", [payer.customer_id]),
        ("renewal.payer_countries", "customer_id", [payer.customer_id]),
        ("renewal.payment_methods", "payment_method_id", payer.payment_method_ids),
        ("renewal.method_kinds", "payment_method_id", payer.payment_method_ids),
    ):
        await office.until(lambda t=table, c=column, k=keys: office.known(t, c, k), f"{table} complete")  # type: ignore[misc] # bound now
    return payer


async def test_a_payer_from_abroad_is_refused_where_another_payer_renews(office: Office) -> None:
    traveller, friend = await office.seeded(), await payer_in(office, "US")
    by_friend: dict[str, Any] = {
        "payer_id": friend.customer_id,
        "payment_method_ids": friend.payment_method_ids,
    }
    entry, olga = "/v1/operator/acceptance/CU/US/card", office.signed_in("olga")
    why = "The acquirer takes no card from there."
    judged = await office.http("renewal", "PUT", entry, {"verdict": "refuse", "why": why}, olga)
    assert judged.status == 200, judged
    try:
        refused = await office.ask(traveller, **by_friend)
        assert (refused.status, refused.problem) == (422, "not-accepted")
        assert "from a payer in US" in refused.body["detail"]
        assert await office.renewals_of(traveller) == []

        renewed = await office.begun(traveller)

        await office.in_state(renewed, "completed")
        assert await office.effects(renewed) == ["captured", "applied"]
    finally:
        gone = await office.http("renewal", "DELETE", f"{entry}?why=Over.", headers=olga)
        assert gone.status == 200, gone
    accepted = await office.begun(traveller, **by_friend)
    await office.in_state(accepted, "completed")
    assert (await office.renewal(accepted))["payer_id"] == friend.customer_id


async def test_a_renewal_at_its_deadline_is_cancelled_and_the_money_goes_back(office: Office) -> None:
    subscriber = await office.seeded(carrier_code="30")  # the carrier is told and never hears
    renewal_id = await office.begun(subscriber)
    await office.in_state(renewal_id, "captured")

    await deadline_passes(office, renewal_id)

    renewal = await office.in_state(renewal_id, "refunded")
    assert renewal["reason"] == "deadline_passed"
    assert sorted(await office.effects(renewal_id)) == ["captured", "refunded", "topup_cancelled"]


async def test_a_renewal_that_takes_longer_than_promised_says_so_once(office: Office) -> None:
    subscriber = await office.seeded(carrier_code="30")
    renewal_id = await office.begun(subscriber)
    await office.in_state(renewal_id, "captured")
    await office.database.execute(
        "update renewal.renewals set requested_at = requested_at - interval '3 minutes', next_due_at = now()"
        " where renewal_id = $1::uuid",
        renewal_id,
    )

    async def is_told() -> bool:
        return lines(await office.renewal(renewal_id), "DelayPromise") > 0

    await office.until(is_told, "the customer is told")
    await office.ok("renewal", "POST", f"/v1/renewals/{renewal_id}/cancel")
    renewal = await office.in_state(renewal_id, "refunded")
    assert lines(renewal, "DelayPromise") == 1
