"""Top-ups: what is granted, what is refused, and what a cancellation promises."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from deploy.sandbox.exchange import SECOND, instant_text

ICCID = "8934071100000000017"


def error(reply: Any) -> dict[str, Any]:
    return dict(orjson.loads(reply.body)["error"])


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"iccid": "893407110000000001x"}, "iccid"),
        ({"iccid": "893"}, "iccid"),
        ({"iccid": 8934071100000000017}, "iccid"),
        ({"iccid": "٨٩٣٤٠٧١١٠٠٠٠٠٠٠٠٠١٧"}, "iccid"),
        ({"reference": ""}, "reference"),
        ({"data_bytes": 0}, "data_bytes"),
        ({"data_bytes": 1.5}, "data_bytes"),
        ({"data_bytes": 2**60}, "data_bytes"),
        ({"validity_seconds": -1}, "validity_seconds"),
        ({"stacking": "pile"}, "stacking"),
        ({"product_code": None}, "product_code"),
    ],
)
def test_a_wrong_field_is_refused_by_name(carrier: Any, wrong: dict[str, Any], param: str) -> None:
    reply = carrier.topup(**wrong)
    assert (reply.status, error(reply)["param"]) == (400, param)


def test_a_topup_is_applied_and_found_again(carrier: Any) -> None:
    reply = carrier.topup(key="k-1")
    topup = orjson.loads(reply.body)
    assert (reply.status, topup["status"]) == (201, "completed")
    assert carrier.get(f"/v1/topups/{topup['id']}") == topup
    assert carrier.found() == [topup]
    (effect,) = carrier.effects
    assert (effect.effect, effect.reference, effect.subject) == ("applied", "r-1", ICCID)
    assert (effect.amount, effect.unit, effect.id) == (1_000, "cu-1", topup["id"])


@pytest.mark.parametrize(
    ("stacking", "remaining", "expires_in", "starts_in"),
    [("extend", 2_000, 7_200, 600), ("queue", 2_000, 7_200, 3_600), ("replace", 1_000, 4_200, 600)],
)
def test_a_second_topup_stacks_as_it_asks(
    carrier: Any, stacking: str, remaining: int, expires_in: int, starts_in: int
) -> None:
    start = carrier.now
    carrier.topup(reference="r-1")
    carrier.wait(600)
    second = orjson.loads(carrier.topup(reference="r-2", stacking=stacking).body)
    profile = carrier.get(f"/v1/profiles/{ICCID}")
    assert (profile["remaining_bytes"], profile["topups"]) == (remaining, 2)
    assert profile["expires_at"] == second["expires_at"] == instant_text(start + expires_in * SECOND)
    assert second["starts_at"] == instant_text(start + starts_in * SECOND)


def test_expired_data_is_gone_and_the_next_topup_starts_anew(carrier: Any) -> None:
    carrier.topup(reference="r-1")
    carrier.wait(3_600)
    assert carrier.get(f"/v1/profiles/{ICCID}")["remaining_bytes"] == 0
    carrier.topup(reference="r-2")
    assert carrier.get(f"/v1/profiles/{ICCID}")["remaining_bytes"] == 1_000


def test_a_profile_that_never_bought_holds_nothing(carrier: Any) -> None:
    assert carrier.get(f"/v1/profiles/{ICCID}") == {
        "iccid": ICCID,
        "remaining_bytes": 0,
        "expires_at": None,
        "topups": 0,
    }
    assert carrier.call("GET", "/v1/profiles/12").status == 400


def test_the_same_reference_under_another_key_is_a_second_topup(carrier: Any) -> None:
    carrier.topup(key="k-1")
    carrier.topup(key="k-2")
    assert carrier.effect_names() == ["applied", "applied"]


def test_a_cancelled_reference_is_never_topped_up(carrier: Any) -> None:
    assert orjson.loads(carrier.cancel().body)["status"] == "cancelled"
    assert carrier.cancel().status == 200
    refused = carrier.topup()
    assert (refused.status, error(refused)["code"]) == (409, "topup_cancelled")
    assert carrier.effect_names() == ["topup_cancelled"]


def test_an_applied_topup_cannot_be_cancelled(carrier: Any) -> None:
    carrier.topup()
    refused = carrier.cancel()
    assert (refused.status, error(refused)["code"]) == (409, "topup_already_applied")
    assert error(refused)["topup"]["status"] == "completed"


@pytest.mark.parametrize("code", ["35", "70", "72"])
def test_a_topup_on_its_way_is_stopped_by_a_cancellation(carrier: Any, code: str) -> None:
    carrier.topup(f"8999990{code}0000000017")
    assert carrier.cancel().status == 200
    carrier.wait(10)
    assert carrier.effect_names() == ["topup_cancelled"]
    assert [topup["status"] for topup in carrier.found()] == ["cancelled"]


def test_a_late_topup_is_not_found_before_it_is_applied(carrier: Any) -> None:
    carrier.topup("8999990350000000017")
    assert carrier.found() == []
    carrier.wait(2)
    assert [topup["status"] for topup in carrier.found()] == ["completed"]


def test_processing_ends_completed_or_failed(carrier: Any) -> None:
    carrier.topup("8999990700000000017", "r-1")
    carrier.topup("8999990710000000017", "r-2")
    carrier.wait(2)
    ends = [carrier.found(reference)[0]["status"] for reference in ("r-1", "r-2")]
    assert ends == ["completed", "failed"]


def test_a_behaviour_for_one_call_is_counted_by_reference(carrier: Any) -> None:
    iccid = "8999990210000000017"
    assert [carrier.topup(iccid, "r-1").status for _ in range(2)] == [503, 201]
    assert carrier.topup(iccid, "r-2").status == 503


@pytest.mark.parametrize(
    ("capability", "call"),
    [
        ("can_query", ("GET", "/v1/topups?reference=r-1", None)),
        ("can_query", ("GET", "/v1/topups/tu_1", None)),
        ("can_query", ("GET", f"/v1/profiles/{ICCID}", None)),
        ("can_cancel", ("POST", "/v1/topup-cancellations", {"reference": "r-1"})),
    ],
)
def test_what_the_carrier_cannot_do_is_not_done(carrier: Any, capability: str, call: Any) -> None:
    assert carrier.call("PUT", "/capabilities", {capability: False}).status == 200
    assert carrier.call(*call).status == 501
    assert carrier.effects == []


def test_a_carrier_that_honours_no_keys_applies_a_repeat_again(carrier: Any) -> None:
    carrier.call("PUT", "/capabilities", {"honours_keys": False})
    carrier.topup(key="k-1")
    carrier.topup(key="k-1")
    assert carrier.effect_names() == ["applied", "applied"]


@pytest.mark.parametrize(
    "wrong",
    [{"can_fly": True}, {"can_query": 1}, {"keys_remembered_seconds": -1}, {"visible_after_seconds": "1"}],
)
def test_a_wrong_capability_is_refused(carrier: Any, wrong: dict[str, Any]) -> None:
    before = carrier.get("/capabilities")
    assert carrier.call("PUT", "/capabilities", wrong).status == 400
    assert carrier.get("/capabilities") == before
