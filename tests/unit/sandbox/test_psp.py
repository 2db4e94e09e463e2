"""Payment intents: what moves money, what does not, and what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

GOOD = {"amount_minor": 500, "currency": "EUR", "payment_method": "tok_ok", "metadata": {"renewal_id": "r-1"}}


def error(reply: Any) -> dict[str, Any]:
    return dict(orjson.loads(reply.body)["error"])


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 1.0}, "amount_minor"),
        ({"amount_minor": True}, "amount_minor"),
        ({"amount_minor": "500"}, "amount_minor"),
        ({"amount_minor": 10**13}, "amount_minor"),
        ({"amount_minor": None}, "amount_minor"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "EURO"}, "currency"),
        ({"currency": 978}, "currency"),
        ({"payment_method": ""}, "payment_method"),
        ({"payment_method": 4242}, "payment_method"),
        ({"confirm": "yes"}, "confirm"),
        ({"confirm": True, "payment_method": None}, "payment_method"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"renewal_id": 7}}, "metadata"),
        ({"metadata": {"renewal_id": "x" * 256}}, "metadata"),
    ],
)
def test_a_wrong_field_is_refused_by_name(psp: Any, wrong: dict[str, Any], param: str) -> None:
    reply = psp.post("/v1/payment_intents", GOOD | wrong)
    assert (reply.status, error(reply)["param"]) == (400, param)
    assert psp.gateway.state.intents == {}


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b'"text"', b"{'a': 1}"])
def test_a_body_that_is_no_json_object_is_refused(psp: Any, body: bytes) -> None:
    reply = psp.post("/v1/payment_intents", body)
    assert (reply.status, error(reply)["code"]) == (400, "json_invalid")


def test_a_card_that_does_not_exist_is_refused(psp: Any) -> None:
    reply = psp.post("/v1/payment_intents", GOOD | {"payment_method": "tok_visa"})
    assert (reply.status, error(reply)["code"]) == (400, "resource_missing")


def test_a_new_intent_waits_for_its_method_or_its_confirmation(psp: Any) -> None:
    assert psp.status(psp.intent("tok_ok")) == "requires_confirmation"
    assert psp.status(psp.intent(None)) == "requires_payment_method"


def test_a_confirmed_intent_is_captured_once_whatever_comes_after(psp: Any) -> None:
    intent_id = psp.intent()
    assert psp.confirm(intent_id, key="k-1").status == 200
    again = psp.confirm(intent_id, key="k-2")
    assert (again.status, error(again)["code"]) == (400, "payment_intent_unexpected_state")
    assert error(again)["payment_intent"]["status"] == "succeeded"
    (effect,) = psp.effects
    assert (effect.effect, effect.amount, effect.unit, effect.reference) == ("captured", 500, "EUR", "r-1")
    assert (effect.id, effect.key) == (intent_id, "k-1")


def test_after_a_decline_another_method_under_another_key_pays(psp: Any) -> None:
    intent_id = psp.intent("tok_decline_insufficient_funds")
    declined = error(psp.confirm(intent_id, key="k-1"))
    assert (declined["type"], declined["decline_code"]) == ("card_error", "insufficient_funds")
    assert declined["payment_intent"]["status"] == "requires_payment_method"
    assert declined["payment_intent"]["payment_method"] is None
    assert psp.confirm(intent_id, "tok_ok", key="k-2").status == 200
    assert psp.get(f"/v1/payment_intents/{intent_id}")["last_payment_error"] is None


def test_an_intent_without_a_method_cannot_be_confirmed(psp: Any) -> None:
    assert error(psp.confirm(psp.intent(None)))["param"] == "payment_method"


def test_sca_ends_by_the_customers_word(psp: Any) -> None:
    passed, failed = psp.intent("tok_sca"), psp.intent("tok_sca")
    for intent_id in (passed, failed):
        asked = orjson.loads(psp.confirm(intent_id).body)
        assert asked["status"] == "requires_action"
        assert asked["next_action"]["redirect_to_url"]["url"].endswith("/authenticate")
    psp.post(f"/v1/payment_intents/{passed}/authenticate", {"outcome": "succeeded"})
    psp.post(f"/v1/payment_intents/{failed}/authenticate", {"outcome": "failed"})
    assert (psp.status(passed), psp.status(failed)) == ("succeeded", "requires_payment_method")


def test_an_intent_that_asks_for_nothing_cannot_be_authenticated(psp: Any) -> None:
    reply = psp.post(f"/v1/payment_intents/{psp.intent()}/authenticate", {"outcome": "succeeded"})
    assert error(reply)["code"] == "payment_intent_unexpected_state"


def test_a_cancelled_intent_is_never_captured(psp: Any) -> None:
    intent_id = psp.intent("tok_timeout_late")
    psp.confirm(intent_id)
    assert psp.post(f"/v1/payment_intents/{intent_id}/cancel").status == 200
    assert psp.post(f"/v1/payment_intents/{intent_id}/cancel").status == 200
    psp.wait(10)
    assert psp.status(intent_id) == "canceled"
    assert error(psp.confirm(intent_id, "tok_ok"))["code"] == "payment_intent_unexpected_state"
    assert psp.effect_names() == ["cancelled"]


@pytest.mark.parametrize("token", ["tok_ok", "tok_processing"])
def test_what_was_or_may_be_captured_cannot_be_cancelled(psp: Any, token: str) -> None:
    intent_id = psp.intent(token)
    psp.confirm(intent_id)
    reply = psp.post(f"/v1/payment_intents/{intent_id}/cancel")
    assert (reply.status, error(reply)["code"]) == (400, "payment_intent_unexpected_state")


def test_a_late_success_after_another_card_paid_captures_nothing_more(psp: Any) -> None:
    intent_id = psp.intent("tok_late_success")
    psp.confirm(intent_id)
    psp.confirm(intent_id, "tok_ok")
    psp.wait(10)
    assert psp.effect_names() == ["captured"]


def test_processing_that_fails_ends_declined(psp: Any) -> None:
    intent_id = psp.intent("tok_processing_fails")
    psp.confirm(intent_id)
    assert psp.status(intent_id) == "processing"
    psp.wait(2)
    assert psp.status(intent_id) == "requires_payment_method"


def test_intents_are_found_by_renewal_newest_first_and_bounded(psp: Any) -> None:
    made = [psp.intent(renewal_id="r-7") for _ in range(3)]
    page = psp.get("/v1/payment_intents?renewal_id=r-7&limit=2")
    assert [intent["id"] for intent in page["data"]] == [made[2], made[1]]
    assert page["has_more"] is True
    assert psp.get("/v1/payment_intents?renewal_id=nobody")["data"] == []
    assert psp.call("GET", "/v1/payment_intents").status == 400
    assert psp.call("GET", "/v1/payment_intents?renewal_id=r-7&limit=0").status == 400


def test_an_intent_is_found_only_after_the_visibility_window(psp: Any) -> None:
    psp.call("PUT", "/capabilities", {"visible_after_seconds": 1.5})
    psp.intent(renewal_id="r-7")
    assert psp.get("/v1/payment_intents?renewal_id=r-7")["data"] == []
    psp.wait(1.5)
    assert len(psp.get("/v1/payment_intents?renewal_id=r-7")["data"]) == 1


@pytest.mark.parametrize(
    "path", ["/v1/payment_intents/pi_none", "/v1/refunds/re_none", "/v1/none", "/v2", "/"]
)
def test_what_is_not_there_is_not_found(psp: Any, path: str) -> None:
    assert psp.call("GET", path).status == 404


def test_the_wrong_method_is_told_the_right_ones(psp: Any) -> None:
    reply = psp.call("PUT", "/v1/payment_intents")
    assert reply.status == 405
    assert "GET, POST" in error(reply)["message"]


@pytest.mark.parametrize(
    ("token", "events"),
    [
        ("tok_ok", ["payment_intent.succeeded"]),
        ("tok_decline_lost_card", ["payment_intent.payment_failed"]),
        ("tok_late_success", ["payment_intent.payment_failed", "payment_intent.succeeded"]),
        ("tok_dispute", ["payment_intent.succeeded", "charge.dispute.created"]),
    ],
)
def test_a_webhook_announces_what_became_of_the_money(psp: Any, token: str, events: list[str]) -> None:
    psp.confirm(psp.intent(token))
    psp.wait(10)
    assert [event.type for event in psp.events] == events


def test_cancelling_is_announced(psp: Any) -> None:
    psp.post(f"/v1/payment_intents/{psp.intent()}/cancel")
    assert [event.type for event in psp.events] == ["payment_intent.canceled"]


@pytest.mark.parametrize("mischief", ["duplicate", "late", "forged", "lost"])
def test_a_token_or_a_fault_chooses_the_webhooks_mischief(psp: Any, mischief: str) -> None:
    psp.confirm(psp.intent(f"tok_webhook_{mischief}"))
    psp.fault("webhook", f"webhook_{mischief}")
    psp.confirm(psp.intent())
    assert [event.mischief for event in psp.events] == [mischief, mischief]
