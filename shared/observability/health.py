"""Readiness: every component is asked at once, within a deadline, and the answer is kept for a moment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import NamedTuple

from shared.observability.masking import masked

Check = Callable[[], Awaitable[str | None]]
"""Raises, or returns what is wrong in one sentence; None where the component is ready."""

DEADLINE_SECONDS = 2.0
CACHE_SECONDS = 1.0
"""Probes come from several sides at once: they must not become the load."""


class Component(NamedTuple):
    """What one component answered; `detail` says what is wrong, or is empty."""

    component: str
    ok: bool
    detail: str


class Readiness:
    """Call it: `await readiness()` gives one Component per check, in the order in which they were named."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        cache_seconds: float = CACHE_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._checks = dict(checks)
        self._deadline_seconds = deadline_seconds
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._asking = asyncio.Lock()
        self._asked: dict[str, asyncio.Future[str | None]] = {}
        self._answer: list[Component] = []
        self._answered_at: float | None = None

    async def __call__(self) -> list[Component]:
        async with self._asking:  # Those who wait get the answer of the one who asked.
            if self._answered_at is None or self._clock() - self._answered_at >= self._cache_seconds:
                self._answer = await asyncio.gather(*(self._ask(*check) for check in self._checks.items()))
                self._answered_at = self._clock()
            return self._answer

    async def _ask(self, component: str, check: Check) -> Component:
        task = self._asked.get(component)
        if task is None or task.done():
            task = self._asked[component] = asyncio.ensure_future(check())
            task.add_done_callback(_heard)
        # Not asyncio.timeout: to cancel a query, asyncpg asks the very server that does not answer and waits.
        await asyncio.wait({task}, timeout=self._deadline_seconds)
        if not task.done():
            task.cancel()
            return Component(component, False, f"no answer within {self._deadline_seconds:g} s")
        if task.cancelled():
            return Component(component, False, "the question was broken off")
        error = task.exception()
        if error is not None:  # Whatever it is, the component is not ready, and the probe must answer.
            return Component(component, False, masked(f"{type(error).__name__}: {error}"))
        detail = task.result()
        return Component(component, detail is None, detail or "")


def _heard(task: asyncio.Future[str | None]) -> None:
    """An outcome that came too late for its probe is no unhandled error."""
    if not task.cancelled():
        task.exception()
