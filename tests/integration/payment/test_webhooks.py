"""Webhooks of the sandbox PSP: true, twice, late, forged and lost; and of nobody we know."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    SurplusRefunded,
)
from tests.integration.payment.conftest import (
    PRICE,
    WEBHOOK_SECRET,
    PspJournal,
    Renewal,
    Subscribe,
    books_balance,
    call,
    hear,
    lines,
    row,
    said,
)
from tests.integration.sandboxed import until
from tests.integration.wired import Wired

PATH = "/v1/webhooks/psp"


@pytest.fixture
async def webhooks(payment: Wired, psp: PspJournal) -> AsyncIterator[None]:
    """The sandbox sends its webhooks here."""
    url = f"http://127.0.0.1:{payment.port}{PATH}"
    wanted = {"url": url, "secret": WEBHOOK_SECRET}
    assert psp.server.call("PUT", "/webhook", wanted).status == 200
    yield
    assert psp.server.call("DELETE", "/webhook").status == 200


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, age_seconds: int = 0) -> str:
    at = int(time.time()) - age_seconds
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def event(renewal_id: object, event_type: str = "payment_intent.succeeded", **more: object) -> bytes:
    subject = {
        "id": f"pi_{uuid4().hex}",
        "status": "succeeded",
        "amount_minor": PRICE,
        "currency": "USD",
        "metadata": {"renewal_id": str(renewal_id)},
    }
    return json.dumps({"id": "evt_1", "type": event_type, "data": {"object": subject | more}}).encode()


async def test_a_late_success_arrives_by_webhook(
    payment: Wired, psp: PspJournal, payer: Subscribe, webhooks: None
) -> None:
    renewal = await payer("tok_late_success")
    await payment.consume("commands", renewal.priced())
    declined = await hear(payment, PaymentDeclined, renewal)
    captured = await hear(payment, PaymentCaptured, renewal)
    assert captured.version > declined.version
    assert await lines(payment, renewal) == {("capture", "psp:sandbox", "held", PRICE)}


async def test_a_webhook_that_comes_twice_changes_nothing_more(
    payment: Wired, psp: PspJournal, payer: Subscribe, webhooks: None
) -> None:
    renewal = await payer("tok_webhook_duplicate")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    found = await row(payment, renewal)
    body = event(renewal.renewal_id, id=found["provider_reference"])
    for _ in range(2):
        await tell(payment, body)
    assert len(said(payment, PaymentCaptured, renewal)) == 1
    assert await row(payment, renewal) == found


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "nonsense",
        lambda body: signed(body, secret="not the secret"),
        lambda body: signed(body, age_seconds=600),
        lambda body: signed(body, age_seconds=-600),
        lambda body: signed(body + b" "),
    ],
    ids=["missing", "nonsense", "other secret", "too old", "from the future", "other body"],
)
async def test_a_forged_webhook_is_refused_and_changes_nothing(
    payment: Wired, payer: Subscribe, signature: str | Callable[[bytes], str] | None
) -> None:
    renewal = await payer("tok_decline_generic")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentDeclined, renewal)
    before = await row(payment, renewal)
    body = event(renewal.renewal_id, id=before["provider_reference"])
    header = signature(body) if callable(signature) else signature
    headers = {} if header is None else {"Sandbox_Signature": header}

    reply = await call(payment, "POST", PATH, body, **headers)
    assert (reply.status, reply.problem) == (401, "webhook-signature-invalid")
    assert await row(payment, renewal) == before


async def test_a_webhook_about_an_unknown_renewal_is_taken_and_counted(payment: Wired) -> None:
    body = event(uuid4())
    reply = await call(payment, "POST", PATH, body, Sandbox_Signature=signed(body))
    assert (reply.status, reply.body) == (202, {"result": "unknown_renewal"})


@pytest.mark.parametrize("body", [b'{"id": "evt_1"}', b"[]", b'{"type": 5, "data": {}}'])
async def test_a_signed_webhook_that_says_nothing_we_read_is_taken(payment: Wired, body: bytes) -> None:
    reply = await call(payment, "POST", PATH, body, Sandbox_Signature=signed(body))
    assert (reply.status, reply.body) == (202, {"result": "unreadable"})


async def test_a_card_whose_details_its_network_renewed_is_tried_again_under_every_name(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    token = f"tok_decline_stolen_card_once_{uuid4().hex[:8]}"
    renewed, alias = await payer(token), await payer(token)
    other = await payer(f"tok_decline_stolen_card_{uuid4().hex[:8]}")
    for renewal in (renewed, other):
        await payment.consume("commands", renewal.priced())
        await hear(payment, PaymentDeclined, renewal)
    body = json.dumps(
        {"type": "payment_method.automatically_updated", "data": {"object": {"id": token, "object": "card"}}}
    ).encode()
    for result in ("recorded", "ignored"):
        reply = await call(payment, "POST", PATH, body, Sandbox_Signature=signed(body))
        assert (reply.status, reply.body) == (202, {"result": result})
    counted = await payment.pool.fetch(
        "select payment_method_id from payment_methods"
        " where payment_method_id = any($1) and declined_at is not null",
        [*renewed.methods, *alias.methods, *other.methods],
    )
    assert [found[0] for found in counted] == list(other.methods)


@pytest.mark.parametrize("token", ["", "x" * 256, 5, None])
async def test_a_renewed_card_that_is_not_named_is_unreadable(payment: Wired, token: object) -> None:
    body = json.dumps(
        {"type": "payment_method.automatically_updated", "data": {"object": {"id": token}}}
    ).encode()
    reply = await call(payment, "POST", PATH, body, Sandbox_Signature=signed(body))
    assert (reply.status, reply.body) == (202, {"result": "unreadable"})


async def test_an_oversized_webhook_is_refused(payment: Wired) -> None:
    body = json.dumps({"padding": "x" * 70_000}).encode()
    reply = await call(payment, "POST", PATH, body, Sandbox_Signature=signed(body))
    assert reply.status == 413


async def test_money_taken_for_a_cancelled_renewal_is_sent_back(
    payment: Wired, psp: PspJournal, payer: Subscribe, webhooks: None
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.cancel())
    await hear(payment, PaymentCancelled, renewal)
    charge(psp, renewal)
    surplus = await hear(payment, SurplusRefunded, renewal)
    assert (surplus.ordinal, surplus.amount_minor) == (1, PRICE)
    charge(psp, renewal)
    await until(lambda: len(said(payment, SurplusRefunded, renewal)) == 2)

    assert psp.effects(renewal) == ["captured", "refunded"] * 2
    assert said(payment, PaymentCaptured, renewal) == []
    assert await books_balance(payment)


async def test_of_surplus_that_was_partly_refunded_by_hand_the_rest_is_sent_back(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.cancel())
    await hear(payment, PaymentCancelled, renewal)
    charged = charge(psp, renewal)
    part = {"payment_intent": charged, "amount_minor": 500}
    by_hand = psp.server.call("POST", "/v1/refunds", part, key=str(uuid4())).document
    await tell(payment, event(renewal.renewal_id, id=charged))
    # To give the whole back is refused: there is not so much left.
    await until(lambda: psp.requests(renewal, "create_refund")[1:])

    told = {"id": by_hand["id"], "payment_intent": charged, "amount_minor": 500}
    for _ in range(2):
        await tell(payment, event(renewal.renewal_id, "charge.refunded", **told))
    surplus = await hear(payment, SurplusRefunded, renewal)
    assert surplus.amount_minor == PRICE
    assert psp.effects(renewal) == ["captured", "refunded", "refunded"]
    assert await lines(payment, renewal) == {
        ("surplus_found", "psp:sandbox", "surplus", PRICE),
        ("surplus_refund", "surplus", "psp:sandbox", 500),
        ("surplus_refund", "surplus", "psp:sandbox", PRICE - 500),
    }
    assert await books_balance(payment)


async def test_money_taken_beside_another_capture_is_sent_back(
    payment: Wired, psp: PspJournal, payer: Subscribe, webhooks: None
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    charge(psp, renewal)
    await hear(payment, SurplusRefunded, renewal)
    await payment.consume("commands", renewal.refund())
    await hear(payment, PaymentRefunded, renewal)
    assert sorted(psp.effects(renewal)) == ["captured", "captured", "refunded", "refunded"]
    assert await books_balance(payment)


async def test_a_refund_that_comes_back_stays_refunded_and_is_held_again(
    payment: Wired, psp: PspJournal, payer: Subscribe, webhooks: None
) -> None:
    renewal = await payer("tok_refund_fails_later")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    await payment.consume("commands", renewal.refund())
    await hear(payment, PaymentRefunded, renewal)

    async def returned() -> bool:
        return ("refund_returned", "psp:sandbox", "held", PRICE) in await lines(payment, renewal)

    await until(returned)
    assert (await row(payment, renewal))["state"] == "refunded"
    assert await books_balance(payment)


async def test_a_payer_who_authenticates_has_paid(
    payment: Wired, psp: PspJournal, payer: Subscribe, webhooks: None
) -> None:
    renewal = await payer("tok_sca")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentActionRequired, renewal)
    intent = (await row(payment, renewal))["provider_reference"]
    outcome = {"outcome": "succeeded"}
    reply = psp.server.call("POST", f"/v1/payment_intents/{intent}/authenticate", outcome)
    assert reply.status == 200
    captured = await hear(payment, PaymentCaptured, renewal)
    assert captured.attempt == 1


async def test_a_refund_made_at_the_psp_by_somebody_else_is_heard_of(
    payment: Wired, psp: PspJournal, payer: Subscribe, webhooks: None
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    body = {
        "payment_intent": (await row(payment, renewal))["provider_reference"],
        "metadata": {"renewal_id": str(renewal.renewal_id)},
    }
    assert psp.server.call("POST", "/v1/refunds", body, key=str(uuid4())).status == 200
    await hear(payment, PaymentRefunded, renewal)
    assert await books_balance(payment)


async def test_a_dispute_moves_the_money_out_of_what_is_earned(
    payment: Wired, psp: PspJournal, payer: Subscribe, webhooks: None
) -> None:
    renewal = await payer("tok_dispute")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    await payment.consume("top-ups", renewal.applied())
    disputed = await hear(payment, PaymentDisputed, renewal)
    assert disputed.amount_minor == PRICE
    assert ("dispute", "applied", "disputed", PRICE) in await lines(payment, renewal)
    assert await books_balance(payment)


async def tell(payment: Wired, body: bytes) -> None:
    """The PSP brings an event."""
    reply = await call(payment, "POST", PATH, body, Sandbox_Signature=signed(body))
    assert (reply.status, reply.body) == (202, {"result": "recorded"})


def charge(psp: PspJournal, renewal: Renewal) -> str:
    """Somebody takes the renewal's money at the PSP, past payment; the id of the intent."""
    body = {
        "amount_minor": PRICE,
        "currency": "USD",
        "payment_method": "tok_ok",
        "metadata": {"renewal_id": str(renewal.renewal_id)},
        "confirm": True,
    }
    answered = psp.server.call("POST", "/v1/payment_intents", body, key=str(uuid4()))
    assert answered.status == 200
    return str(answered.document["id"])
