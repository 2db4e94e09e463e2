"""Runs the simulation: python -m tests.simulation [--seeds 1000] [--from 1] [--jobs 2] | --seed 123 [-v]."""

from __future__ import annotations

import argparse
import os
import sys

from tests.simulation import defects, runs, seams
from tests.simulation.paths import paths
from tests.simulation.plan import KINDS, plan
from tests.simulation.promises import broken
from tests.simulation.world import World


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="Many renewals on virtual time, with faults by seed."
    )
    parser.add_argument("--seed", type=int, help="one seed only; -v prints its story")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="interpreters at once")
    parser.add_argument(
        "--without", action="append", default=[], metavar="KIND", help="leave a kind of fault out"
    )
    parser.add_argument("--defect", choices=sorted(defects.DEFECTS), help="run with a deliberate defect")
    parser.add_argument("--no-comparing", action="store_true", help="do not ask what every fault has changed")
    parser.add_argument("-v", "--verbose", action="store_true")
    return parser.parse_args()


def main() -> int:
    chosen = arguments()
    if chosen.seed is not None:
        return _tell(chosen)
    report = runs.run_many(
        range(chosen.first, chosen.first + chosen.seeds),
        chosen.jobs,
        chosen.defect,
        () if chosen.no_comparing else KINDS,
    )
    print("\n".join(runs.lines(report)))
    return 0 if report.is_good else 1


def _tell(chosen: argparse.Namespace) -> int:
    """One seed, as a story."""

    def tell(at: float, who: str, what: str) -> None:
        print(f"{at:10.3f} {who:16} {what}")

    with seams.installed(), defects.made(chosen.defect):
        world = World(plan(chosen.seed, frozenset(chosen.without)), tell if chosen.verbose else None)
        world.run()
        found = broken(world)
    if chosen.verbose:
        for name, path in paths(world).items():
            print(f"\n{name}")
            for part, steps in path._asdict().items():
                for step in steps:
                    print(f"  {part:8}", *step)
    for number, about, how in found:
        print(f"promise {number} is broken: {how} {about}")
    renewals, seconds = len(world.renewal.every_renewal()), world.loop.time()
    print(f"seed {chosen.seed}: {renewals} renewals, at rest after {seconds:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
