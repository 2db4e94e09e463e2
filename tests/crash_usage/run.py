"""One run: people, their file, kills on the way, and then the comparison with the file alone."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.acceptance.office import Office
from tests.chaos.story import Tell
from tests.chaos.waiting import for_time
from tests.crash_usage.feed import Feed
from tests.crash_usage.people import BOUGHT_BYTES, FIRST_BYTES, THRESHOLD_PERCENT, User, settled
from tests.crash_usage.raw_file import draw
from tests.crash_usage.recomputation import Expected, expected, used_bytes
from tests.crash_usage.verdict import verdict

PROCESSES: Final = ("usage-1", "usage-2")
LONGEST_DELAY_SECONDS: Final = 0.3
RECORDS_PER_PERSON: Final = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done. `seconds` bounds each wait: for the counting, the renewals, the quiet."""

    records: int
    kills: int
    seed: int
    seconds: float
    per_second: float | None = None


@dataclass(slots=True)
class Outcome:
    """What came of it. `broken` is empty where every bucket holds what the file says."""

    lines: int
    records: int
    kills: list[str] = field(default_factory=list)
    counted_seconds: float = 0.0
    over_http: int = 0
    sent_again: int = 0
    renewals: int = 0
    broken: list[str] = field(default_factory=list)


async def run(office: Office, folder: Path, plan: Plan, tell: Tell) -> Outcome:
    """Kill processes of usage while they count a file; say what is not as the file says."""
    path = folder / "usage.csv"
    users = await settled(office, max(20, plan.records // RECORDS_PER_PERSON))
    people = [user.person for user in users]
    drawn = await asyncio.to_thread(draw, path, people, plan.records, plan.seed, datetime.now(UTC))
    used, distinct = await asyncio.to_thread(used_bytes, path)
    tell(
        f"{drawn.lines:,} lines of {len(users):,} people: {distinct:,} records, {drawn.repeated:,} repeated, "
        f"{drawn.out_of_order:,} out of order"
    )
    ends = {
        user.subscription_id: expected(used.get(user.iccid, 0), FIRST_BYTES, BOUGHT_BYTES, THRESHOLD_PERCENT)
        for user in users
    }
    outcome = Outcome(drawn.lines, distinct)
    feed = Feed(office, path, plan.per_second)
    began = time.monotonic()
    feeding = asyncio.create_task(feed.run())
    try:
        progress = _Progress(office, users, sum(used.values()))
        await _kill(office, plan, progress, outcome, tell)
        await feeding
        await office.until(progress.is_complete, "every record was counted", plan.seconds)
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    outcome.counted_seconds = time.monotonic() - began
    outcome.over_http, outcome.sent_again = feed.over_http, feed.sent_again
    tell(f"all is counted after {outcome.counted_seconds:.1f} s; waiting for the renewals")
    await _until_renewed(office, ends, plan.seconds)
    outcome.renewals = sum(each.bought for each in ends.values())
    outcome.broken += await verdict(office, ends, distinct, plan.seconds)
    return outcome


class _Progress:
    """How much of the usage is counted."""

    def __init__(self, office: Office, users: Sequence[User], total_bytes: int) -> None:
        self._office = office
        self._ids = [user.subscription_id for user in users]
        self._total_bytes = total_bytes

    async def share(self) -> float:
        counted = await self._office.database.fetchval(
            "select coalesce(sum(used_bytes), 0) from usage.balances where subscription_id = any($1::text[])",
            self._ids,
        )
        return float(counted) / self._total_bytes

    async def is_complete(self) -> bool:
        return await self.share() >= 1.0


async def _kill(office: Office, plan: Plan, progress: _Progress, outcome: Outcome, tell: Tell) -> None:
    """SIGKILL at random instants, as long as there is something to count; who was killed starts again."""
    lots = random.Random(plan.seed)
    for share in sorted(lots.uniform(0.02, 0.9) for _ in range(plan.kills)):

        async def reached(share: float = share) -> bool:
            return await progress.share() >= share

        await office.until(reached, f"{share:.0%} of the usage counted", plan.seconds)
        await for_time(lots.uniform(0, LONGEST_DELAY_SECONDS))
        struck = lots.choice([*((one,) for one in PROCESSES), PROCESSES])
        await asyncio.gather(*(office.stack.kill(name) for name in struck))
        counted = await progress.share()
        outcome.kills += struck
        tell(f"SIGKILL {' and '.join(struck)} at {counted:.1%}")
        if counted >= 1.0:
            outcome.broken.append(f"the SIGKILL of {' and '.join(struck)} met nothing: all was counted")
        await asyncio.gather(*(office.stack.restart(name) for name in struck))


async def _until_renewed(office: Office, ends: dict[str, Expected], seconds: float) -> None:
    """Every bucket that had to be bought is there."""
    wanted = sum(each.bought for each in ends.values())

    async def bought() -> bool:
        cycles = await office.database.fetchval(
            "select coalesce(sum(cycle), 0) from usage.balances where subscription_id = any($1::text[])",
            list(ends),
        )
        return bool(cycles >= wanted)

    await office.until(bought, f"{wanted} automatic renewals", seconds)
