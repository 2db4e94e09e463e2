"""A process dies, or stands still, exactly where and when it was ordered to, and nowhere without an order."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import crash_points

ROOT = Path(__file__).parents[3]
PASSES = """
from shared import crash_points
for _ in range(3):
    for point in ("before_commit", "commit_to_publish"):
        if crash_points.orders is not None:
            crash_points.orders.pass_by(point)
        print(point, flush=True)
"""


@pytest.fixture
def order_file(tmp_path: Path) -> Path:
    return tmp_path / "order"


def passing(order_file: Path | None) -> subprocess.CompletedProcess[str]:
    """A process that passes two points three times in turn, and says so after each."""
    environment = {name: value for name, value in os.environ.items() if name != crash_points.VARIABLE}
    if order_file is not None:
        environment[crash_points.VARIABLE] = str(order_file)
    return subprocess.run(
        [sys.executable, "-c", PASSES],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_process_dies_when_it_passes_the_point_for_the_nth_time(order_file: Path) -> None:
    crash_points.write_order(order_file, crash_points.COMMIT_TO_PUBLISH, 2)

    process = passing(order_file)

    assert process.returncode == -signal.SIGKILL
    assert process.stdout.split() == ["before_commit", "commit_to_publish", "before_commit"]
    assert crash_points.was_carried_out(order_file)
    assert not crash_points.was_carried_out(order_file), "it is told once"


def test_who_comes_after_the_dead_lives(order_file: Path) -> None:
    crash_points.write_order(order_file, crash_points.BEFORE_COMMIT, 1)
    passing(order_file)

    assert passing(order_file).returncode == 0


STANDS_STILL_TWICE = """
import sys
from pathlib import Path
from signal import SIGSTOP
from shared import crash_points
for _ in range(2):
    crash_points.write_order(Path(sys.argv[1]), "before_send", 2, SIGSTOP)
    for passed in range(1, 4):
        crash_points.orders.pass_by("before_send")
        print(passed, crash_points.was_carried_out(Path(sys.argv[1])), flush=True)
"""


def test_a_process_that_stood_still_goes_on_behind_the_point_and_counts_anew(order_file: Path) -> None:
    environment = os.environ | {crash_points.VARIABLE: str(order_file)}
    command = [sys.executable, "-c", STANDS_STILL_TWICE, str(order_file)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(2):
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), "it did not stand still"
            os.kill(process.pid, signal.SIGCONT)
        told, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert told.splitlines() == 2 * ["1 False", "2 True", "3 False"]


def test_an_order_for_another_point_or_a_later_time_kills_nobody(order_file: Path) -> None:
    crash_points.write_order(order_file, crash_points.BEFORE_SEND, 1)
    assert passing(order_file).returncode == 0
    crash_points.write_order(order_file, crash_points.BEFORE_COMMIT, 4)
    assert passing(order_file).returncode == 0

    assert crash_points.taken_back(order_file)
    assert not crash_points.taken_back(order_file)
    assert not crash_points.was_carried_out(order_file)


def test_a_process_that_was_told_of_no_file_follows_no_orders() -> None:
    assert passing(None).returncode == 0
    assert crash_points.orders is None, "these tests themselves"


def test_a_point_that_does_not_exist_cannot_be_ordered(order_file: Path) -> None:
    with pytest.raises(ValueError, match="no such point"):
        crash_points.write_order(order_file, "somewhere", 1)


def test_every_point_is_passed_somewhere_and_costs_one_look_where_nobody_orders() -> None:
    passed = set()
    for path in (ROOT / "shared").rglob("*.py"):
        for guard, call in _passes(ast.parse(path.read_text(encoding="utf-8"))):
            assert guard.startswith("crash_points.orders is not None"), f"{path}:{call.lineno}"
            passed.add(ast.unparse(call.args[0]).removeprefix("crash_points."))
    assert {getattr(crash_points, name) for name in passed} == set(crash_points.POINTS)


def _passes(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Every passing of a point, with the condition right above it."""
    for node in ast.walk(tree):
        for line in getattr(node, "body", []) if isinstance(node, ast.stmt) else []:
            call = line.value if isinstance(line, ast.Expr) else None
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "crash_points.orders.pass_by":
                yield ast.unparse(node.test) if isinstance(node, ast.If) else "", call
