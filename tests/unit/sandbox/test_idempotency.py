"""Keys: a repeat gets the first answer, other parameters are refused, and memory ends."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from deploy.sandbox.exchange import NO_ANSWER
from deploy.sandbox.idempotency import SWEEP_EVERY

GOOD = {"amount_minor": 500, "currency": "EUR", "payment_method": "tok_ok", "confirm": True}
INTENTS = "/v1/payment_intents"


def code(reply: Any) -> str:
    return str(orjson.loads(reply.body)["error"]["code"])


@pytest.mark.parametrize("token", ["tok_ok", "tok_decline_lost_card", "tok_sca", "tok_server_error_kept"])
def test_a_repeat_gets_the_first_answer_verbatim(psp: Any, token: str) -> None:
    first = psp.post(INTENTS, GOOD | {"payment_method": token}, key="k-1")
    effects = list(psp.effects)
    psp.wait(3_600)
    again = psp.post(INTENTS, GOOD | {"payment_method": token}, key="k-1")
    assert (again.status, again.body, again.replayed) == (first.status, first.body, True)
    assert (first.replayed, psp.effects) == (False, effects)


def test_the_order_and_spacing_of_fields_do_not_matter(psp: Any) -> None:
    first = psp.post(INTENTS, b'{"amount_minor":5,"currency":"EUR"}', key="k-1")
    again = psp.post(INTENTS, b'{ "currency": "EUR",\n "amount_minor": 5, "unknown": 1 }', key="k-1")
    assert (again.replayed, again.body) == (True, first.body)


def test_other_parameters_under_one_key_are_refused(psp: Any) -> None:
    psp.post(INTENTS, GOOD, key="k-1")
    refused = psp.post(INTENTS, GOOD | {"amount_minor": 501}, key="k-1")
    assert (refused.status, code(refused)) == (400, "idempotency_error")
    assert psp.effect_names() == ["captured"]


def test_another_path_under_one_key_is_refused(psp: Any) -> None:
    first, second = psp.intent(), psp.intent()
    assert psp.confirm(first, key="k-1").status == 200
    assert code(psp.confirm(second, key="k-1")) == "idempotency_error"


def test_a_repeat_while_the_first_is_in_progress_is_told_so(psp: Any) -> None:
    slow = GOOD | {"payment_method": "tok_slow"}
    psp.post(INTENTS, slow, key="k-1")
    early = psp.post(INTENTS, slow, key="k-1")
    assert (early.status, code(early)) == (409, "idempotency_key_in_use")
    psp.wait(2)
    assert psp.post(INTENTS, slow, key="k-1").replayed


@pytest.mark.parametrize("token", ["tok_timeout_after", "tok_garbage", "tok_server_error_after"])
def test_an_answer_lost_on_its_way_is_there_for_the_repeat(psp: Any, token: str) -> None:
    document = GOOD | {"payment_method": token}
    psp.post(INTENTS, document, key="k-1")
    again = psp.post(INTENTS, document, key="k-1")
    assert (again.status, orjson.loads(again.body)["status"]) == (200, "succeeded")
    assert psp.effect_names() == ["captured"]


def test_where_replays_are_lost_too_only_asking_helps(psp: Any) -> None:
    intent_id = psp.intent("tok_timeout_after_always")
    assert [psp.confirm(intent_id, key="k-1").hold_us for _ in range(3)] == [NO_ANSWER] * 3
    assert psp.status(intent_id) == "succeeded"
    assert psp.effect_names() == ["captured"]


@pytest.mark.parametrize(
    "token", ["tok_server_error_once", "tok_rate_limited_once", "tok_timeout_before_once"]
)
def test_what_never_began_is_not_remembered(psp: Any, token: str) -> None:
    document = GOOD | {"payment_method": token}
    psp.post(INTENTS, document, key="k-1")
    again = psp.post(INTENTS, document, key="k-1")
    assert (again.status, again.replayed) == (200, False)


def test_a_refused_request_leaves_its_key_free(psp: Any) -> None:
    assert psp.post(INTENTS, GOOD | {"amount_minor": 0}, key="k-1").status == 400
    assert psp.post(INTENTS, GOOD, key="k-1").status == 200


def test_a_forgotten_key_charges_twice(psp: Any) -> None:
    document = GOOD | {"payment_method": "tok_forgotten_key"}
    psp.post(INTENTS, document, key="k-1")
    assert not psp.post(INTENTS, document, key="k-1").replayed
    assert psp.effect_names() == ["captured", "captured"]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_empty_or_endless_key_is_refused(psp: Any, key: str) -> None:
    assert code(psp.post(INTENTS, GOOD, key=key)) == "idempotency_key_invalid"


def test_a_key_is_forgotten_when_its_time_is_over(psp: Any) -> None:
    psp.call("PUT", "/capabilities", {"keys_remembered_seconds": 60})
    psp.post(INTENTS, GOOD, key="k-1")
    psp.wait(59)
    assert psp.post(INTENTS, GOOD, key="k-1").replayed
    psp.wait(1)
    assert not psp.post(INTENTS, GOOD, key="k-1").replayed


def test_memory_of_keys_is_bounded_by_their_time(carrier: Any) -> None:
    carrier.call("PUT", "/capabilities", {"keys_remembered_seconds": 60})
    for number in range(3 * SWEEP_EVERY):
        carrier.topup(reference=f"r-{number}", key=f"k-{number}")
        carrier.wait(1)
    assert len(carrier.gateway.state.keys.answers) <= 60 + SWEEP_EVERY


def test_the_two_servers_keep_their_keys_apart(psp: Any, carrier: Any) -> None:
    assert psp.post(INTENTS, GOOD, key="k-1").status == 200
    assert carrier.topup(key="k-1").status == 201
