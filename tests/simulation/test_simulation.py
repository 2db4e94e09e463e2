"""The simulation leaves nothing out, tells the same story twice, and finds the defects that it should."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from deploy.sandbox.behaviours import BEHAVIOURS
from tests.simulation import defects, runs, seams
from tests.simulation.plan import KINDS, plan

MOST_SEEDS: Final = 150
"""Of those that a deliberate defect can show itself in."""
ROOT: Final = Path(__file__).parents[2]


def test_every_misbehaviour_that_the_sandbox_knows_is_a_kind_of_fault() -> None:
    known = {f"{server}.{row.name}" for row in BEHAVIOURS.values() for server in row.servers}
    assert known - {"psp.ok", "carrier.ok"} == {
        kind for kind in KINDS if kind.startswith(("psp.", "carrier."))
    }


def test_every_function_of_the_stores_is_simulated_or_not_asked() -> None:
    assert [missing for stand_in in seams.STAND_INS for missing in seams.missing(stand_in)] == []


def test_a_seed_tells_the_same_story_in_any_interpreter() -> None:
    stories = [_told("--seed", "4", "-v", hash_seed=hash_seed) for hash_seed in ("1", "2")]
    assert stories[0].returncode == 0, stories[0].stdout
    assert stories[0].stdout == stories[1].stdout
    assert len(stories[0].stdout.splitlines()) > 100


def test_a_failing_seed_is_named_and_fails_again_alone() -> None:
    defect = ("--defect", "silence-is-a-failure")
    many = _told("--from", "1", "--seeds", "8", "--jobs", "2", "--no-comparing", *defect)
    assert many.returncode == 1
    line = next(line for line in many.stdout.splitlines() if "is broken" in line)
    seed, how = line.removeprefix("  seed ").split(": ", 1)
    alone = _told("--seed", seed, *defect)
    assert alone.returncode == 1
    assert how in alone.stdout
    assert _told("--seed", seed).returncode == 0


@pytest.mark.parametrize("name", sorted(defects.DEFECTS))
def test_a_deliberate_defect_breaks_the_promise_that_it_should(name: str) -> None:
    defect = defects.DEFECTS[name]
    candidates = [seed for seed in range(1, 2000) if defect.may_show(plan(seed))][:MOST_SEEDS]
    with defects.made(name):
        caught = next((run for run in map(_run, candidates) if _breaks(run, defect)), None)
    assert caught is not None
    assert runs.run_seed(caught.seed)[1].broken == []


def _run(seed: int) -> runs.Run:
    return runs.run_seed(seed)[1]


def _breaks(run: runs.Run, defect: defects.Defect) -> bool:
    return any(one.promise == defect.promise and defect.told in one.how for one in run.broken)


def _told(*arguments: str, hash_seed: str = "0") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
