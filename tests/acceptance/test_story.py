"""Single renewals, told as their customers see them: over HTTP, and in the journals of PSP and carrier."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from tests.acceptance.http_caller import send_json
from tests.acceptance.office import Office
from tests.acceptance.subscribers import AMOUNT_MINOR, CALLER, CURRENCY, DATA_BYTES, Subscriber


def told(renewal: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The history: what came, and the state it led to."""
    return [(line["message"], line["to_state"]) for line in renewal["history"]]


async def wallet_of(office: Office, subscriber: Subscriber, balance_minor: int) -> str:
    """The payment method of a wallet with so much in it, once renewal knows it."""
    address = f"/v1/wallets/{subscriber.customer_id}/{CURRENCY}"
    await office.ok("payment", "PUT", address)
    deposit = {"amount_minor": balance_minor}
    reply = await office.http(
        "payment", "POST", f"{address}/deposits", deposit, {"idempotency-key": str(uuid.uuid4())}
    )
    assert reply.body["balance_minor"] == balance_minor
    method_id = f"acc-wallet-{subscriber.number}"
    method = {"payer_id": subscriber.customer_id, "kind": "wallet"}
    await office.ok("payment", "PUT", f"/v1/payment-methods/{method_id}", method)
    await office.until(
        lambda: office.known("renewal.payment_methods", "payment_method_id", [method_id]), "wallet known"
    )
    return method_id


async def balance_of(office: Office, subscriber: Subscriber) -> int:
    wallet = await office.ok("payment", "GET", f"/v1/wallets/{subscriber.customer_id}/{CURRENCY}")
    return int(wallet.body["balance_minor"])


async def test_a_renewal_is_priced_paid_and_topped_up(office: Office) -> None:
    subscriber = await office.seeded()

    accepted = await office.ask(subscriber)

    assert accepted.status == 202
    assert accepted.body["state"] == "requested"
    renewal_id = accepted.body["renewal_id"]
    assert accepted.headers["location"] == f"/v1/renewals/{renewal_id}"
    renewal = await office.in_state(renewal_id, "completed")
    assert told(renewal) == [
        ("RequestRenewal", "requested"),
        ("RenewalPriced", "priced"),
        ("PaymentCaptured", "captured"),
        ("TopUpApplied", "completed"),
    ]
    assert [(step["name"], step["state"], step["attempts"]) for step in renewal["steps"]] == [
        ("price", "done", 1),
        ("payment", "done", 1),
        ("top_up", "done", 1),
    ]
    assert all(step["at"] is not None for step in renewal["steps"])
    assert renewal["amount_minor"] == AMOUNT_MINOR
    assert await office.effects(renewal_id) == ["captured", "applied"]

    async def topped_up() -> bool:
        buckets = await office.buckets(subscriber)
        return bool(buckets["remaining_bytes"] == DATA_BYTES and buckets["cycle"] == 1)

    await office.until(topped_up, "the bucket is filled")


async def test_the_same_request_is_the_same_renewal_whichever_process_it_reaches(office: Office) -> None:
    subscriber = await office.seeded()
    key = str(uuid.uuid4())

    replies = await asyncio.gather(*(office.ask(subscriber, key, f"renewal-{1 + n % 2}") for n in range(6)))
    again = await office.ask(subscriber, key)
    other = await office.ask(subscriber, key, expected_amount_minor=AMOUNT_MINOR + 1)

    assert sorted(reply.status for reply in replies) == [200] * 5 + [202]
    assert len({reply.body["renewal_id"] for reply in [*replies, again]}) == 1
    assert (other.status, other.problem) == (422, "idempotency-key-reused")
    await office.in_state(again.body["renewal_id"], "completed")
    assert len(await office.renewals_of(subscriber)) == 1
    assert await office.effects(again.body["renewal_id"]) == ["captured", "applied"]


