"""A lane hands its jobs out in their order, as fast as its gateway bears and no faster."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from shared.calls.breaker import BreakerPolicy, Sign
from shared.calls.lane import Lane

DEADLINE_SECONDS = 5.0
HASTY = BreakerPolicy(failures=2, first_seconds=0.02, longest_seconds=0.02, step_seconds=0.02)


class Callers:
    """Calls that end when a test says so."""

    def __init__(self, lane: Lane[int]) -> None:
        self.lane = lane
        self.begun: list[int] = []
        self.most = 0
        self.under_way: dict[int, tuple[int, asyncio.Future[Sign]]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        lane.open(self.spawn)

    def spawn(self, lane: Lane[int], job: int) -> None:
        self.tasks.add(asyncio.create_task(self.call_on(lane, job)))

    async def call_on(self, lane: Lane[int], job: int) -> None:
        while True:
            self.begun.append(job)
            self.most = max(self.most, lane.calling)
            ended: asyncio.Future[Sign] = asyncio.get_running_loop().create_future()
            epoch = lane.epoch
            self.under_way[job] = epoch, ended
            lane.heard(await ended, epoch)
            lane.calling -= 1
            following = lane.take()
            job = await lane.turn() if following is None else following

    async def end(self, *jobs: int, sign: Sign = Sign.ANSWERED) -> None:
        for job in jobs:
            self.under_way.pop(job)[1].set_result(sign)
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen that waits for no time."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not happened():
            assert time.monotonic() < deadline, "it did not happen in time"
            await asyncio.sleep(0.001)


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Callers]]:
    made: list[Callers] = []

    def callers(*, usual: int = 2, backlog: int = 100, calls_per_second: int | None = None) -> Callers:
        lane = Lane[int](
            "tests", "far away", usual=usual, backlog=backlog, policy=HASTY, calls_per_second=calls_per_second
        )
        made.append(Callers(lane))
        return made[-1]

    yield callers
    for one in made:
        one.lane.close()
        for task in one.tasks:
            task.cancel()
        await asyncio.gather(*one.tasks, return_exceptions=True)


def put(lane: Lane[int], *, urgent: range = range(0), others: range = range(0)) -> None:
    lane.urgent.extend(urgent)
    lane.others.extend(others)
    lane.pump()


async def test_as_many_are_called_at_once_as_the_gateway_bears(make: Callable[..., Callers]) -> None:
    callers = make(usual=3)
    put(callers.lane, others=range(7))
    await callers.settle()
    assert (callers.begun, callers.lane.waiting) == ([0, 1, 2], 4)
    await callers.end(1)
    assert callers.begun == [0, 1, 2, 3]
    for _ in range(3):
        await callers.end(*callers.under_way)
    assert (sorted(callers.begun), callers.most) == (list(range(7)), 3)


async def test_people_go_first_and_every_fourth_call_is_of_the_others(make: Callable[..., Callers]) -> None:
    callers = make(usual=1)
    put(callers.lane, urgent=range(100, 107), others=range(4))
    await callers.settle()
    while callers.under_way:
        await callers.end(*callers.under_way)
    assert callers.begun == [100, 101, 102, 0, 103, 104, 105, 1, 106, 2, 3]


async def test_while_it_is_open_nothing_is_called_but_one_probe_and_then_ever_more(
    make: Callable[..., Callers],
) -> None:
    callers = make(usual=4)
    lane = callers.lane
    put(lane, others=range(2))
    await callers.settle()
    await callers.end(0, 1, sign=Sign.FAILED)
    assert lane.is_open
    assert not lane.admits(lane.others)

    await callers.until(lambda: lane.wanted() == 1)
    put(lane, others=range(10, 20))
    await callers.settle()
    assert list(callers.under_way) == [10]
    assert lane.wanted() == 0
    await callers.end(10)
    assert not lane.is_open
    await callers.until(lambda: len(callers.under_way) == 4)
    assert callers.most <= 4
    await callers.until(lambda: lane.age() or not lane.is_broken)


async def test_a_failed_probe_keeps_the_rest_waiting(make: Callable[..., Callers]) -> None:
    callers = make()
    put(callers.lane, others=range(2))
    await callers.settle()
    await callers.end(0, 1, sign=Sign.FAILED)
    await callers.until(lambda: callers.lane.wanted() == 1)
    put(callers.lane, others=range(10, 12))
    await callers.settle()
    await callers.end(10, sign=Sign.FAILED)
    assert callers.lane.is_open
    assert callers.begun == [0, 1, 10]


async def test_with_a_rate_every_call_takes_a_permit_and_there_is_none_without(
    make: Callable[..., Callers],
) -> None:
    callers = make(usual=50, calls_per_second=100)
    lane = callers.lane
    put(lane, others=range(30))
    await callers.settle()
    assert callers.begun == []
    assert lane.thirsty.is_set()
    assert lane.short_of_permits == 20  # a block of a quarter of a second

    now = time.monotonic()
    lane.grant([now, now, now + 0.02])
    await callers.settle()
    assert callers.begun == [0, 1]
    await callers.until(lambda: len(callers.begun) == 3)
    assert time.monotonic() >= now + 0.02


async def test_a_lane_with_a_rate_keeps_no_more_waiting_than_it_sends_in_its_horizon() -> None:
    lane = Lane[int]("tests", "far away", usual=10, backlog=1_000, calls_per_second=50, horizon_seconds=0.5)
    lane.others.extend(range(20))
    assert lane.free == 0
    assert not lane.admits(lane.others)
    assert lane.admits(lane.urgent)


async def test_a_second_request_within_a_call_waits_for_a_permit_of_its_own(
    make: Callable[..., Callers],
) -> None:
    free, limited = make(), make(calls_per_second=100)
    assert await free.lane.question(within_seconds=0.0)
    assert not await limited.lane.question(within_seconds=0.001)

    asked = asyncio.create_task(limited.lane.question(within_seconds=DEADLINE_SECONDS))
    await limited.settle()
    assert limited.lane.short_of_permits == 1
    limited.lane.grant([time.monotonic()])
    assert await asked


async def test_a_probe_whose_permit_has_lapsed_gets_another_while_nothing_else_may_ask(
    make: Callable[..., Callers],
) -> None:
    lane = make(calls_per_second=100).lane
    for _ in range(BreakerPolicy().failures):
        lane.heard(Sign.FAILED, lane.epoch)
    assert lane.is_open
    lane.grant([time.monotonic()])
    assert not await lane.question(within_seconds=DEADLINE_SECONDS)
    assert await lane.permit(within_seconds=DEADLINE_SECONDS)
