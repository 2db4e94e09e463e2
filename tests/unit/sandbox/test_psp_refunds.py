"""Refunds: money goes back at most once, and what fails is seen to fail."""

from __future__ import annotations

from typing import Any

import orjson
import pytest


def code(reply: Any) -> str:
    return str(orjson.loads(reply.body)["error"]["code"])


def paid(psp: Any, card: str = "tok_ok") -> str:
    intent_id = psp.intent(card)
    assert psp.confirm(intent_id).status == 200
    return str(intent_id)


def test_a_charge_is_refunded_in_parts_and_never_beyond(psp: Any) -> None:
    intent_id = paid(psp)
    assert psp.refund(intent_id, 200).status == 200
    assert code(psp.refund(intent_id, 301)) == "amount_too_large"
    assert psp.refund(intent_id, 300).status == 200
    assert code(psp.refund(intent_id, 1)) == "charge_already_refunded"
    assert [effect.amount for effect in psp.effects if effect.effect == "refunded"] == [200, 300]


def test_without_an_amount_all_that_is_left_is_refunded(psp: Any) -> None:
    intent_id = paid(psp)
    psp.refund(intent_id, 200)
    rest = orjson.loads(psp.post("/v1/refunds", {"payment_intent": intent_id}).body)
    assert rest["amount_minor"] == 300


def test_what_was_not_captured_cannot_be_refunded(psp: Any) -> None:
    assert code(psp.refund(psp.intent())) == "payment_intent_unexpected_state"
    assert psp.refund("pi_none").status == 404


def test_a_disputed_charge_cannot_be_refunded(psp: Any) -> None:
    intent_id = paid(psp, "tok_dispute")
    psp.wait(10)
    assert code(psp.refund(intent_id)) == "charge_disputed"


@pytest.mark.parametrize(
    ("token", "at_once", "in_the_end", "effects"),
    [
        ("tok_ok", "succeeded", "succeeded", [("refunded", 500)]),
        ("tok_refund_fails", "failed", "failed", [("refund_failed", 0)]),
        ("tok_refund_fails_later", "succeeded", "failed", [("refunded", 500), ("refund_failed", 500)]),
        ("tok_refund_pending", "pending", "succeeded", [("refunded", 500)]),
        ("tok_refund_pending_fails", "pending", "failed", [("refund_failed", 0)]),
    ],
)
def test_a_refund_ends_as_its_card_says(
    psp: Any, token: str, at_once: str, in_the_end: str, effects: list[tuple[str, int]]
) -> None:
    refund = orjson.loads(psp.refund(paid(psp, token)).body)
    assert refund["status"] == at_once
    psp.wait(10)
    assert psp.get(f"/v1/refunds/{refund['id']}")["status"] == in_the_end
    assert [(effect.effect, effect.amount) for effect in psp.effects[1:]] == effects


def test_a_failed_refund_may_be_tried_again(psp: Any) -> None:
    intent_id = paid(psp, "tok_refund_fails_once")
    assert orjson.loads(psp.refund(intent_id, key="k-1").body)["status"] == "failed"
    assert orjson.loads(psp.refund(intent_id, key="k-2").body)["status"] == "succeeded"


def test_a_pending_refund_counts_against_what_is_left(psp: Any) -> None:
    intent_id = paid(psp, "tok_refund_pending")
    psp.refund(intent_id)
    assert code(psp.refund(intent_id)) == "charge_already_refunded"


def test_a_fault_makes_any_refund_fail(psp: Any) -> None:
    intent_id = paid(psp)
    psp.fault("create_refund", "refund_fails_later", seconds=0.5)
    psp.refund(intent_id)
    psp.wait(0.5)
    assert psp.effect_names() == ["captured", "refunded", "refund_failed"]


def test_refunds_are_listed_by_intent_and_announced(psp: Any) -> None:
    intent_id = paid(psp, "tok_refund_fails_later")
    psp.refund(intent_id)
    psp.wait(10)
    assert len(psp.get(f"/v1/refunds?payment_intent={intent_id}")["data"]) == 1
    assert psp.call("GET", "/v1/refunds").status == 400
    assert [event.type for event in psp.events][1:] == ["charge.refunded", "refund.failed"]