async def test_a_soft_decline_is_followed_by_the_next_payment_method(office: Office) -> None:
    subscriber = await office.seeded(cards=("decline_insufficient_funds", "ok"))

    renewal = await office.in_state(await office.begun(subscriber), "completed")

    assert ("PaymentDeclined", "priced") in told(renewal)
    assert [step["attempts"] for step in renewal["steps"] if step["name"] == "payment"] == [2]
    payment = await office.ok("payment", "GET", f"/v1/payments/{renewal['renewal_id']}")
    assert payment.body["payment_method_id"] == subscriber.payment_method_ids[1]
    assert await office.effects(renewal["renewal_id"]) == ["captured", "applied"]


async def test_a_carrier_that_is_busy_once_after_a_decline_is_asked_again(office: Office) -> None:
    subscriber = await office.seeded(cards=("decline_insufficient_funds", "ok"), carrier_code="61")

    renewal = await office.in_state(await office.begun(subscriber), "completed")

    assert ("TopUpAttemptFailed", "captured") in told(renewal)
    attempts = {step["name"]: step["attempts"] for step in renewal["steps"]}
    assert (attempts["payment"], attempts["top_up"]) == (2, 2)
    assert await office.effects(renewal["renewal_id"]) == ["captured", "applied"]


async def test_a_hard_decline_ends_as_failed_and_no_money_is_held(office: Office) -> None:
    subscriber = await office.seeded(cards=("decline_stolen_card",))

    renewal = await office.in_state(await office.begun(subscriber), "failed")

    assert renewal["reason"] == "declined_hard"
    assert told(renewal)[-2:] == [("PaymentDeclined", "cancelling_payment"), ("PaymentCancelled", "failed")]
    assert "captured" not in await office.effects(renewal["renewal_id"])


async def test_a_top_up_that_the_carrier_refuses_is_refunded_once(office: Office) -> None:
    subscriber = await office.seeded(carrier_code="10")

    renewal = await office.in_state(await office.begun(subscriber), "refunded")

    assert told(renewal)[-2:] == [("TopUpRejected", "refunding"), ("PaymentRefunded", "refunded")]
    effects = await office.effects(renewal["renewal_id"])
    assert [effect for effect in effects if effect != "topup_cancelled"] == ["captured", "refunded"]


async def test_a_payer_who_confirms_at_the_bank_gets_the_data(office: Office) -> None:
    subscriber = await office.seeded(cards=("sca",))
    renewal_id = await office.begun(subscriber)
    waiting = await office.in_state(renewal_id, "awaiting_customer")
    assert waiting["customer_action"] == "confirm_payment"
    intents = (
        await send_json(office.stack.psp_url, "GET", f"/v1/payment_intents?renewal_id={renewal_id}")
    ).body
    [intent] = intents["data"]

    confirmed = await send_json(
        office.stack.psp_url,
        "POST",
        f"/v1/payment_intents/{intent['id']}/authenticate",
        {"outcome": "succeeded"},
    )

    assert confirmed.status == 200
    await office.in_state(renewal_id, "completed")
    assert await office.effects(renewal_id) == ["captured", "applied"]


async def test_a_customer_may_cancel_while_the_payment_waits(office: Office) -> None:
    subscriber = await office.seeded(cards=("sca",))
    renewal_id = await office.begun(subscriber)
    await office.in_state(renewal_id, "awaiting_customer")

    cancelled = await office.http("renewal", "POST", f"/v1/renewals/{renewal_id}/cancel")

    assert cancelled.status == 202
    renewal = await office.in_state(renewal_id, "cancelled")
    assert renewal["reason"] == "customer_cancelled"
    assert await office.effects(renewal_id) == ["cancelled"]
    again = await office.http("renewal", "POST", f"/v1/renewals/{renewal_id}/cancel")
    assert again.status == 202, "to cancel what is cancelled is to say it twice"


async def test_a_customer_who_cancels_after_paying_gets_the_money_back(office: Office) -> None:
    subscriber = await office.seeded(carrier_code="30")  # the carrier is told and never hears
    renewal_id = await office.begun(subscriber)
    await office.in_state(renewal_id, "captured")

    cancelled = await office.http("renewal", "POST", f"/v1/renewals/{renewal_id}/cancel")

    assert cancelled.body["state"] == "cancelling_top_up"
    await office.in_state(renewal_id, "refunded")
    assert sorted(await office.effects(renewal_id)) == ["captured", "refunded", "topup_cancelled"]


