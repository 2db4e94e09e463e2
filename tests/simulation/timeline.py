"""An asyncio event loop on virtual time: where nothing is ready, the clock jumps to what comes next.

A handle belongs to the life in whose context it was made: a paused life's handles wait until it goes on, a
dead one's never run. So a process is stopped or killed at whatever await it has reached, and none of its
`except` or `finally` is run: SIGSTOP and SIGKILL, not a cancellation.

Loops that only look whether something is due ("polls") would be nearly all there is to do in a day of virtual
time. As long as none of them would find anything, their turns are passed over, whole periods at a time.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from math import ceil, inf
from operator import attrgetter
from typing import Any, Final

BEGINNING: Final = datetime(2026, 11, 23, tzinfo=UTC)
NEVER: Final = inf
_POLLS: Final = frozenset({"CallWorker._poll_on"})
"""Coroutines that only look, and whose task is not made by the simulation."""


@dataclass(eq=False)
class Life:
    """One run of one process, from its start to its end."""

    name: str
    dead: bool = False
    paused: bool = False
    claims_due: Callable[[], float] = lambda: NEVER
    """When a call worker's poll would find something."""
    held: list[Turn] = field(default_factory=list)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    buried: list[asyncio.Task[Any]] = field(default_factory=list)


LIFE: Final[contextvars.ContextVar[Life | None]] = contextvars.ContextVar("life", default=None)
OUTSIDE: Final = contextvars.Context()
"""The context of what belongs to no process: servers, the network, time itself."""


class Turn(asyncio.TimerHandle):
    """Both of asyncio's handles, without its questions whether somebody debugs: a run makes thousands.

    `life` is the one in whose context it runs.
    """

    __slots__ = ("arguments", "callback", "context", "life", "loop")

    def __init__(
        self,
        when: float,
        callback: Callable[..., Any],
        arguments: tuple[Any, ...],
        loop: VirtualLoop,
        context: contextvars.Context | None,
    ) -> None:
        self.context = contextvars.copy_context() if context is None else context
        self.life = self.context.get(LIFE)
        self.callback = callback
        self.arguments = arguments
        self.loop = loop
        self._when = when
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def when(self) -> float:
        return self._when

    def __repr__(self) -> str:
        return f"<Turn {self.callback!r} at {self._when}>"


_Entry = tuple[float, int, Turn]


@dataclass(eq=False, slots=True)
class Poll:
    """A task that looks whether something is due, and its next turn."""

    due: Callable[[], float]
    """When it would find something, seconds of the loop's time; past: now."""
    passed: Callable[[float], None] | None
    """Called with the instant until which its turns were passed over."""
    order: int = 0
    when: float = 0.0
    period: float = 1.0
    timer: Turn | None = None


