"""Makes the outside calls that committed rows ask for, and writes the outcomes in micro-batches.

A row is claimed by a lease on database time. The process that inserts it may claim it in the same
statement and `submit` it; everything else is found by `claim`, also what a dead process left behind.
Nothing is lost when this process dies anywhere: the lease runs out and another worker resolves the row.

Each gateway has a lane of its own (`lane.py`): one that is broken or slow keeps only its own calls waiting.
What its lane does not take goes back to the database, without a lease and without having spent anything.
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Generic

from shared.calls import metrics
from shared.calls.breaker import Sign
from shared.calls.calls import Calls, Claimed, Job, Outcome
from shared.calls.lane import Lane
from shared.calls.permit_office import PermitOffice
from shared.messaging.errors import is_poison
from shared.messaging.transaction import Transactions
from shared.observability.logging import get_logger

_RECORD_PAUSE_SECONDS = 0.2
_PERMIT_PAUSE_SECONDS = 0.2
_DRAIN_SECONDS = 10.0
_COUNT_SECONDS = 10.0
_log = get_logger(__name__)


class CallWorker(Generic[Job, Outcome]):
    """The outside calls of one service in one process."""

    def __init__(
        self,
        name: str,
        transactions: Transactions,
        calls: Calls[Job, Outcome],
        lanes: Iterable[Lane[Job]],
        *,
        claim_limit: int = 200,
        poll_seconds: float = 1.0,
        record_limit: int = 500,
    ) -> None:
        self.name = name
        self._transactions = transactions
        self._calls = calls
        self._lanes = {lane.name: lane for lane in lanes}
        self._office = PermitOffice(transactions.pool)
        self._claim_limit = claim_limit
        self._poll_seconds = poll_seconds
        self._record_limit = record_limit
        self._outcomes: deque[Outcome] = deque()
        self._unfinished = 0
        self._stopping = False
        self._callers: set[asyncio.Task[None]] = set()
        self._counted_at = 0.0
        self._done = asyncio.Event()
        self._roomy = asyncio.Event()
        self._hungry = asyncio.Event()
        self._broken = asyncio.Event()
        self._seconds = metrics.CALL_SECONDS.labels(name)
        self._in_flight = metrics.IN_FLIGHT.labels(name)
        self._claimed = metrics.CLAIMED.labels(name)
        self._record_failures = metrics.RECORD_FAILURES.labels(name)

    async def room(self, wanted: int, wait_seconds: float = 1.0) -> int:
        """How many jobs to hand over, at most `wanted`; waits a bounded time for room for all of them.

        The pressure goes back to whoever inserts the rows. What finds no room is inserted without a
        lease and claimed later, so that a gateway that does not answer holds up no consumer: it is the
        roomiest lane that counts, and there is nothing to wait for where every gateway is broken.
        """
        wanted = min(wanted, max(lane.bound for lane in self._lanes.values()))
        try:
            async with asyncio.timeout(wait_seconds):
                while (free := self._free) is not None and free < wanted and not self._stopping:
                    self._roomy.clear()
                    await self._roomy.wait()
        except TimeoutError:
            pass
        return 0 if self._stopping else min(wanted, self._free or 0)

    def submit(self, jobs: Iterable[Job]) -> None:
        """Take jobs whose rows this process has claimed. Call it once their transaction has committed."""
        gateway, is_urgent, lanes = self._calls.gateway, self._calls.is_urgent, self._lanes
        number = 0
        for job in jobs:
            number += 1
            lane = lanes[gateway(job)]
            line = lane.urgent if is_urgent(job) else lane.others
            if (lane.is_broken or len(line) >= lane.bound) and not lane.admits(line):
                self._put_off(lane, job)
            else:
                line.append(job)
        self._unfinished += number
        for lane in lanes.values():
            if lane.urgent or lane.others:
                lane.pump()

    async def run(self, stopping: asyncio.Event) -> None:
        """Call, record and poll until stopping; then finish what is under way, within a deadline."""
        self._stopping = False
        self._broken.clear()
        limited = [lane for lane in self._lanes.values() if lane.permits is not None]
        loops = [self._record_on(), self._poll_on(), *(self._lease_on(lane) for lane in limited)]
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(loop) for loop in loops]
        waiters = [asyncio.create_task(event.wait()) for event in (stopping, self._broken)]
        for lane in self._lanes.values():
            lane.open(self._spawn)
        try:
            await asyncio.wait([*waiters, *tasks], return_when=asyncio.FIRST_COMPLETED)
            self._stopping = True
            # What only waits is left to its lease; what has been asked is written down.
            self._unfinished -= sum(len(lane.drain()) for lane in self._lanes.values())
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._unfinished > 0:
                    self._roomy.clear()
                    await self._roomy.wait()
        except TimeoutError:
            _log.warning("calls_left_to_their_lease", worker=self.name, count=self._under_way)
        finally:
            for lane in self._lanes.values():
                lane.close()
            tasks += [*self._callers, *waiters]
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            self._callers.clear()
            self._unfinished = len(self._outcomes)
            for lane in self._lanes.values():
                lane.calling = 0
        for result in ended:
            if isinstance(result, Exception):
                raise result

    async def may_ask(self, gateway: str, within_seconds: float) -> bool:
        """Whether a call under way may send a further request to its gateway; waits for its turn."""
        return await self._lanes[gateway].question(within_seconds)

    async def may_send(self, gateway: str, within_seconds: float) -> bool:
        """Whether a request that waited for its connection may still be sent; waits for another permit."""
        return await self._lanes[gateway].permit(within_seconds)

    @property
    def _under_way(self) -> int:
        return sum(lane.calling for lane in self._lanes.values())

    @property
    def _free(self) -> int | None:
        """The room of the roomiest lane; None where every gateway is broken."""
        lanes = self._lanes.values()
        well = [lane.free for lane in lanes if lane.makes_room and not lane.is_broken]
        if not well:
            return None
        unwritten = self._unfinished - self._under_way - sum(lane.waiting for lane in lanes)
        return max(well) - unwritten

    def _spawn(self, lane: Lane[Job], job: Job) -> None:
        caller = asyncio.create_task(self._call_on(lane, job))
        self._callers.add(caller)
        caller.add_done_callback(self._ended)

    def _ended(self, caller: asyncio.Task[None]) -> None:
        if caller.cancelled():
            self._callers.discard(caller)
        else:
            # A caller ends by itself only through a defect of ours: the loop is started again.
            self._broken.set()

    async def _call_on(self, lane: Lane[Job], job: Job) -> None:
        call, sign_of, outcomes = self._calls.call, self._calls.sign, self._outcomes
        while True:
            epoch = lane.epoch
            began = time.perf_counter()
            try:
                outcome = await call(job)
            except Exception as error:
                # A defect of ours: the row keeps its lease until it runs out, then it is asked about.
                _log.error("call_broke", worker=self.name, error=f"{type(error).__name__}: {error}")
                lane.heard(Sign.NOTHING, epoch)
                self._finished(1)
            else:
                sign = sign_of(job, outcome)
                if sign is not Sign.ANSWERED or lane.is_alert:
                    outcome = self._noted(lane, job, outcome, sign, epoch)
                outcomes.append(outcome)
                self._done.set()
            finally:
                lane.calling -= 1
                self._seconds.observe(time.perf_counter() - began)
            following = lane.take()
            if following is None:
                if lane.has_queued and lane.waiting <= lane.bound // 2:
                    self._hungry.set()
                following = await lane.turn()
            job = following

    def _noted(self, lane: Lane[Job], job: Job, outcome: Outcome, sign: Sign, epoch: int) -> Outcome:
        """Tell the breaker; the outcome, excused where the gateway is out of order."""
        if lane.heard(sign, epoch):
            for waited in lane.drain():
                self._put_off(lane, waited)
        if sign is not Sign.FAILED or not lane.is_broken:
            return outcome
        lane.has_queued = True
        return self._calls.excused(job, outcome)

    def _put_off(self, lane: Lane[Job], job: Job) -> None:
        """Its row goes back to the database, to wait there for the gateway without a lease."""
        self._outcomes.append(self._calls.put_off(job))
        self._done.set()
        lane.has_queued = True
        lane.measured.put_off(by_breaker=lane.is_broken)

    async def _record_on(self) -> None:
        while True:
            while not self._outcomes:
                self._done.clear()
                await self._done.wait()
            batch = [self._outcomes.popleft() for _ in range(min(len(self._outcomes), self._record_limit))]
            try:
                await self._write(batch)
            except asyncio.CancelledError:
                self._outcomes.extendleft(reversed(batch))
                raise
            except Exception as error:
                await self._recover(batch, error)

    async def _write(self, batch: Sequence[Outcome]) -> None:
        following = await self._transactions.run(lambda transaction: self._calls.record(transaction, batch))
        self._finished(len(batch))
        if following:
            self.submit(following)

    async def _recover(self, batch: list[Outcome], error: Exception) -> None:
        """Nothing that was learned is thrown away: written again, one by one where one breaks the rest."""
        self._record_failures.inc()
        _log.warning(
            "outcomes_not_written",
            worker=self.name,
            error=f"{type(error).__name__}: {error}",
            count=len(batch),
        )
        if not is_poison(error):
            self._outcomes.extendleft(reversed(batch))
            await asyncio.sleep(_RECORD_PAUSE_SECONDS * random.uniform(0.5, 1.0))
            return
        for outcome in batch:
            try:
                await self._write([outcome])
            except Exception as single:
                if not is_poison(single):
                    self._outcomes.append(outcome)
                    continue
                _log.error(
                    "outcome_left_to_lease", worker=self.name, error=f"{type(single).__name__}: {single}"
                )
                self._finished(1)

    async def _poll_on(self) -> None:
        while True:
            is_tick = await self._tick()
            try:
                while not self._stopping and await self._fetch(is_tick):
                    pass
                if is_tick:
                    await self._count()
            except Exception as error:
                _log.warning("claim_failed", worker=self.name, error=f"{type(error).__name__}: {error}")

    async def _tick(self) -> bool:
        """Wait for the next look at the rows: False where a lane has run dry that may find more."""
        self._hungry.clear()
        try:
            async with asyncio.timeout(self._poll_seconds * random.uniform(0.75, 1.25)):
                await self._hungry.wait()
        except TimeoutError:
            return True
        return False

    async def _fetch(self, is_tick: bool) -> bool:
        """Claim what is due, if it is time for that, and what the lanes want; whether more is due."""
        free = self._free
        has_room = free is None or free >= self._claim_limit
        # What is put off is to be written before more of it is fetched.
        has_written = len(self._outcomes) <= self._record_limit
        limit = self._claim_limit if is_tick and has_room and has_written else 0
        wanted = {}
        for lane in self._lanes.values():
            lane.age()
            if (number := min(lane.wanted(), self._claim_limit)) > 0:
                wanted[lane.name] = number
        if not limit and not wanted:
            return False
        claimed: Claimed[Job] = await self._transactions.run(
            lambda transaction: self._calls.claim(transaction.connection, limit, wanted)
        )
        got = Counter(self._calls.gateway(job) for job in claimed.queued)
        for name, number in wanted.items():
            self._lanes[name].has_queued = got[name] >= number
        self._claimed.inc(len(claimed.due) + len(claimed.queued))
        self.submit([*claimed.due, *claimed.queued])
        return 0 < limit <= len(claimed.due)

    async def _count(self) -> None:
        """For those who watch: how many wait for each gateway."""
        for lane in self._lanes.values():
            lane.measured.waiting.set(lane.waiting)
        now = time.monotonic()
        if now >= self._counted_at + _COUNT_SECONDS:
            self._counted_at = now
            async with self._transactions.pool.acquire(timeout=_COUNT_SECONDS) as connection:
                queued = await self._calls.queued(connection)
            for lane in self._lanes.values():
                lane.measured.queued.set(queued.get(lane.name, 0))

    async def _lease_on(self, lane: Lane[Job]) -> None:
        """Keep a lane with a rate in permits while something waits in it. Without them nothing is called."""
        while True:
            await lane.thirsty.wait()
            lane.thirsty.clear()
            number = lane.short_of_permits
            if number <= 0 or lane.permits is None:
                continue
            try:
                lane.grant(await self._office.lease(lane.name, number, lane.permits.rate))
            except Exception as error:
                _log.warning("permits_not_leased", worker=self.name, error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(_PERMIT_PAUSE_SECONDS * random.uniform(0.5, 1.0))
                lane.thirsty.set()

    def _finished(self, count: int) -> None:
        self._unfinished -= count
        self._in_flight.set(self._unfinished)
        self._roomy.set()
