"""What was done and what came of it, told with times while it happens, and kept for the verdict."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.table import Table

from shared.crash_points import POINTS
from tests.chaos.faults import SERVICE_POINTS, Crash, Fault, Zombie, service_of

Tell = Callable[[str], None]


@dataclass(slots=True)
class Struck:
    """A fault that was carried out, from its first moment to the end of its repair."""

    fault: Fault
    began_at: datetime
    ended_at: datetime
    tale: str
    times: int
    """How often it struck: how many calls met a lie; for everything else 1, or 0 where it came to nothing."""

    @property
    def concerns(self) -> str:
        """The process it was for; empty where it concerned all."""
        return self.fault.instance if isinstance(self.fault, Crash | Zombie) else ""


@dataclass(slots=True)
class Story:
    """The story of one run. `tell` gets each line when it happens."""

    tell: Tell
    began: float = field(default_factory=time.monotonic)
    struck: list[Struck] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    """Orders that were never carried out."""

    def say(self, text: str) -> None:
        self.tell(f"{self.seconds:6.1f} s  {text}")

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def happened(self, fault: Fault, began_at: datetime, tale: str, times: int) -> None:
        self.struck.append(Struck(fault, began_at, datetime.now(UTC), tale, times))
        self.say(f"{fault}: {tale}")

    def times(self, kind: str) -> int:
        """How often a kind of fault has struck."""
        return sum(struck.times for struck in self.struck if struck.fault.kind == kind)

    def deaths(self, service: str, point: str) -> int:
        """How often a process of that service has died there, as it was ordered to."""
        return sum(
            struck.times
            for struck in self.struck
            if isinstance(struck.fault, Crash)
            and (service_of(struck.fault.instance), struck.fault.point) == (service, point)
        )

    def deaths_of(self, instance: str) -> int:
        """How many deaths of that service were ordered; its processes are not told apart."""
        service = service_of(instance)
        return sum(self.deaths(service, point) for point in SERVICE_POINTS[service])


def first_sentence(notice: str) -> str:
    """What happened to a process, without the end of its log that comes with it."""
    return notice.partition(" The end of ")[0]


def hits_table(story: Story, scheduled: set[tuple[str, str]]) -> Table:
    """Crash point x service: how often hit; `never` where it was scheduled and nobody came by."""
    table = Table(box=None, pad_edge=False, title="Died as ordered", title_justify="left")
    table.add_column("crash point")
    for service in SERVICE_POINTS:
        table.add_column(service, justify="right")
    for point in POINTS:
        table.add_row(point, *(_cell(story, service, point, scheduled) for service in SERVICE_POINTS))
    return table


def _cell(story: Story, service: str, point: str, scheduled: set[tuple[str, str]]) -> str:
    if point not in SERVICE_POINTS[service]:
        return ""
    return _times(story.deaths(service, point), is_planned=(service, point) in scheduled)


def strikes_table(story: Story, planned: Counter[str]) -> Table:
    """All that is no death: how often it was planned, and how often it struck, a lie once for every call."""
    table = Table(box=None, pad_edge=False, title="What else struck", title_justify="left")
    table.add_column("fault")
    table.add_column("planned", justify="right")
    table.add_column("struck", justify="right")
    deaths = {struck.fault.kind for struck in story.struck if isinstance(struck.fault, Crash)}
    for kind in sorted(planned.keys() - deaths):
        table.add_row(kind, str(planned[kind]), _times(story.times(kind), is_planned=True))
    return table


def _times(number: int, *, is_planned: bool) -> str:
    if number:
        return str(number)
    return "[red]never[/red]" if is_planned else "-"