class Stuck(Exception):
    """Nothing will ever happen again, and somebody still waits."""


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop. `rested` is called when nothing is due any more, ever."""

    _ready: deque[Turn]
    """asyncio's own: what runs next, in this order."""

    def __init__(self) -> None:
        super().__init__()
        self._instant = 0.0
        self._now: datetime | None = BEGINNING
        """What `now` has found; None: time has moved since."""
        self._work: list[_Entry] = []
        self._polls: dict[asyncio.Task[Any], Poll] = {}
        self._first_look = NEVER
        """No poll that waits has its turn before then."""
        self._order = count()
        self.rested: Callable[[], None] = self._stuck
        self.steps = 0
        self.longest_seconds = NEVER
        self.most_steps = 100_000
        self.broken: list[str] = []
        """Tasks that ended in an error: nobody here expects one."""
        self.set_task_factory(self._new_task)  # type: ignore[arg-type] # called as create_task calls it

    # -- what asyncio calls -------------------------------------------------------------------------

    def time(self) -> float:
        return self._instant

    def call_soon(  # type: ignore[override] # the arguments' types are known to typeshed's variadics only
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        turn = Turn(self._instant, callback, args, self, context)
        self._ready.append(turn)
        return turn

    def call_soon_threadsafe(  # type: ignore[override] # as above
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """There is one thread. A generator that is collected after the end has nowhere to be closed."""
        if self.is_closed():
            raise RuntimeError("the loop is closed")
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override] # as above
        self,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._instant + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override] # as above
        self,
        when: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = Turn(when, callback, args, self, context)
        poll = self._present_poll()
        if poll is None:
            heappush(self._work, (when, next(self._order), timer))
        else:
            poll.when, poll.timer, poll.order = when, timer, next(self._order)
            poll.period = max(when - self._instant, 0.01)
            self._first_look = min(self._first_look, when)
        return timer

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector."""

    def _asyncgen_firstiter_hook(self, agen: object) -> None:
        """Nobody asks which asynchronous generators are under way."""

    def _run_once(self) -> None:
        ready = self._ready
        if not ready:
            self._go_on()
        for _ in range(len(ready)):
            turn = ready.popleft()
            if turn._cancelled:
                continue
            life = turn.life
            if life is not None and (life.dead or life.paused):
                if not life.dead:
                    life.held.append(turn)
                continue
            self.steps += 1
            try:
                turn.context.run(turn.callback, *turn.arguments)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self.call_exception_handler({"message": f"in {turn!r}", "exception": error})

    # -- what the simulation calls ------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The true instant: what the databases and the outside systems read."""
        if self._now is None:
            self._now = BEGINNING + timedelta(seconds=self._instant)
        return self._now

    def work_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Outside of every process, and not to be passed over, whoever asks for it."""
        timer = Turn(self._instant + delay, callback, args, self, OUTSIDE)
        heappush(self._work, (timer._when, next(self._order), timer))
        return timer

    async def spend(self, seconds: float) -> None:
        """Let time pass that may not be passed over: a round trip, a disk."""
        arrived: asyncio.Future[None] = self.create_future()
        self.work_later(seconds, _arrive, arrived)
        await arrived

    def poll(
        self,
        coroutine: Coroutine[Any, Any, None],
        *,
        name: str,
        due: Callable[[], float],
        passed: Callable[[float], None] | None = None,
    ) -> asyncio.Task[None]:
        """A task that waits for nothing but its own turns. One timer at a time."""
        task = self.create_task(coroutine, name=name)
        self._polls[task] = Poll(due, passed)
        return task

    def pause(self, life: Life) -> None:
        life.paused = True

    def resume(self, life: Life) -> None:
        """What it has missed is done now, in the order in which it came."""
        life.paused = False
        held, life.held = life.held, []
        self._ready.extend(held)

    def kill(self, life: Life) -> None:
        """At the await that it has reached. Its tasks are kept: to collect them would run their `finally`."""
        life.dead = True
        life.held.clear()
        life.buried = [task for task in life.tasks if not task.done()]
        for task in life.tasks:
            self._polls.pop(task, None)

    @staticmethod
    def bury(life: Life) -> None:
        """When all is over: close what the dead have left, whatever their `finally` makes of it."""
        for task in {*life.buried, *life.tasks}:
            task._log_destroy_pending = False  # type: ignore[attr-defined] # it is meant to be pending
            with suppress(BaseException):
                task.get_coro().close()
        life.buried.clear()
        life.tasks.clear()

    # -- ours ---------------------------------------------------------------------------------------

    def _new_task(
        self, _loop: object, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=self, **options)
        context = options.get("context")
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            life.tasks.add(task)
            task.add_done_callback(life.tasks.discard)
        task.add_done_callback(self._ended, context=OUTSIDE)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.broken.append(f"{task.get_name()}: {task.exception()!r}")

    def _present_poll(self) -> Poll | None:
        task = asyncio.current_task(self)
        if task is None:
            return None
        poll = self._polls.get(task)
        if poll is None and task.get_coro().__qualname__ in _POLLS:  # type: ignore[union-attr]
            life = LIFE.get()
            poll = self._polls[task] = Poll(life.claims_due if life else lambda: NEVER, None)
        return poll

    def _go_on(self) -> None:
        """Jump to the next instant at which something happens, and make it ready."""
        until = self._next_work()
        waiting: list[Poll] = []
        if until >= self._first_look:
            waiting = [
                poll for poll in self._polls.values() if poll.timer is not None and not poll.timer._cancelled
            ]
            until = self._pass_over(waiting, until)
        if until == NEVER:
            self.rested()
            return
        if until > self._instant:
            self._instant, self._now = until, None
        if self._instant > self.longest_seconds or self.steps > self.most_steps:
            raise Stuck(f"still not at rest after {self._instant:.0f} s and {self.steps} steps")
        turns = self._looks(waiting) if waiting else []
        while self._work and self._work[0][0] <= self._instant:
            turns.append(heappop(self._work))
        if waiting:
            turns.sort()
        self._ready.extend(turn for _, _, turn in turns if not turn._cancelled)

    def _next_work(self) -> float:
        work = self._work
        while work and work[0][2]._cancelled:
            heappop(work)
        return work[0][0] if work else NEVER

    @staticmethod
    def _pass_over(waiting: list[Poll], work: float) -> float:
        """Until when all were passed over: the first turn that finds something, or the `work`.

        A poll that is due looks at its next turn, whole periods after the one that it waits for.
        """
        until = work
        early = sorted((poll for poll in waiting if poll.when < work), key=_when)
        for poll in early:
            when = poll.when
            if when >= until:
                break
            due = poll.due()
            if due <= when:
                until = when
            elif due < until:
                until = min(until, when + ceil((due - when) / poll.period) * poll.period)
        if until != NEVER:
            for poll in early:
                when = poll.when
                if when >= until:
                    break
                poll.when = when + ceil((until - when) / poll.period) * poll.period
                if poll.passed is not None:
                    poll.passed(until)
        return until

    def _looks(self, waiting: list[Poll]) -> list[_Entry]:
        """The turns of the polls that have come."""
        turns: list[_Entry] = []
        now, first = self._instant, NEVER
        for poll in waiting:
            when = poll.when
            if when <= now:
                assert poll.timer is not None
                turns.append((when, poll.order, poll.timer))
                poll.timer = None
            elif when < first:
                first = when
        self._first_look = first
        return turns

    @staticmethod
    def _stuck() -> None:
        raise Stuck("nothing will ever happen again")


_when: Final = attrgetter("when")


def _arrive(arrived: asyncio.Future[None]) -> None:
    if not arrived.done():
        arrived.set_result(None)
