"""A wallet pays where the row is locked, all or nothing, and is paid back there."""

from dataclasses import replace

import pytest

from services.payment.domain.outcome import Kind
from services.payment.domain.payment import Operation, State
from shared.contracts.payments import (
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    SurplusRefunded,
)
from tests.unit.payment.story import PRICE, Story, balances, declined, moved


@pytest.mark.parametrize(
    ("balance", "code"), [(None, "wallet_unknown"), (PRICE - 1, "wallet_balance_too_low")]
)
def test_a_wallet_without_enough_pays_nothing(balance: int | None, code: str) -> None:
    story = Story(wallet_minor=balance).capture(1, "purse").wallet()
    assert [answer.decline_code for answer in story.heard(PaymentDeclined)] == [code]
    assert (story.wallet_minor, story.transfers) == (balance, {})


def test_a_wallet_pays_once_and_is_paid_back_once() -> None:
    story = Story(wallet_minor=PRICE).capture(1, "purse").wallet().wallet()
    assert story.wallet_minor == 0
    assert len(story.heard(PaymentCaptured)) == 1
    story.refund().wallet().wallet()
    assert story.wallet_minor == PRICE
    assert set(balances(story.transfers).values()) == {0}


def test_a_wallet_is_not_charged_after_the_cancellation() -> None:
    story = Story(wallet_minor=PRICE).capture(1, "purse").cancel()
    assert story.heard(PaymentCancelled)
    assert story.wallet(operation=Operation.CAPTURE, ordinal=1).last is None
    assert story.wallet_minor == PRICE


def test_a_wallet_pays_only_once_the_card_before_it_can_no_longer() -> None:
    story = declined()
    story.wallet_minor = PRICE
    story.capture(2, "purse")
    assert (story.row.operation, story.row.state) == (Operation.VOID, State.CAPTURING)
    story.outcome(Kind.VOIDED, gateway="sandbox")
    assert (story.row.operation, story.row.gateway) == (Operation.CAPTURE, "wallet")
    story.wallet()
    assert story.wallet_minor == 0
    assert balances(story.transfers) == {"held": PRICE, "wallet:payer-1": -PRICE}


def test_what_a_wallet_paid_after_a_card_was_declined_goes_back_to_the_wallet_alone() -> None:
    story = declined()
    story.wallet_minor = PRICE
    story.capture(2, "purse").outcome(Kind.VOIDED, gateway="sandbox").wallet()
    assert story.wallet_minor == 0
    story.refund()
    assert (story.row.operation, story.row.gateway) == (Operation.REFUND, "wallet")
    story.wallet()
    assert story.wallet_minor == PRICE
    [back] = story.heard(PaymentRefunded)
    assert (back.amount_minor, back.currency) == (PRICE, "USD")
    assert set(balances(story.transfers).values()) == {0}
    assert "psp:sandbox" not in balances(story.transfers), "the card was never charged, so gets nothing"


def test_what_a_card_paid_after_a_wallet_held_too_little_goes_back_to_the_card_alone() -> None:
    story = Story(wallet_minor=PRICE - 1).capture(1, "purse").wallet()
    story.capture(2, "card-1").created().outcome(Kind.CAPTURED).refund()
    assert (story.row.operation, story.row.gateway) == (Operation.REFUND, "sandbox")
    story.outcome(Kind.REFUNDED)
    assert story.wallet_minor == PRICE - 1
    assert balances(story.transfers) == {"held": 0, "psp:sandbox": 0}
    assert moved(story.transfers, "refund") == PRICE


def test_a_card_that_was_charged_after_all_pays_instead_of_the_wallet() -> None:
    story = declined()
    story.wallet_minor = PRICE
    story.capture(2, "purse").outcome(Kind.CAPTURED, gateway="sandbox")
    assert story.wallet_minor == PRICE
    assert story.row.gateway == "sandbox"
    assert len(story.heard(PaymentCaptured)) == 1


def test_a_surplus_that_waited_for_a_wallets_refund_goes_back_after_it() -> None:
    story = Story(wallet_minor=PRICE).capture(1, "purse").wallet().refund()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    story.wallet()
    assert (story.wallet_minor, story.row.operation) == (PRICE, Operation.SURPLUS)
    story.outcome(Kind.REFUNDED)
    assert [answer.amount_minor for answer in story.heard(SurplusRefunded)] == [900]


def test_a_wallet_whose_turn_comes_after_the_wish_to_cancel_pays_nothing_and_says_so() -> None:
    story = Story(wallet_minor=PRICE).capture(1, "purse")
    story.payment = replace(story.row, cancel_wanted="customer_cancelled")
    story.wallet()
    assert [said.reason for said in story.heard(PaymentCancelled)] == ["customer_cancelled"]
    assert (story.row.state, story.wallet_minor, story.transfers) == (State.CANCELLED, PRICE, {})
