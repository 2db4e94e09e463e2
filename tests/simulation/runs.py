"""Many seeds, on several interpreters; and whether every kind of fault has changed some renewal's path."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final, NamedTuple

from tests.simulation import defects, seams
from tests.simulation.paths import paths
from tests.simulation.plan import KINDS, plan
from tests.simulation.promises import Broken, broken
from tests.simulation.world import World

_MOST_COMPARED: Final = 12
"""Seeds that are run once more without a kind of fault, before it counts as one that changes nothing."""


class Run(NamedTuple):
    """What became of one seed."""

    seed: int
    broken: list[Broken]
    ends: list[str]
    """How its renewals ended."""
    touched: dict[str, frozenset[str]]
    """By kind of fault, the renewals that it touched."""
    nets_off: frozenset[str]
    virtual_seconds: float


@dataclass
class Report:
    """What became of all of them."""

    runs: int = 0
    renewals: int = 0
    virtual_seconds: float = 0.0
    failed: list[Run] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    """In how many runs a kind of fault has struck."""
    nets_off: Counter[str] = field(default_factory=Counter)
    """How many runs did without a safety net."""
    changed: dict[str, int] = field(default_factory=dict)
    """By kind of fault, a seed in which it has changed some renewal's path."""
    asked: Collection[str] = KINDS
    """The kinds of which that is to be found out."""

    @property
    def idle(self) -> list[str]:
        """Kinds of fault that have changed no renewal's path."""
        return [kind for kind in self.asked if kind not in self.changed]

    @property
    def is_good(self) -> bool:
        return not self.failed and not self.idle

    def count(self, run: Run) -> None:
        self.runs += 1
        self.renewals += len(run.ends)
        self.virtual_seconds += run.virtual_seconds
        if run.broken:
            self.failed.append(run)
        self.ends.update(run.ends)
        self.struck.update(run.touched.keys())
        self.nets_off.update(run.nets_off)

    def add(self, other: Report) -> None:
        """What another share of the seeds has found."""
        self.runs += other.runs
        self.renewals += other.renewals
        self.virtual_seconds += other.virtual_seconds
        self.failed = sorted([*self.failed, *other.failed], key=lambda run: run.seed)
        self.ends.update(other.ends)
        self.struck.update(other.struck)
        self.nets_off.update(other.nets_off)
        self.changed |= other.changed


def run_seed(seed: int, without: frozenset[str] = frozenset()) -> tuple[World, Run]:
    """One seed from its beginning to its end, on ground that is installed."""
    world = World(plan(seed, without))
    world.run()
    touched: dict[str, frozenset[str]] = {}
    for struck in world.faults.struck:
        touched[struck.kind] = touched.get(struck.kind, frozenset()) | struck.renewals
    ends = [_end(renewal.state, renewal.parked_reason) for renewal in world.renewal.every_renewal().values()]
    nets_off = world.plan.nets_off
    return world, Run(seed, broken(world), ends, touched, nets_off, world.loop.time())


def run_some(seeds: Iterable[int], compared: Collection[str] = KINDS) -> Report:
    """These seeds, one after the other, and some of them once more without one of the `compared` faults.

    A kind whose first seed shows what it changes costs one run more, and is not looked at again.
    """
    report = Report(asked=compared)
    tried: Counter[str] = Counter()
    for seed in seeds:
        world, run = run_seed(seed)
        report.count(run)
        ways = paths(world)
        del world
        for kind in sorted(run.touched.keys() & set(compared)):
            if kind not in report.changed and run.touched[kind] and tried[kind] < _MOST_COMPARED:
                tried[kind] += 1
                others = paths(run_seed(seed, frozenset({kind}))[0])
                if any(ways.get(name) != others.get(name) for name in run.touched[kind]):
                    report.changed[kind] = seed
        gc.collect()
    return report


def run_many(
    seeds: Sequence[int], jobs: int, defect: str | None = None, compared: Collection[str] = KINDS
) -> Report:
    """The same on several interpreters, each with its share of them."""
    report = Report(asked=compared)
    shares = [(seeds[number::jobs], defect, compared) for number in range(jobs)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        for share in pool.map(_share, shares):
            report.add(share)
    return report


def _share(asked: tuple[Sequence[int], str | None, Collection[str]]) -> Report:
    seeds, defect, compared = asked
    with seams.installed(), defects.made(defect):
        return run_some(seeds, compared)


def _end(state: str, parked_reason: str | None) -> str:
    return f"parked: {parked_reason}" if state == "parked" else state


def lines(report: Report) -> Iterator[str]:
    """The report as a person reads it."""
    days = report.virtual_seconds / 86_400
    yield f"{report.runs} seeds, {report.renewals} renewals, {days:.1f} virtual days"
    yield "  " + ", ".join(f"{number} {end}" for end, number in sorted(report.ends.items()))
    off = ", ".join(f"{number} without {net}" for net, number in sorted(report.nets_off.items()))
    yield f"  seeds {off or 'all with every net'}"
    yield f"  {len(report.struck)} of {len(KINDS)} kinds of fault struck"
    if report.asked:
        yield f"  {len(report.changed)} of {len(report.asked)} changed some renewal's path"
    for kind in report.idle:
        yield f"  changed nothing: {kind} (struck in {report.struck[kind]} runs)"
    for run in report.failed[:20]:
        for number, about, how in run.broken[:3]:
            yield f"  seed {run.seed}: promise {number} is broken: {how} {about}"
        yield f"    again: python -m tests.simulation --seed {run.seed} -v"
