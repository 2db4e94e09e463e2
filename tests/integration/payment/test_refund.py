"""Refunds: whole, once, and honest about what failed."""

import pytest

from shared.contracts.payments import PaymentCaptured, PaymentRefunded, RefundAttemptFailed, RefundRejected
from tests.integration.payment.conftest import (
    PRICE,
    PspJournal,
    Renewal,
    Subscribe,
    books_balance,
    hear,
    lines,
    pay_in,
    row,
    said,
)
from tests.integration.sandboxed import until
from tests.integration.wired import Wired


async def captured(payment: Wired, renewal: Renewal) -> None:
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)


async def test_a_refund_gives_the_whole_capture_back_once(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await captured(payment, renewal)
    await payment.consume("commands", renewal.refund(), renewal.refund())
    first = await hear(payment, PaymentRefunded, renewal)
    assert (first.amount_minor, first.attempt) == (PRICE, 1)
    await payment.consume("commands", renewal.refund())
    await payment.consume("commands", renewal.refund(2))

    assert set(said(payment, PaymentRefunded, renewal)) == {first}
    assert psp.effects(renewal) == ["captured", "refunded"]
    assert await lines(payment, renewal) == {
        ("capture", "psp:sandbox", "held", PRICE),
        ("refund", "held", "psp:sandbox", PRICE),
    }
    assert await books_balance(payment)


async def test_a_refund_before_any_capture_is_ignored(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.refund())
    assert await row(payment, renewal) is None
    await captured(payment, renewal)
    assert psp.effects(renewal) == ["captured"]


async def test_a_late_refund_starts_nothing(payment: Wired, psp: PspJournal, payer: Subscribe) -> None:
    renewal = await payer()
    await captured(payment, renewal)
    await payment.consume("commands", renewal.refund(late=True))
    assert (await row(payment, renewal))["state"] == "captured"


async def test_a_refund_that_failed_may_be_tried_again_under_another_key(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_refund_fails_once")
    await captured(payment, renewal)
    await payment.consume("commands", renewal.refund())
    failed = await hear(payment, RefundAttemptFailed, renewal)
    await payment.consume("commands", renewal.refund(1))
    assert set(said(payment, RefundAttemptFailed, renewal)) == {failed}

    await payment.consume("commands", renewal.refund(2))
    refunded = await hear(payment, PaymentRefunded, renewal)
    assert refunded.attempt == 2
    assert len({request["key"] for request in psp.requests(renewal, "create_refund")}) == 2
    assert psp.effects(renewal)[-1] == "refunded"


async def test_a_pending_refund_is_watched_until_it_arrives(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_refund_pending")
    await captured(payment, renewal)
    await payment.consume("commands", renewal.refund())
    await hear(payment, PaymentRefunded, renewal)
    assert psp.effects(renewal) == ["captured", "refunded"]
    assert len(psp.requests(renewal, "create_refund")) == 1


@pytest.mark.parametrize("fault", ["timeout_after", "server_error_after", "garbage"])
async def test_a_refund_whose_answer_was_lost_is_not_made_twice(
    payment: Wired, psp: PspJournal, payer: Subscribe, fault: str
) -> None:
    renewal = await payer()
    await captured(payment, renewal)
    psp.fault("create_refund", fault, count=1)
    await payment.consume("commands", renewal.refund())
    await hear(payment, PaymentRefunded, renewal)
    assert psp.effects(renewal) == ["captured", "refunded"]
    assert len({request["key"] for request in psp.requests(renewal, "create_refund")}) == 1


async def test_a_refund_unknown_for_too_long_is_rejected_and_still_found_later(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await captured(payment, renewal)
    psp.fault("*", "timeout_before")
    await payment.consume("commands", renewal.refund())
    rejected = await hear(payment, RefundRejected, renewal)
    assert rejected.reason == "unknown"
    psp.well()
    # Nobody waits for it any more, so it is asked about seldom: some minutes have passed.
    await payment.pool.execute(
        "update payments set due_at = now() where renewal_id = $1::uuid", renewal.renewal_id
    )
    await hear(payment, PaymentRefunded, renewal)
    assert psp.effects(renewal) == ["captured", "refunded"]


async def test_a_wallet_pays_all_or_nothing_and_gets_its_refund_back(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("wallet")
    wallet = f"/v1/wallets/{renewal.payer_id}/USD"
    await pay_in(payment, renewal, 2 * PRICE - 1)
    second = Renewal(renewal.methods, renewal.payer_id)
    await payment.consume("commands", renewal.priced(), second.priced())

    await until(lambda: decided(payment, renewal, second))
    assert (await payment.request("GET", wallet)).body["balance_minor"] == PRICE - 1
    winner = renewal if said(payment, PaymentCaptured, renewal) else second
    account = f"wallet:{renewal.payer_id}"
    assert await lines(payment, winner) == {("capture", account, "held", PRICE)}

    await payment.consume("commands", winner.refund())
    await hear(payment, PaymentRefunded, winner)
    assert (await payment.request("GET", wallet)).body["balance_minor"] == 2 * PRICE - 1
    assert await books_balance(payment)


async def test_after_a_declined_card_the_wallet_pays_once_the_card_can_no_longer(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_late_success", "wallet")
    await pay_in(payment, renewal, PRICE)
    await payment.consume("commands", renewal.priced())
    await until(lambda: psp.requests(renewal, "confirm_intent"))
    await until(lambda: _state(payment, renewal, "refused"))
    await payment.consume("commands", renewal.capture(2, renewal.methods[1]))

    captured = await hear(payment, PaymentCaptured, renewal)
    assert captured.payment_method_id == renewal.methods[1]
    assert psp.effects(renewal) == ["cancelled"]
    assert await books_balance(payment)


async def _state(payment: Wired, renewal: Renewal, state: str) -> bool:
    return bool((await row(payment, renewal))["state"] == state)


async def decided(payment: Wired, *renewals: Renewal) -> bool:
    rows = [await row(payment, renewal) for renewal in renewals]
    return sorted(found["state"] for found in rows) == ["captured", "refused"]
