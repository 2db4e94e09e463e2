"""Makes the outside calls that committed rows ask for, and writes the outcomes in micro-batches.

A row is claimed by a lease on database time. The process that inserts it may claim it in the same
statement and `submit` it; everything else is found by `claim`, also what a dead process left behind.
Nothing is lost when this process dies anywhere: the lease runs out and another worker resolves the row.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

from shared.calls import metrics
from shared.database import Connection
from shared.messaging.errors import is_poison
from shared.messaging.transaction import Transaction, Transactions
from shared.observability.logging import get_logger

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")
_RECORD_PAUSE_SECONDS = 0.2
_DRAIN_SECONDS = 10.0
_log = get_logger(__name__)


class CallWorker(Generic[Job, Outcome]):
    """One kind of call in one process: at most `concurrency` at once, `backlog` more waiting."""

    def __init__(
        self,
        name: str,
        transactions: Transactions,
        *,
        call: Callable[[Job], Awaitable[Outcome]],
        record: Callable[[Transaction, Sequence[Outcome]], Awaitable[Sequence[Job]]],
        claim: Callable[[Connection, int], Awaitable[Sequence[Job]]],
        concurrency: int = 64,
        backlog: int = 1_000,
        claim_limit: int = 200,
        poll_seconds: float = 1.0,
        record_limit: int = 500,
    ) -> None:
        self.name = name
        self._transactions = transactions
        self._call = call
        self._record = record
        self._claim = claim
        self._concurrency = concurrency
        self._backlog = backlog
        self._claim_limit = claim_limit
        self._poll_seconds = poll_seconds
        self._record_limit = record_limit
        self._waiting: deque[Job] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._unfinished = 0
        self._calling = 0
        self._stopping = False
        self._work = asyncio.Event()
        self._done = asyncio.Event()
        self._roomy = asyncio.Event()
        self._seconds = metrics.CALL_SECONDS.labels(name)
        self._in_flight = metrics.IN_FLIGHT.labels(name)
        self._claimed = metrics.CLAIMED.labels(name)
        self._record_failures = metrics.RECORD_FAILURES.labels(name)

    async def room(self, wanted: int, wait_seconds: float = 1.0) -> int:
        """How many jobs to hand over, at most `wanted`; waits a bounded time for room for all of them.

        The pressure goes back to whoever inserts the rows. What finds no room is inserted without a
        lease and claimed later, so that a gateway that does not answer holds up no consumer.
        """
        wanted = min(wanted, self._backlog)
        try:
            async with asyncio.timeout(wait_seconds):
                while self._free < wanted and not self._stopping:
                    self._roomy.clear()
                    await self._roomy.wait()
        except TimeoutError:
            pass
        return 0 if self._stopping else min(wanted, self._free)

    def submit(self, jobs: Iterable[Job]) -> None:
        """Take jobs whose rows this process has claimed. Call it once their transaction has committed."""
        before = len(self._waiting)
        self._waiting.extend(jobs)
        self._unfinished += len(self._waiting) - before
        self._work.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Call, record and poll until stopping; then finish what is under way, within a deadline."""
        self._stopping = False
        callers = [asyncio.create_task(self._call_on()) for _ in range(self._concurrency)]
        recorder = asyncio.create_task(self._record_on())
        poller = asyncio.create_task(self._poll_on())
        waiter = asyncio.create_task(stopping.wait())
        tasks = [*callers, recorder, poller]
        try:
            await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
            self._stopping = True
            # What only waits is left to its lease; what has been asked is written down.
            self._unfinished -= len(self._waiting)
            self._waiting.clear()
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._unfinished > 0:
                    self._roomy.clear()
                    await self._roomy.wait()
        except TimeoutError:
            _log.warning("calls_left_to_their_lease", worker=self.name, count=self._calling)
        finally:
            waiter.cancel()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result

    @property
    def _free(self) -> int:
        return self._backlog - self._unfinished

    async def _call_on(self) -> None:
        while True:
            while not self._waiting:
                self._work.clear()
                await self._work.wait()
            job = self._waiting.popleft()
            self._calling += 1
            began = time.perf_counter()
            try:
                outcome = await self._call(job)
            except Exception as error:
                # A defect of ours: the row keeps its lease until it runs out, then it is asked about.
                _log.error("call_broke", worker=self.name, error=f"{type(error).__name__}: {error}")
                self._finished(1)
            else:
                self._outcomes.append(outcome)
                self._done.set()
            finally:
                self._calling -= 1
                self._seconds.observe(time.perf_counter() - began)

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
        following = await self._transactions.run(lambda transaction: self._record(transaction, batch))
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
            await asyncio.sleep(self._poll_seconds * random.uniform(0.75, 1.25))
            try:
                while self._free >= self._claim_limit and not self._stopping:
                    claimed = await self._transactions.run(
                        lambda transaction: self._claim(transaction.connection, self._claim_limit)
                    )
                    self._claimed.inc(len(claimed))
                    self.submit(claimed)
                    if len(claimed) < self._claim_limit:
                        break
            except Exception as error:
                _log.warning("claim_failed", worker=self.name, error=f"{type(error).__name__}: {error}")

    def _finished(self, count: int) -> None:
        self._unfinished -= count
        self._in_flight.set(self._unfinished)
        self._roomy.set()
