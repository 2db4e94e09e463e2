"""What each fault changed: who was under way then, how long it took them, and what was out of the ordinary.

Read afterwards from the histories and the logs. Faults overlap, so it says what happened meanwhile, not why.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import asyncpg
import orjson

from tests.chaos.story import Story, Struck

AFTERMATH: Final = timedelta(seconds=3)
ORDINARY: Final = ("RequestRenewal", "RenewalPriced", "PaymentCaptured", "TopUpApplied")
QUIET_LOGS: Final = frozenset({"service_started", "service_stopped", "crash_orders_are_followed"})
MOST_NAMED: Final = 6
_RENEWALS: Final = (
    "select requested_at, coalesce(closed_at, now()) as ended_at, state = 'completed' as completed"
    " from renewal.renewals order by requested_at"
)
_UNUSUAL: Final = (
    "select at, message from renewal.renewal_history where message <> all($1::text[]) order by at"
)


class Life(NamedTuple):
    """One renewal from beginning to end."""

    requested_at: datetime
    ended_at: datetime
    completed: bool

    @property
    def seconds(self) -> float:
        return (self.ended_at - self.requested_at).total_seconds()


class Noted(NamedTuple):
    """Something out of the ordinary: a line of a history, or of a process's log."""

    at: datetime
    what: str
    process: str = ""


class Changes:
    """Everything that was noted in a run, to be asked about a time."""

    def __init__(self, lives: Sequence[Life], histories: Sequence[Noted], logs: Sequence[Noted]) -> None:
        self._lives = lives
        self._histories = histories
        self._logs = logs

    @classmethod
    async def read(cls, database: asyncpg.Pool[asyncpg.Record], logs: Path) -> Changes:
        """From renewal's own book and from the logs of all processes."""
        lives = [Life._make(row) for row in await database.fetch(_RENEWALS)]
        histories = [Noted(row["at"], row["message"]) for row in await database.fetch(_UNUSUAL, ORDINARY)]
        return cls(lives, histories, await asyncio.to_thread(_read_logs, logs))

    def during(self, struck: Struck) -> str:
        """A sentence: renewals under way, the slowest that completed, what was unusual."""
        since, until = struck.began_at, struck.ended_at + AFTERMATH
        met = [life for life in self._lives if life.requested_at < until and life.ended_at > since]
        waited = [life.seconds for life in met if life.completed]
        took = f", completed in {median(waited):.1f} s (the slowest in {max(waited):.1f} s)" if waited else ""
        histories = Counter(one.what for one in self._histories if since <= one.at < until)
        logs = Counter(
            one.what for one in self._logs if since <= one.at < until and struck.concerns in ("", one.process)
        )
        return "; ".join(
            [f"{len(met)} renewals met it{took}", *_named("told", histories), *_named("logged", logs)]
        )


def _named(kind: str, counted: Counter[str]) -> Iterator[str]:
    if counted:
        listed = ", ".join(f"{what} {times}" for what, times in counted.most_common(MOST_NAMED))
        yield f"{kind}: {listed}"


def _read_logs(logs: Path) -> list[Noted]:
    return [line for path in sorted(logs.glob("*-[0-9].log")) for line in _log_lines(path)]


def _log_lines(path: Path) -> Iterator[Noted]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                said = orjson.loads(line)
                at, event = datetime.fromisoformat(said["timestamp"]), said["event"]
            except (orjson.JSONDecodeError, KeyError, TypeError):
                continue  # a line cut off by a death, or somebody else's words
            # A library's sentence varies with what it is about; ours do not.
            if event not in QUIET_LOGS and " " not in event:
                yield Noted(at, event, path.stem)


def told(story: Story, changes: Changes) -> Iterator[str]:
    """The whole story again, each fault with what it changed."""
    for struck in story.struck:
        yield f"{struck.began_at:%H:%M:%S} {struck.fault}: {struck.tale}"
        yield f"         {changes.during(struck)}"
