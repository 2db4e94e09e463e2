"""A payer authenticates (SCA) and no webhook tells: payment asks, and asking never moves anything."""

import pytest

from services.payment.settings import Settings
from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
)
from tests.integration.payment.conftest import (
    HASTY,
    PRICE,
    PspJournal,
    Renewal,
    Subscribe,
    at_rest,
    books_balance,
    hear,
    lines,
    row,
    said,
)
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.sandboxed import until
from tests.integration.wired import Wired


@pytest.fixture(scope="module")
def told(database_url: str, sandbox: Sandbox) -> Settings:
    """As hasty as the others, and asking all the time; the sandbox has nobody to send webhooks to."""
    return Settings(
        database_url=database_url,
        psp_url=f"http://127.0.0.1:{sandbox.psp.port}",
        payment_question_seconds=0.1,
        payment_question_cap_seconds=0.2,
        **HASTY,
    )


async def awaited(payment: Wired, psp: PspJournal, payer: Subscribe) -> Renewal:
    """A renewal whose payer must authenticate, asked about more than once."""
    renewal = await payer("tok_sca")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentActionRequired, renewal)
    await until(lambda: len(psp.requests(renewal, "get_intent")) > 1)
    return renewal


async def authenticate(payment: Wired, psp: PspJournal, renewal: Renewal, outcome: str) -> None:
    intent = (await row(payment, renewal))["provider_reference"]
    path = f"/v1/payment_intents/{intent}/authenticate"
    assert psp.server.call("POST", path, {"outcome": outcome}).status == 200


async def test_a_payer_who_authenticates_has_paid_though_the_webhook_is_lost(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await awaited(payment, psp, payer)
    await authenticate(payment, psp, renewal, "succeeded")

    captured = await hear(payment, PaymentCaptured, renewal)
    assert captured.attempt == 1
    assert len(said(payment, PaymentActionRequired, renewal)) == 1
    assert len(psp.requests(renewal, "confirm_intent")) == 1
    assert psp.effects(renewal) == ["captured"]
    assert await lines(payment, renewal) == {("capture", "psp:sandbox", "held", PRICE)}
    assert (await row(payment, renewal))["due_at"] is None
    assert await books_balance(payment)


async def test_a_payer_who_fails_to_authenticate_is_asked_for_something_else(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await awaited(payment, psp, payer)
    await authenticate(payment, psp, renewal, "failed")

    declined = await hear(payment, PaymentDeclined, renewal)
    assert (declined.decline_class, declined.decline_code) == ("needs_customer", "authentication_failed")
    reply = await payment.request("GET", f"/v1/payments/{renewal.renewal_id}")
    [attempt] = reply.body["attempts"]
    assert (attempt["operation"], attempt["status"], attempt["code"]) == (
        "capture",
        "declined",
        "authentication_failed",
    )
    assert (await at_rest(payment, renewal))["due_at"] is None


async def test_a_payer_who_never_comes_back_is_asked_about_until_the_renewal_is_given_up(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await awaited(payment, psp, payer)
    await payment.consume("commands", renewal.cancel())
    await hear(payment, PaymentCancelled, renewal)
    assert (await at_rest(payment, renewal))["due_at"] is None
    assert psp.effects(renewal) == ["cancelled"]


async def test_an_earlier_decline_with_the_same_card_is_not_taken_for_an_answer(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_sca")
    psp.fault("confirm_intent", "decline_do_not_honor", count=1)
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentDeclined, renewal)
    await payment.consume("commands", renewal.capture(2))
    await hear(payment, PaymentActionRequired, renewal)
    # From then on the PSP is believed to have seen the attempt: window, call and visibility are over.
    quiet = (
        "select send_before + interval '7 seconds' < clock_timestamp() from payment_attempts"
        " where renewal_id = $1 and ordinal = 2"
    )
    await until(lambda: payment.pool.fetchval(quiet, renewal.renewal_id))
    questions = len(psp.requests(renewal, "get_intent"))
    await until(lambda: len(psp.requests(renewal, "get_intent")) > questions + 1)
    assert len(said(payment, PaymentDeclined, renewal)) == 1
