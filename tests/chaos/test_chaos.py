"""A short run of `make chaos`: every service dies, somebody at each point, and the books agree afterwards."""

from __future__ import annotations

from shared import crash_points
from tests.acceptance.office import Office
from tests.chaos.changes import told
from tests.chaos.faults import AMID_A_CALL, SERVICE_POINTS, KafkaPause, Lie, PostgresRestart, Zombie
from tests.chaos.run import Load, run
from tests.chaos.schedule import draw

SEED = 763
"""Of the seeds whose first seconds hold all that the test below asks for."""
SECONDS = 42.0
LOAD = Load(subscribers=600, per_second=12.0)


def test_the_short_run_meets_every_service_every_named_point_and_every_brief_outage() -> None:
    schedule = draw(SEED, SECONDS)
    faults = [planned.fault for lane in schedule.lanes for planned in lane]
    assert {service for service, _ in schedule.crashes} == set(SERVICE_POINTS)
    # What lies before a publication without a row is the catalog's alone: longer runs meet it.
    assert {point for _, point in schedule.crashes} == set(crash_points.POINTS) - {
        crash_points.BEFORE_PUBLISH
    }
    assert any(isinstance(fault, Zombie) and fault.point in AMID_A_CALL for fault in faults)
    assert any(isinstance(fault, PostgresRestart) for fault in faults)
    assert any(isinstance(fault, KafkaPause) for fault in faults)
    assert {fault.gateway for fault in faults if isinstance(fault, Lie)} == {"psp", "carrier"}


async def test_whatever_dies_stops_or_lies_the_books_agree_and_nobody_is_forgotten(office: Office) -> None:
    schedule = draw(SEED, SECONDS)

    outcome = await run(office, schedule, LOAD, print)

    print(*told(outcome.story, outcome.changes), *outcome.traces, sep="\n")
    assert outcome.verdict.broken == [], f"make chaos SEED={SEED} MINUTES={SECONDS / 60:g}"
    assert all(outcome.story.deaths(*died) for died in schedule.crashes)
