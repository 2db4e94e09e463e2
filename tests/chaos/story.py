"""What was done and what came of it, told with times while it happens, and kept for the verdict."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.table import Table

from shared.crash_points import POINTS
from tests.chaos.faults import SERVICE_POINTS, Fault

Tell = Callable[[str], None]


@dataclass(slots=True)
class Struck:
    """A fault that was carried out, from its first moment to the end of its repair."""

    fault: Fault
    began_at: datetime
    ended_at: datetime
    tale: str
    concerns: str = ""
    """The process it struck; empty where it concerned all."""


@dataclass(slots=True)
class Story:
    """The story of one run. `tell` gets each line when it happens."""

    tell: Tell
    began: float = field(default_factory=time.monotonic)
    struck: list[Struck] = field(default_factory=list)
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each service died at each point, as it was ordered to."""
    misses: list[str] = field(default_factory=list)
    """Orders that were never carried out."""

    def say(self, text: str) -> None:
        self.tell(f"{self.seconds:6.1f} s  {text}")

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def happened(self, fault: Fault, began_at: datetime, tale: str, concerns: str = "") -> None:
        self.struck.append(Struck(fault, began_at, datetime.now(UTC), tale, concerns))
        self.say(f"{fault}: {tale}")

    def was_hit(self, instance: str, point: str) -> bool:
        """Whether a process of that service has died there."""
        return self.hits[instance.partition("-")[0], point] > 0

    def died_as_ordered(self, instance: str, point: str) -> None:
        self.hits[instance.partition("-")[0], point] += 1

    def deaths_of(self, instance: str) -> int:
        """How many deaths of that service were ordered; its processes are not told apart."""
        service = instance.partition("-")[0]
        return sum(times for (of, _), times in self.hits.items() if of == service)


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
    times = story.hits[service, point]
    if times:
        return str(times)
    return "[red]never[/red]" if (service, point) in scheduled else "-"
