"""A short run of `make crash-usage`: what is counted while its counters are killed is what the file says."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.office import Office
from tests.crash_usage.run import Plan, run

PLAN = Plan(records=20_000, kills=2, seed=340, seconds=60.0, per_second=5_000)
"""A seed that kills early: what a dead process has not published is published by the others after 10 s."""


async def test_every_bucket_holds_what_the_raw_file_says_whoever_is_killed(
    office: Office, tmp_path: Path
) -> None:
    outcome = await run(office, tmp_path, PLAN, print)

    assert outcome.broken == []
    assert len(outcome.kills) >= PLAN.kills
    assert outcome.records == 19_000
    assert outcome.renewals > 30
