"""The schedule of a seed: always the same, whole where there is time for it, and possible."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.chaos.chaos_stack import IMPATIENT
from tests.chaos.faults import (
    AMID_A_CALL,
    LIES,
    SERVICE_POINTS,
    Crash,
    KafkaPause,
    KafkaRestart,
    Lie,
    PostgresRestart,
    Zombie,
    service_of,
)
from tests.chaos.schedule import FIRST_AT_SECONDS, draw, lasts

TEN_MINUTES = 600.0
EVERY_POINT = {(service, point) for service, points in SERVICE_POINTS.items() for point in points}
SEEDS = range(50)
CALLERS = ("payment", "provisioning")


def test_the_same_seed_is_the_same_schedule_and_another_one_is_another() -> None:
    assert draw(7, TEN_MINUTES) == draw(7, TEN_MINUTES)
    assert draw(7, TEN_MINUTES).lanes != draw(8, TEN_MINUTES).lanes


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    short, long = draw(7, 60.0), draw(7, TEN_MINUTES)
    for brief, whole in zip(short.lanes, long.lanes, strict=True):
        assert list(whole[: len(brief)]) == list(brief)


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_minutes_meet_every_point_every_outage_and_every_lie(seed: int) -> None:
    schedule = draw(seed, TEN_MINUTES)
    services = [planned.fault for planned in schedule.services]
    ground = [planned.fault for planned in schedule.ground]
    lies = [planned.fault for planned in schedule.gateways]
    assert schedule.crashes == EVERY_POINT
    assert {service_of(one.instance) for one in services if isinstance(one, Zombie)} == set(SERVICE_POINTS)
    assert {one.mode for one in ground if isinstance(one, PostgresRestart)} == {"fast", "immediate"}
    assert {one.how for one in ground if isinstance(one, KafkaRestart)} == {"SIGTERM", "SIGKILL"}
    assert any(isinstance(one, KafkaPause) for one in ground)
    assert {(one.gateway, one.operation, one.behaviour) for one in lies if isinstance(one, Lie)} == set(LIES)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_short_run_kills_every_service_and_wakes_the_dead(seed: int) -> None:
    schedule = draw(seed, 50.0)
    assert {service for service, _ in schedule.crashes} == set(SERVICE_POINTS)
    assert any(isinstance(planned.fault, Zombie) for planned in schedule.services)


def test_nothing_of_a_lane_begins_before_the_fault_before_it_is_mended() -> None:
    for lane in draw(7, TEN_MINUTES).lanes:
        assert lane[0].at_seconds >= FIRST_AT_SECONDS
        for before, after in pairwise(lane):
            assert after.at_seconds >= before.at_seconds + lasts(before.fault)
        assert lane[-1].at_seconds + lasts(lane[-1].fault) <= TEN_MINUTES


def test_who_is_to_die_or_to_stand_still_somewhere_comes_by_there() -> None:
    for planned in draw(7, TEN_MINUTES).services:
        if isinstance(planned.fault, Crash | Zombie):
            assert planned.fault.point in SERVICE_POINTS[service_of(planned.fault.instance)]


@pytest.mark.parametrize("seed", SEEDS)
def test_who_calls_gateways_stands_still_amid_a_call_longer_than_its_lease(seed: int) -> None:
    callers = [
        planned.fault
        for planned in draw(seed, TEN_MINUTES).services
        if isinstance(planned.fault, Zombie) and service_of(planned.fault.instance) in CALLERS
    ]
    assert {service_of(one.instance) for one in callers} == set(CALLERS)
    for one in callers:
        lease = float(IMPATIENT[f"RECARGA_{service_of(one.instance).upper()}_LEASE_SECONDS"])
        assert one.point in AMID_A_CALL
        assert one.seconds > lease
