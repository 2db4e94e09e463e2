"""Captures on a PSP that accepts, declines, keeps silent, breaks, and comes back late."""

import pytest

from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCaptured,
    PaymentDeclined,
)
from tests.integration.payment.conftest import (
    PRICE,
    PspJournal,
    Subscribe,
    at_rest,
    books_balance,
    hear,
    lines,
    row,
    said,
)
from tests.integration.sandboxed import GRANT
from tests.integration.wired import Wired


async def test_a_priced_renewal_is_captured_and_earned_by_its_top_up(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    priced = renewal.priced()
    await payment.consume("commands", priced)

    captured = await hear(payment, PaymentCaptured, renewal)
    assert (captured.attempt, captured.amount_minor, captured.grant) == (1, PRICE, GRANT)
    assert captured.act_before == priced.act_before
    assert captured.payment_method_id == renewal.methods[0]
    assert psp.effects(renewal) == ["captured"]
    assert await lines(payment, renewal) == {("capture", "psp:sandbox", "held", PRICE)}

    await payment.consume("top-ups", renewal.applied(), renewal.applied())
    await payment.consume("top-ups", renewal.applied())
    assert await lines(payment, renewal) == {
        ("capture", "psp:sandbox", "held", PRICE),
        ("applied", "held", "applied", PRICE),
    }
    found = await row(payment, renewal)
    assert found["due_at"] is None
    assert found["provider_reference"]
    assert await books_balance(payment)


async def test_the_price_and_the_first_command_are_one_instruction(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.priced(), renewal.capture())
    first = await hear(payment, PaymentCaptured, renewal)
    await payment.consume("commands", renewal.capture())
    await payment.consume("commands", renewal.priced())

    assert {message.event_id for message in said(payment, PaymentCaptured, renewal)} == {first.event_id}
    assert set(said(payment, PaymentCaptured, renewal)) == {first}
    assert psp.effects(renewal) == ["captured"]


@pytest.mark.parametrize(
    ("token", "code", "expected"),
    [
        ("tok_decline_insufficient_funds", "insufficient_funds", "soft"),
        ("tok_decline_lost_card", "lost_card", "hard"),
        ("tok_sca_off_session", "authentication_required", "needs_customer"),
    ],
)
async def test_a_decline_has_its_class_and_the_next_attempt_may_use_another_card(
    payment: Wired, psp: PspJournal, payer: Subscribe, token: str, code: str, expected: str
) -> None:
    renewal = await payer(token, "tok_ok")
    await payment.consume("commands", renewal.priced())
    declined = await hear(payment, PaymentDeclined, renewal)
    assert (declined.decline_code, declined.decline_class) == (code, expected)

    await payment.consume("commands", renewal.capture(2, renewal.methods[1]))
    captured = await hear(payment, PaymentCaptured, renewal)
    assert (captured.attempt, captured.payment_method_id) == (2, renewal.methods[1])
    assert psp.effects(renewal) == ["captured"]
    assert len(psp.requests(renewal, "create_intent")) == 1


async def test_a_repeated_attempt_gets_the_same_decline_and_no_second_call(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_decline_do_not_honor")
    await payment.consume("commands", renewal.priced())
    first = await hear(payment, PaymentDeclined, renewal)
    await payment.consume("commands", renewal.capture(1))

    assert said(payment, PaymentDeclined, renewal) == [first, first]
    assert len(psp.requests(renewal, "confirm_intent")) == 1


async def test_an_answer_lost_after_the_effect_is_fetched_under_the_same_key(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_timeout_after")
    await payment.consume("commands", renewal.priced())

    await hear(payment, PaymentCaptured, renewal)
    confirmed = psp.requests(renewal, "confirm_intent")
    assert len(confirmed) >= 2
    assert len({request["key"] for request in confirmed}) == 1
    assert psp.effects(renewal) == ["captured"]


@pytest.mark.parametrize(
    "token",
    ["tok_timeout_before_once", "tok_server_error_after_once", "tok_garbage_once", "tok_processing"],
)
async def test_an_unknown_outcome_ends_in_exactly_one_capture(
    payment: Wired, psp: PspJournal, payer: Subscribe, token: str
) -> None:
    renewal = await payer(token)
    await payment.consume("commands", renewal.priced())

    await hear(payment, PaymentCaptured, renewal)
    assert psp.effects(renewal) == ["captured"]
    assert len(await lines(payment, renewal)) == 1


async def test_a_busy_psp_fails_the_attempt_and_says_when_to_come_back(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    psp.fault("confirm_intent", "rate_limited", retry_after_seconds=7)
    await payment.consume("commands", renewal.priced())
    failed = await hear(payment, PaymentAttemptFailed, renewal)
    assert (failed.reason, failed.reached_provider, failed.retry_after_seconds) == ("rate_limited", True, 7)

    psp.well()
    await payment.consume("commands", renewal.capture(2))
    await hear(payment, PaymentCaptured, renewal)
    reply = await payment.request("GET", f"/v1/payments/{renewal.renewal_id}")
    assert [attempt["status"] for attempt in reply.body["attempts"]] == ["failed", "succeeded"]


async def test_a_psp_out_of_order_fails_the_attempt_before_any_money_is_asked_for(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    psp.fault("create_intent", "timeout_before")
    await payment.consume("commands", renewal.priced())
    failed = await hear(payment, PaymentAttemptFailed, renewal)
    assert (failed.reason, failed.reached_provider) == ("provider_silent", False)


async def test_a_call_that_stays_unknown_is_called_off_at_the_psp_and_fails(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_server_error_kept_always", "tok_ok")
    await payment.consume("commands", renewal.priced())
    failed = await hear(payment, PaymentAttemptFailed, renewal)
    assert failed.reason == "no_answer"
    assert psp.effects(renewal) == ["cancelled"]

    await payment.consume("commands", renewal.capture(2, renewal.methods[1]))
    await hear(payment, PaymentCaptured, renewal)
    assert psp.effects(renewal) == ["cancelled", "captured"]


async def test_the_customer_is_asked_for_where_the_bank_wants_to_see_them(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_sca", "tok_ok")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentActionRequired, renewal)

    await payment.consume("commands", renewal.capture(2, renewal.methods[1]))
    await hear(payment, PaymentCaptured, renewal)
    assert psp.effects(renewal) == ["captured"]


async def test_an_instruction_that_comes_too_late_is_held_until_it_is_given_again(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.priced(late=True))
    assert (await row(payment, renewal))["state"] == "held"
    assert psp.requests(renewal, "create_intent") == []

    await payment.consume("commands", renewal.capture(1))
    await hear(payment, PaymentCaptured, renewal)


async def test_somebody_elses_card_is_declined_without_a_call(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal, other = await payer(), await payer()
    renewal.methods = other.methods
    await payment.consume("commands", renewal.priced())
    declined = await hear(payment, PaymentDeclined, renewal)
    assert (declined.decline_code, declined.decline_class) == ("method_not_of_payer", "hard")
    assert psp.requests(renewal, "create_intent") == []


async def test_a_price_of_nothing_is_captured_without_a_call(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer(amount_minor=0)
    await payment.consume("commands", renewal.priced())
    captured = await hear(payment, PaymentCaptured, renewal)
    assert captured.amount_minor == 0
    await payment.consume("top-ups", renewal.applied())
    assert await lines(payment, renewal) == set()
    assert psp.requests(renewal, "create_intent") == []


async def test_a_success_that_comes_after_a_decline_is_kept_or_sent_back(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_late_success", "tok_ok")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentDeclined, renewal)
    await payment.consume("commands", renewal.capture(2, renewal.methods[1]))

    await hear(payment, PaymentCaptured, renewal)
    await at_rest(payment, renewal)
    assert psp.effects(renewal) == ["captured"]
