"""A short run of `make chaos`: every service dies where it was told to, and the books agree afterwards."""

from __future__ import annotations

from tests.acceptance.office import Office
from tests.chaos.changes import told
from tests.chaos.faults import SERVICE_POINTS
from tests.chaos.run import Load, run
from tests.chaos.schedule import draw

SEED = 376
SECONDS = 42.0
LOAD = Load(subscribers=600, per_second=12.0)


async def test_whatever_dies_stops_or_lies_the_books_agree_and_nobody_is_forgotten(office: Office) -> None:
    schedule = draw(SEED, SECONDS)

    outcome = await run(office, schedule, LOAD, print)

    print(*told(outcome.story, outcome.changes), sep="\n")
    assert outcome.verdict.broken == [], f"make chaos SEED={SEED} MINUTES={SECONDS / 60:g}"
    assert {service for service in SERVICE_POINTS if outcome.story.deaths_of(service)} == set(SERVICE_POINTS)
