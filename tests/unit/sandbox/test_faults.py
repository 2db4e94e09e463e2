"""Fault profiles: which calls misbehave is set over HTTP, and decided the same way every time."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from deploy.sandbox.carrier import carrier_gateway
from deploy.sandbox.exchange import NO_ANSWER, SECOND

from .conftest import CarrierDriver


def statuses(carrier: Any, calls: int) -> list[int]:
    return [carrier.topup(reference=f"r-{number}").status for number in range(calls)]


def test_every_nth_call_misbehaves(carrier: Any) -> None:
    carrier.fault("apply_topup", "server_error", every_nth=3)
    assert statuses(carrier, 6) == [201, 201, 503, 201, 201, 503]


def test_a_count_ends_the_fault(carrier: Any) -> None:
    carrier.fault("apply_topup", "server_error", count=2)
    assert statuses(carrier, 4) == [503, 503, 201, 201]


def test_the_same_seed_brings_the_same_faults_and_another_seed_others(carrier: Any) -> None:
    runs = []
    for seed in (7, 7, 8):
        driver = CarrierDriver(carrier_gateway("5a17"))
        driver.fault("apply_topup", "server_error", probability=0.5, seed=seed)
        runs.append(statuses(driver, 40))
    assert runs[0] == runs[1] != runs[2]
    assert 5 < runs[0].count(503) < 35


def test_a_fault_can_lose_a_question_as_well(carrier: Any) -> None:
    carrier.fault("list_topups", "timeout_before")
    assert carrier.call("GET", "/v1/topups?reference=r-1").hold_us == NO_ANSWER
    carrier.fault("get_profile", "garbage")
    assert b"html" in carrier.call("GET", "/v1/profiles/8934071100000000017").body


def test_a_fault_for_every_operation_only_acts_where_it_can(carrier: Any) -> None:
    carrier.fault("*", "rejected")
    assert carrier.topup().status == 422
    assert carrier.cancel().status == 200


def test_the_first_rule_that_fires_wins(carrier: Any) -> None:
    rules = [
        {"operation": "apply_topup", "behaviour": "rate_limited", "count": 1, "retry_after_seconds": 7},
        {"operation": "apply_topup", "behaviour": "slow", "seconds": 0.25},
    ]
    assert carrier.call("PUT", "/faults", {"faults": rules}).status == 200
    first, second = carrier.topup(), carrier.topup()
    assert (first.status, first.retry_after_seconds) == (429, 7)
    assert (second.status, second.hold_us) == (201, SECOND // 4)


def test_a_lost_answer_loses_its_replay_too_while_the_fault_lasts(carrier: Any) -> None:
    carrier.fault("apply_topup", "timeout_after", count=2)
    held = [carrier.topup(key="k-1").hold_us for _ in range(3)]
    assert held == [NO_ANSWER, NO_ANSWER, 0]
    assert carrier.effect_names() == ["applied"]


def test_a_charging_fault_leaves_the_creation_of_an_intent_alone(psp: Any) -> None:
    psp.fault("create_intent", "timeout_late")
    assert psp.intent()


def test_faults_are_shown_with_what_they_did_and_taken_away(carrier: Any) -> None:
    carrier.fault("apply_topup", "server_error", every_nth=2)
    statuses(carrier, 4)
    (rule,) = carrier.get("/faults")["faults"]
    assert (rule["seen"], rule["fired"]) == (4, 2)
    assert orjson.loads(carrier.call("DELETE", "/faults").body) == {"faults": []}
    assert statuses(carrier, 2) == [201, 201]


@pytest.mark.parametrize(
    "rule",
    [
        {"operation": "fly", "behaviour": "slow"},
        {"operation": "apply_topup", "behaviour": "sca"},
        {"operation": "apply_topup", "behaviour": "unheard_of"},
        {"operation": "get_topup", "behaviour": "rejected"},
        {"operation": "apply_topup", "behaviour": "slow", "probability": 2},
        {"operation": "apply_topup", "behaviour": "slow", "probability": 0.5, "every_nth": 2},
        {"operation": "apply_topup", "behaviour": "slow", "every_nth": 0},
        {"operation": "apply_topup", "behaviour": "slow", "count": -1},
        {"operation": "apply_topup", "behaviour": "slow", "seconds": "long"},
        {"operation": "apply_topup", "behaviour": "slow", "unknown": 1},
        {"behaviour": "slow"},
        "slow",
    ],
)
def test_a_wrong_rule_is_refused_and_the_profile_stays(carrier: Any, rule: Any) -> None:
    carrier.fault("apply_topup", "server_error", count=1)
    assert carrier.call("PUT", "/faults", [rule]).status == 400
    assert len(carrier.get("/faults")["faults"]) == 1


@pytest.mark.parametrize("body", [{"faults": 1}, {}, [{"operation": "*", "behaviour": "slow"}] * 101])
def test_a_profile_that_is_no_short_list_is_refused(carrier: Any, body: Any) -> None:
    assert carrier.call("PUT", "/faults", body).status == 400