async def test_a_completed_renewal_cannot_be_cancelled(office: Office) -> None:
    renewal_id = await office.begun(await office.seeded())
    await office.in_state(renewal_id, "completed")

    reply = await office.http("renewal", "POST", f"/v1/renewals/{renewal_id}/cancel")

    assert (reply.status, reply.problem) == (409, "not-possible-now")
    assert reply.body["allowed"] == []


async def test_a_wallet_pays_without_the_psp(office: Office) -> None:
    subscriber = await office.seeded()
    wallet = await wallet_of(office, subscriber, AMOUNT_MINOR + 5)

    renewal_id = await office.begun(subscriber, payment_method_ids=[wallet])

    await office.in_state(renewal_id, "completed")
    assert await office.effects(renewal_id) == ["applied"]
    assert await balance_of(office, subscriber) == 5


async def test_a_wallet_that_holds_too_little_pays_nothing(office: Office) -> None:
    subscriber = await office.seeded()
    wallet = await wallet_of(office, subscriber, AMOUNT_MINOR - 1)

    renewal_id = await office.begun(subscriber, payment_method_ids=[wallet, *subscriber.payment_method_ids])

    await office.in_state(renewal_id, "completed")
    assert await office.effects(renewal_id) == ["captured", "applied"]
    assert await balance_of(office, subscriber) == AMOUNT_MINOR - 1


async def test_the_money_of_a_wallet_goes_back_into_it(office: Office) -> None:
    subscriber = await office.seeded(carrier_code="10")
    wallet = await wallet_of(office, subscriber, AMOUNT_MINOR)

    renewal_id = await office.begun(subscriber, payment_method_ids=[wallet])

    await office.in_state(renewal_id, "refunded")
    assert await balance_of(office, subscriber) == AMOUNT_MINOR


async def test_a_price_above_what_was_shown_takes_no_money(office: Office) -> None:
    subscriber = await office.seeded()

    renewal_id = await office.begun(subscriber, expected_amount_minor=AMOUNT_MINOR - 1)

    renewal = await office.in_state(renewal_id, "failed")
    assert renewal["reason"] == "price_changed"
    assert told(renewal)[1] == ("RenewalRejected", "cancelling_payment")
    assert await office.effects(renewal_id) == []


@pytest.mark.parametrize("process", ["renewal-1", "renewal-2"])
async def test_a_subscription_has_one_open_renewal_at_a_time(office: Office, process: str) -> None:
    subscriber = await office.seeded(cards=("sca",))
    renewal_id = await office.begun(subscriber)

    second = await office.ask(subscriber, process=process)

    assert (second.status, second.problem) == (409, "slot-taken")
    assert "Wait until it is closed, or cancel it first" in second.body["detail"]
    await office.ok("renewal", "POST", f"/v1/renewals/{renewal_id}/cancel")
    await office.in_state(renewal_id, "cancelled")
    third = await office.ask(subscriber, process=process)
    assert third.status == 202, "the slot is free again"
    await office.in_state(third.body["renewal_id"], "awaiting_customer")
    await office.ok("renewal", "POST", f"/v1/renewals/{third.body['renewal_id']}/cancel")
    await office.in_state(third.body["renewal_id"], "cancelled")


async def test_another_system_asks_over_kafka_and_a_refusal_is_told(office: Office) -> None:
    known, unverified = await office.seeded(), await office.seeded(is_verified=False)

    await office.say(known.request("by-kafka"), known.request("by-kafka"), unverified.request("by-kafka-too"))

    async def begun() -> bool:
        return bool(await office.renewals_of(known))

    await office.until(begun, "the renewal is begun")
    [renewal] = await office.renewals_of(known)
    await office.in_state(renewal["renewal_id"], "completed")

    async def refused() -> bool:
        row = await office.database.fetchrow(
            "select reason from renewal.refusals where subscription_id = $1 and caller = $2",
            unverified.subscription_id,
            CALLER,
        )
        return row is not None and row["reason"] == "identity_not_verified"

    await office.until(refused, "the refusal is kept")
    assert await office.renewals_of(unverified) == []
