"""One gateway in one process: what waits for it, who may be called next, and when.

Where a gateway has no rate limit and its breaker is closed, a call costs no more than its place in a queue.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from math import ceil
from typing import Final, Generic, TypeVar

from shared.calls import metrics
from shared.calls.breaker import STATES, Breaker, BreakerPolicy, Sign
from shared.calls.permits import Permits
from shared.observability.logging import get_logger
from shared.observability.redaction import allow_fields

Job = TypeVar("Job")
URGENT_IN_A_ROW: Final = 3
"""Of every four calls at least one is of the others, where both wait."""
_SHORTEST_TIMER_SECONDS: Final = 0.001
_log = get_logger(__name__)
allow_fields("gateway", "worker")


class Lane(Generic[Job]):
    """The jobs of one gateway. `usual` calls at once when it is well, `backlog` jobs of each kind waiting.

    With a rate limit only so many wait as can be sent within `horizon_seconds`; the rest is better off in
    PostgreSQL, where who is urgent can still overtake.
    """

    def __init__(
        self,
        worker: str,
        name: str,
        *,
        usual: int,
        backlog: int,
        policy: BreakerPolicy | None = None,
        calls_per_second: int | None = None,
        horizon_seconds: float = 1.0,
        makes_room: bool = True,
    ) -> None:
        self.worker = worker
        self.name = name
        self.makes_room = makes_room
        """Whether its being empty is a reason to take more on: not where nothing outside is called."""
        self.usual = usual
        self.backlog = backlog
        self.permits = None if calls_per_second is None else Permits(calls_per_second)
        self.bound = backlog
        if self.permits is not None:
            self.bound = min(backlog, max(1, ceil(self.permits.rate * horizon_seconds)))
        self.urgent: deque[Job] = deque()
        self.others: deque[Job] = deque()
        self.calling = 0
        self.epoch = 0
        self.is_alert = False
        """Whether an answer is news to the breaker."""
        self.is_broken = False
        """Whether the breaker is not closed."""
        self.is_gated = self.permits is not None
        """Whether the breaker or the rate has a word in when a call begins."""
        self.has_queued = True
        """Whether there may be more of its jobs in PostgreSQL than were taken."""
        self.thirsty = asyncio.Event()
        """Set while there are not permits enough."""
        self._policy = policy or BreakerPolicy()
        self._breaker = Breaker()
        self._urgent_in_a_row = 0
        self._questions: deque[asyncio.Future[bool]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._idle: deque[asyncio.Future[Job]] = deque()
        self._callers = 0
        self._spawn: Callable[[Lane[Job], Job], None] | None = None
        self._is_limited = False
        self.measured = metrics.LaneMetrics(worker, name)

    # What the worker looks at

    @property
    def waiting(self) -> int:
        return len(self.urgent) + len(self.others)

    @property
    def is_open(self) -> bool:
        """Whether no call is made at present, but for a probe."""
        return self._breaker.state in ("open", "probing")

    @property
    def free(self) -> int:
        """How many more jobs it takes while it is well."""
        if self.permits is not None:
            return max(0, self.bound - self.waiting)
        return self.backlog - self.waiting - self.calling

    def wanted(self) -> int:
        """How many jobs to fetch for it now. One, where it is open and may be probed."""
        if not self.is_broken:
            return max(0, self.free)
        now = time.monotonic()
        most = self._aged(now).most(now, self.usual, self._policy)
        if self.is_open:
            return most if not self.waiting else 0
        return max(0, min(most - self.calling - self.waiting, self.free))

    def admits(self, line: deque[Job]) -> bool:
        """Whether a job that was handed over may wait here, in that line."""
        if not self.is_broken:
            return len(line) < self.bound
        return self.wanted() > 0

    # Handing jobs to callers

    def take(self) -> Job | None:
        """The job whose call begins now; None: there is none, or it may not begin yet."""
        others = self.others
        if others and (self._urgent_in_a_row >= URGENT_IN_A_ROW or not self.urgent):
            line = others
        elif self.urgent:
            line = self.urgent
        else:
            return None
        if self.is_gated and not self._may_begin():
            return None
        self._urgent_in_a_row = 0 if line is others else self._urgent_in_a_row + 1
        self.calling += 1
        return line.popleft()

    def open(self, spawn: Callable[["Lane[Job]", Job], None]) -> None:
        """From now on jobs are called: `spawn` starts one more caller, with its first job."""
        self._spawn = spawn
        self.pump()

    def close(self) -> None:
        """No call begins from now on, and what waits is forgotten."""
        self._spawn = None
        self._idle.clear()
        self._callers = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.drain()

    def drain(self) -> list[Job]:
        """Take everything out that waits."""
        waited = [*self.urgent, *self.others]
        self.urgent.clear()
        self.others.clear()
        return waited

    def pump(self) -> None:
        """Begin all the calls that may begin."""
        if self._spawn is None:
            return
        self._answer_questions()
        while self._idle or self._callers < self.usual:
            job = self.take()
            if job is None:
                return
            caller = self._idle.pop() if self._idle else None
            if caller is None:
                self._callers += 1
                self._spawn(self, job)
            else:
                caller.set_result(job)

    async def turn(self) -> Job:
        """The next job of a caller that has nothing to do."""
        caller: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._idle.append(caller)
        return await caller

    async def question(self, within_seconds: float) -> bool:
        """Whether a call under way may send a second request, as soon as there is a permit for it."""
        return not self.is_open and await self.permit(within_seconds)

    async def permit(self, within_seconds: float) -> bool:
        """Whether a call under way, also a probe, may send a request, as soon as there is one more permit."""
        if self.permits is None:
            return True
        asked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._questions.append(asked)
        self.pump()
        try:
            async with asyncio.timeout(within_seconds):
                return await asked
        except TimeoutError:
            return False

    # What gates them

    def heard(self, sign: Sign, epoch: int) -> bool:
        """Note what a call told that began in `epoch`; whether the breaker has opened by it."""
        before = self._breaker
        after = before.heard(sign, epoch, time.monotonic(), self._policy, random.random())
        if before.state == "probing" and after.state != "probing":
            self.measured.probed(sign)
        self._set(after)
        return after.state == "open" and before.state != "open"

    def age(self) -> None:
        """Let time pass, also where nothing is called."""
        if self.is_broken:
            self._set(self._aged(time.monotonic()))

    def grant(self, instants: list[float]) -> None:
        """Take over permits, and begin what they allow."""
        if self.permits is not None:
            self.permits.grant(instants)
            self.pump()

    @property
    def short_of_permits(self) -> int:
        """How many to lease next."""
        if self.permits is None:
            return 0
        return min(self.waiting + len(self._questions) - len(self.permits), self.permits.block)

    def _may_begin(self) -> bool:
        now = time.monotonic()
        if self.is_broken:
            self._set(self._aged(now))
            most = self._breaker.most(now, self.usual, self._policy)
            # Calls of before the outage may still be under way: they do not keep it from being probed.
            under_way = 0 if self._breaker.state == "open" else self.calling
            if under_way >= most:
                self._look_again_in(self._policy.step_seconds)
                return False
        if not self._has_permit(now):
            return False
        if self.is_broken:
            self._set(self._breaker.begun(now))
        return True

    def _has_permit(self, now: float) -> bool:
        """Use a permit up, if one is due; otherwise see to it that one will be."""
        permits = self.permits
        if permits is None:
            return True
        due_at = permits.due_at(now)
        if due_at is not None and due_at <= now:
            permits.take()
            self._is_limited = False
            if len(permits) < permits.block // 2:
                self.thirsty.set()
            return True
        if due_at is None:
            self.thirsty.set()
        else:
            self._look_again_in(due_at - now)
        if not self._is_limited:
            self._is_limited = True
            self.measured.limited.inc()
        return False

    def _answer_questions(self) -> None:
        while self._questions:
            if self._questions[0].done():
                self._questions.popleft()
            elif self._has_permit(time.monotonic()):
                self._questions.popleft().set_result(True)
            else:
                return

    def _look_again_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        when = loop.time() + max(seconds, _SHORTEST_TIMER_SECONDS)
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self.pump()

    def _aged(self, now: float) -> Breaker:
        return self._breaker.aged(now, self.usual, self._policy)

    def _set(self, breaker: Breaker) -> None:
        if breaker.state != self._breaker.state:
            self.measured.state.set(STATES.index(breaker.state))
            if breaker.state == "open" and breaker.openings == 1:
                _log.warning("gateway_broke", worker=self.worker, gateway=self.name)
            elif breaker.state == "closed":
                _log.info("gateway_recovered", worker=self.worker, gateway=self.name)
        self._breaker = breaker
        self.epoch = breaker.epoch
        self.is_alert = not breaker.is_calm
        self.is_broken = breaker.state != "closed"
        self.is_gated = self.permits is not None or self.is_broken
