"""The table of behaviours: every row is shown by a gateway as the README's table says."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
import pytest

from deploy.sandbox.behaviours import (
    ALL_CALLS,
    BEHAVIOURS,
    ICCID_CODES,
    ICCID_PREFIX,
    REPLAYS_TOO,
    of_iccid,
    of_token,
    rows_for,
)
from deploy.sandbox.exchange import NO_ANSWER, SECOND, Reply


class Shown(NamedTuple):
    """What a first call shows: HTTP status (None: no answer), error code, effects at once and 10 s later."""

    status: int | None
    code: str | None
    effects: list[str]
    later: list[str]


CHARGES = {
    "ok": Shown(200, None, ["captured"], ["captured"]),
    "timeout_before": Shown(None, None, [], []),
    "server_error": Shown(503, "unavailable", [], []),
    "rate_limited": Shown(429, "rate_limit", [], []),
    "timeout_after": Shown(None, None, ["captured"], ["captured"]),
    "server_error_after": Shown(500, "internal", ["captured"], ["captured"]),
    "slow": Shown(200, None, ["captured"], ["captured"]),
    "garbage": Shown(200, "not JSON", ["captured"], ["captured"]),
    "forgotten_key": Shown(200, None, ["captured"], ["captured"]),
    "decline_insufficient_funds": Shown(402, "card_declined", [], []),
    "decline_do_not_honor": Shown(402, "card_declined", [], []),
    "decline_generic": Shown(402, "card_declined", [], []),
    "decline_try_again_later": Shown(402, "card_declined", [], []),
    "decline_processing_error": Shown(402, "processing_error", [], []),
    "decline_lost_card": Shown(402, "card_declined", [], []),
    "decline_stolen_card": Shown(402, "card_declined", [], []),
    "decline_fraudulent": Shown(402, "card_declined", [], []),
    "decline_pickup_card": Shown(402, "card_declined", [], []),
    "decline_incorrect_number": Shown(402, "incorrect_number", [], []),
    "decline_revocation_of_authorization": Shown(402, "card_declined", [], []),
    "decline_expired_card": Shown(402, "expired_card", [], []),
    "sca": Shown(200, None, [], []),
    "sca_off_session": Shown(402, "authentication_required", [], []),
    "processing": Shown(200, None, [], ["captured"]),
    "processing_fails": Shown(200, None, [], []),
    "late_success": Shown(402, "card_declined", [], ["captured"]),
    "timeout_late": Shown(None, None, [], ["captured"]),
    "server_error_kept": Shown(500, "internal", [], []),
    "dispute": Shown(200, None, ["captured"], ["captured", "disputed"]),
    "refund_fails": Shown(200, None, ["captured"], ["captured"]),
    "refund_fails_later": Shown(200, None, ["captured"], ["captured"]),
    "refund_pending": Shown(200, None, ["captured"], ["captured"]),
    "refund_pending_fails": Shown(200, None, ["captured"], ["captured"]),
    "webhook_duplicate": Shown(200, None, ["captured"], ["captured"]),
    "webhook_late": Shown(200, None, ["captured"], ["captured"]),
    "webhook_forged": Shown(200, None, ["captured"], ["captured"]),
    "webhook_lost": Shown(200, None, ["captured"], ["captured"]),
}

TOPUPS = {
    "ok": Shown(201, None, ["applied"], ["applied"]),
    "timeout_before": Shown(None, None, [], []),
    "server_error": Shown(503, "unavailable", [], []),
    "rate_limited": Shown(429, "rate_limit", [], []),
    "timeout_after": Shown(None, None, ["applied"], ["applied"]),
    "server_error_after": Shown(500, "internal", ["applied"], ["applied"]),
    "slow": Shown(201, None, ["applied"], ["applied"]),
    "garbage": Shown(200, "not JSON", ["applied"], ["applied"]),
    "forgotten_key": Shown(201, None, ["applied"], ["applied"]),
    "processing": Shown(201, None, [], ["applied"]),
    "processing_fails": Shown(201, None, [], []),
    "late_success": Shown(422, "profile_not_eligible", [], ["applied"]),
    "timeout_late": Shown(None, None, [], ["applied"]),
    "server_error_kept": Shown(500, "internal", [], []),
    "rejected": Shown(422, "profile_not_eligible", [], []),
    "rejected_iccid_unknown": Shown(422, "iccid_unknown", [], []),
    "rejected_product_unavailable": Shown(422, "product_unavailable", [], []),
}


def shown_by(reply: Reply, driver: Any) -> Shown:
    at_once = driver.effect_names()
    driver.wait(10)
    if reply.hold_us == NO_ANSWER:
        return Shown(None, None, at_once, driver.effect_names())
    try:
        document = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return Shown(reply.status, "not JSON", at_once, driver.effect_names())
    code = document["error"]["code"] if "error" in document else None
    return Shown(reply.status, code, at_once, driver.effect_names())


def iccid_with(code: str) -> str:
    return f"{ICCID_PREFIX}{code}0000000017"


def test_the_expectations_cover_every_row_of_the_table() -> None:
    assert set(CHARGES) == {row.name for row in rows_for("psp")}
    assert set(TOPUPS) == {row.name for row in rows_for("carrier")}
    assert set(CHARGES) | set(TOPUPS) == set(BEHAVIOURS)


@pytest.mark.parametrize("name", CHARGES)
def test_a_card_behaves_as_its_token_says(psp: Any, name: str) -> None:
    intent_id = psp.intent(f"tok_{name}")
    assert shown_by(psp.confirm(intent_id, key="k-1"), psp) == CHARGES[name]


@pytest.mark.parametrize("name", CHARGES)
def test_creating_and_confirming_in_one_call_behaves_the_same(psp: Any, name: str) -> None:
    document = {"amount_minor": 1, "currency": "EUR", "payment_method": f"tok_{name}", "confirm": True}
    reply = psp.post("/v1/payment_intents", document, key="k-1")
    assert shown_by(reply, psp) == CHARGES[name]


@pytest.mark.parametrize("name", sorted(set(CHARGES) - {"forgotten_key"}))
def test_creating_an_intent_moves_no_money_and_never_misbehaves(psp: Any, name: str) -> None:
    assert psp.intent(f"tok_{name}")
    psp.wait(10)
    assert psp.effects == []


@pytest.mark.parametrize("name", CHARGES)
def test_a_card_that_misbehaves_once_is_fine_the_second_time(psp: Any, name: str) -> None:
    intent_id = psp.intent(f"tok_{name}_once")
    assert shown_by(psp.confirm(intent_id, key="k-1"), psp) == CHARGES[name]
    again = psp.confirm(intent_id, f"tok_{name}_once", key="k-2")
    captured_before = "captured" in CHARGES[name].later
    assert again.status == (400 if captured_before else 200)
    assert psp.status(intent_id) == "succeeded"
    assert psp.effect_names().count("captured") == 1


@pytest.mark.parametrize("code", ICCID_CODES)
def test_an_iccid_behaves_as_its_code_says(carrier: Any, code: str) -> None:
    name, _ = ICCID_CODES[code]
    assert shown_by(carrier.topup(iccid_with(code), key="k-1"), carrier) == TOPUPS[name]


def test_every_behaviour_of_the_carrier_has_an_iccid_code() -> None:
    assert {name for name, _ in ICCID_CODES.values()} == set(TOPUPS)


@pytest.mark.parametrize("name", TOPUPS)
def test_a_fault_makes_any_iccid_behave_so(carrier: Any, name: str) -> None:
    carrier.fault("apply_topup", name)
    assert shown_by(carrier.topup(key="k-1"), carrier) == TOPUPS[name]


@pytest.mark.parametrize("code", ["99", "01"])
def test_a_code_that_is_not_listed_is_ok(code: str) -> None:
    behaviour, times = of_iccid(iccid_with(code))
    assert (behaviour.name, times) == ("ok", ALL_CALLS)


@pytest.mark.parametrize(
    ("token", "name", "times"),
    [
        ("tok_ok", "ok", ALL_CALLS),
        ("tok_ok_of-anna_once", "ok", ALL_CALLS),
        ("tok_sca_off_session", "sca_off_session", ALL_CALLS),
        ("tok_sca_offside", "sca", ALL_CALLS),
        ("tok_timeout_after_once", "timeout_after", 1),
        ("tok_timeout_after_twice_bruno", "timeout_after", 2),
        ("tok_timeout_after_always", "timeout_after", REPLAYS_TOO),
        ("tok_decline_do_not_honor_once_7", "decline_do_not_honor", 1),
    ],
)
def test_a_token_names_the_longest_behaviour_and_how_often(token: str, name: str, times: int) -> None:
    chosen = of_token(token)
    assert chosen is not None
    assert (chosen[0].name, chosen[1]) == (name, times)


@pytest.mark.parametrize("token", ["tok", "tok_", "tok_visa", "4242424242424242", "card_ok", "tok_rejected"])
def test_a_token_that_names_no_behaviour_is_no_card(token: str) -> None:
    assert of_token(token) is None


def test_a_slow_answer_says_how_long_it_is_held(psp: Any) -> None:
    assert psp.confirm(psp.intent("tok_slow")).hold_us == 2 * SECOND
