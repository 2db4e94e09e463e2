"""What payment says, field by field: others act on nothing else."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from services.payment.domain import answers, ledger
from services.payment.domain.calls import Call, call_of, spread
from services.payment.domain.outcome import Kind
from services.payment.domain.payment import Operation, Payment, Surplus
from shared.contracts.message import deterministic_id
from shared.contracts.payments import (
    PaymentCaptured,
    PaymentDisputed,
    PaymentRefunded,
    RefundAttemptFailed,
    SurplusRefunded,
)
from tests.unit.payment.story import (
    NOON,
    PRICE,
    RENEWAL,
    TERMS,
    Story,
    captured,
    capturing,
    declined,
)

BARE = Payment(RENEWAL, "sub-1", TERMS, "USD", version=4, attempt=3)
"""A row that knows neither price nor method."""
SURPLUS = Surplus("sandbox", "pi_2", 900, "USD", 1)


def test_who_has_no_method_is_told_so() -> None:
    said = (
        answers.declined(BARE, "no_payment_method"),
        answers.attempt_failed(BARE, "x", reached_provider=False),
        answers.action_required(BARE, NOON),
    )
    assert {one.payment_method_id for one in said} == {"none"}
    named = replace(BARE, payment_method_id="card-2")
    assert answers.action_required(named, NOON).payment_method_id == "card-2"
    assert {(one.version, one.attempt, one.terms) for one in said} == {(4, 3, TERMS)}


def test_a_capture_says_which_attempt_and_method_it_was() -> None:
    story = declined().capture(2, "card-2").outcome(Kind.CAPTURED, reference="pi_1")
    [said] = story.heard(PaymentCaptured)
    assert (said.attempt, said.payment_method_id, said.amount_minor) == (2, "card-2", PRICE)
    assert (said.captured_at, said.version) == (NOON, story.row.version)
    nameless = replace(story.row, payment_method_id=None)
    assert answers.captured(nameless).payment_method_id == "none"


@pytest.mark.parametrize("missing", ["captured_at", "captured_version", "amount_minor", "grant"])
def test_what_was_not_captured_cannot_be_said(missing: str) -> None:
    with pytest.raises(ValueError, match="nothing was captured"):
        answers.captured(captured().row.copy(**{missing: None}))


def test_amounts_that_are_not_known_are_none() -> None:
    assert answers.refunded(BARE, NOON).amount_minor == 0
    assert answers.disputed(BARE, "fraudulent", NOON).amount_minor == 0
    assert call_of(replace(BARE, operation=Operation.CAPTURE), RENEWAL, None, 0.0).amount_minor == 0


def test_a_refund_that_failed_says_when_to_come_again() -> None:
    story = (
        captured()
        .refund()
        .outcome(Kind.FAILED, code="http_429", retry_after_seconds=9, reached_provider=False)
    )
    [said] = story.heard(RefundAttemptFailed)
    assert (said.reason, said.retry_after_seconds, said.reached_provider) == ("http_429", 9, False)


def test_a_dispute_says_how_much_and_why() -> None:
    for code, said in (("fraudulent", "fraudulent"), ("", "unknown")):
        story = captured().fact(Kind.DISPUTED, gateway="sandbox", reference="pi_1", code=code)
        [dispute] = story.heard(PaymentDisputed)
        assert (dispute.amount_minor, dispute.reason, dispute.disputed_at) == (PRICE, said, NOON)


@pytest.mark.parametrize(
    "told", [{"gateway": "sandbox", "reference": "pi_2"}, {"gateway": "second", "reference": "pi_1"}]
)
def test_a_dispute_of_another_object_is_not_this_payment_s(told: dict[str, str]) -> None:
    assert captured().fact(Kind.DISPUTED, **told).heard(PaymentDisputed) == []


def test_what_was_refunded_is_not_disputed_any_more() -> None:
    story = captured().refund().outcome(Kind.REFUNDED)
    assert story.fact(Kind.DISPUTED, gateway="sandbox", reference="pi_1").heard(PaymentDisputed) == []


def test_what_is_refunded_without_a_capture_is_nothing() -> None:
    cancelled = Story().cancel()
    cancelled.fact(Kind.REFUNDED, gateway="sandbox", amount_minor=PRICE, currency="USD")
    assert cancelled.last is None
    twice = captured().refund().outcome(Kind.REFUNDED)
    twice.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_1", amount_minor=PRICE, currency="USD")
    assert len(twice.heard(PaymentRefunded)) == 1


def test_a_refund_of_nothing_gives_back_none_of_a_surplus() -> None:
    story = captured()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=1, currency="USD")
    story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_2", amount_minor=0, reference="re_x")
    assert story.last is None
    story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_2", amount_minor=1)
    assert len(story.heard(SurplusRefunded)) == 1
    assert list(story.row.surplus[0].returned) == [""]


def test_every_transfer_is_of_its_kind_and_has_the_id_that_it_has_always_had() -> None:
    row = captured().row
    kinds = {
        "capture": ledger.captured(row, "sandbox")[0],
        "refund": ledger.refunded(row)[0],
        "refund_returned": ledger.refund_returned(row)[0],
        "dispute": ledger.disputed(row)[0],
    }
    for kind, transfer in kinds.items():
        assert (transfer.kind, transfer.id) == (kind, deterministic_id(RENEWAL, kind))
        assert (transfer.amount_minor, transfer.currency, transfer.renewal_id) == (PRICE, "USD", RENEWAL)
    found, back = ledger.surplus_found(row, SURPLUS), ledger.surplus_refunded(row, SURPLUS, "re_1", 400)
    assert found.id == deterministic_id(RENEWAL, "surplus_found", "sandbox", "pi_2")
    assert back.id == deterministic_id(RENEWAL, "surplus_refund", "sandbox", "pi_2", "re_1")
    assert (found.kind, back.kind) == ("surplus_found", "surplus_refund")
    assert ledger.applied_id(RENEWAL) == deterministic_id(RENEWAL, "applied")
    nowhere = replace(row, gateway=None)
    assert ledger.refunded(nowhere)[0].credit_account == "psp:"
    assert ledger.refund_returned(nowhere)[0].debit_account == "psp:"


def test_a_deposit_is_one_transfer_for_each_key_of_each_caller() -> None:
    paid_in = ledger.deposit("crm", "key-1", "ana", 500, "USD")
    assert (paid_in.kind, paid_in.debit_account, paid_in.credit_account) == (
        "deposit",
        "deposits",
        "wallet:ana",
    )
    assert paid_in.id == deterministic_id("deposit", "crm", "key-1")
    assert (paid_in.amount_minor, paid_in.currency, paid_in.renewal_id) == (500, "USD", None)
    row = captured().row
    assert ledger.refunded(replace(row, disputed_at=NOON))[0].debit_account == "disputed"
    assert ledger.refunded(replace(row, applied_at=NOON))[0].debit_account == "applied"
    assert ledger.refunded(row)[0].debit_account == "held"


def test_a_call_tells_its_worker_who_asked_and_under_which_lease() -> None:
    by_hand, by_rule, in_bulk = (
        Story(terms=TERMS.model_copy(update=different))
        for different in ({}, {"origin": "rule"}, {"is_bulk": True})
    )
    calls = [call_of(story.priced().row, RENEWAL, "tok", 7.0) for story in (by_hand, by_rule, in_bulk)]
    assert [call.is_bulk for call in calls] == [False, True, True]
    assert {call.claim for call in calls} == {by_hand.row.claim + 1}
    nowhere = replace(by_hand.row, gateway=None)
    assert call_of(nowhere, RENEWAL, None, 0.0).gateway == ""


def test_a_call_that_says_nothing_else_is_a_person_s_and_has_no_token() -> None:
    bare = Call(RENEWAL, Operation.VOID, 1, 1, "sandbox", RENEWAL, 0, PRICE, "USD", 0.0)
    assert (bare.token, bare.reference, bare.was_sent, bare.is_bulk) == (None, None, False, False)


def test_pauses_double_with_each_claim_and_are_spread() -> None:
    for claim, seconds in ((0, 1), (1, 2), (3, 8), (9, 60)):
        story = capturing()
        story.payment = replace(story.row, claim=claim)
        story.outcome(Kind.UNKNOWN)
        assert story.row.due_at == NOON + timedelta(seconds=seconds) * spread(story.row)


def test_renewals_are_spread_over_the_second_half_of_a_pause() -> None:
    parts = [spread(replace(BARE, renewal_id=UUID(int=number))) for number in (0, 512, 1023, 1024)]
    assert parts == [0.5, 0.75, 0.5 + 1023 / 2048, 0.5]
