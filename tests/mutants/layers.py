"""The layers of tests, from the cheapest to the dearest, and what one of them says of a tree."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Final, Literal, NamedTuple

Name = Literal["unit", "exhaustive", "simulation", "integration", "acceptance"]
BESIDE: Final = {
    "calls": ("tests/integration/payment/test_outage.py", "tests/integration/provisioning/test_outage.py"),
    "operators": ("tests/integration/messaging/test_set_aside_operators.py",),
}
"""Integration tests of services in which a shared part shows what it is for."""
SEEDS: Final = "150"
"""So many seeds of the simulation end within its deadline; what breaks a promise seldom needs more."""
AUTHORITIES: Final = ("renewal", "payment", "provisioning")
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - (.*))?$", re.MULTILINE)
_PASSED, _FAILURES, _OUT_OF_CPU = 0, 1, -signal.SIGXCPU
_BUSY: Final = 10
"""So many times slower than its CPU may a pure layer be, on a machine that does much else."""


class Layer(NamedTuple):
    """`{area}` in a path is the service, or the shared part, that a defect is in."""

    name: Name
    paths: tuple[str, ...]
    areas: tuple[str, ...] | None
    """None: every area."""
    seconds: float
    """Of CPU, so that a busy machine catches nothing; by the clock where it waits for servers."""
    waits: bool = False
    """Whether its tests wait for real servers: then a failure is looked at again without the defect."""

    @property
    def is_pure(self) -> bool:
        """Whether it runs in memory alone, beyond the unit tests."""
        return not self.waits and self.name != "unit"

    def tests(self, area: str, tree: Path) -> list[str]:
        """What this layer has for an area, as pytest takes it; empty where it has nothing."""
        if self.areas is not None and area not in self.areas:
            return []
        found = [path.format(area=area) for path in self.paths]
        if self.name == "integration":
            found += BESIDE.get(area, ())
        return [path for path in found if (tree / path).exists()]


LAYERS: Final = (
    Layer("unit", ("tests/unit/{area}", "tests/unit/shared/{area}"), None, 180),
    Layer("exhaustive", ("tests/exhaustive/test_shallow.py",), AUTHORITIES, 300),
    Layer(
        "simulation", ("tests/simulation/test_seeds.py",), (*AUTHORITIES, "messaging", "calls", "http"), 300
    ),
    Layer("integration", ("tests/integration/{area}",), None, 400, waits=True),
    Layer("acceptance", ("tests/acceptance/test_story.py",), None, 400, waits=True),
)


class Verdict(NamedTuple):
    """What a layer said: `test` failed, for the reason that its assertion gives. Empty: all passed."""

    test: str = ""
    why: str = ""


class CannotTell(Exception):
    """The tests could not be run: what was changed does not import, or nothing was collected."""


def area_of(file: str) -> str:
    """The service, or the shared part, that a file belongs to."""
    parts = file.split("/")
    return parts[1]


def verdict(tests: list[str], tree: Path, layer: Layer) -> Verdict:
    """Run these tests in that tree until the first fails. What does not end in time counts as failed.

    Raises:
        CannotTell: see there.
    """
    quiet: tuple[str, ...] = (
        "-p",
        "no:cacheprovider",
        "-p",
        "no:warnings",
        "-p",
        "no:schemathesis",
        "--tb=short",
        "-rfE",
    )
    # Whole services over Kafka read topics from their beginning: slow, and no defect needs them.
    quiet += ("--ignore-glob=*/integration/*/test_running.py",)
    examples = ("-p", "tests.mutants.examples", "--hypothesis-profile=mutants")
    command = [".venv/bin/python", "-m", "pytest", "-x", *quiet, *examples, *tests]
    environment = {**os.environ, "COLUMNS": "400", "RECARGA_TEST_SEEDS": SEEDS}
    seconds = layer.seconds
    if not layer.waits:
        command = ["sh", "-c", f'ulimit -S -t {seconds:.0f}; exec "$0" "$@"', *command]
    running = subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = running.communicate(timeout=seconds if layer.waits else seconds * _BUSY)
    except subprocess.TimeoutExpired:
        # Whatever the tests have started goes with them.
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        return Verdict(" ".join(tests), f"did not end within {seconds:.0f} s")
    if running.returncode == _OUT_OF_CPU:
        return Verdict(" ".join(tests), f"did not end within {seconds:.0f} s")
    if running.returncode == _PASSED:
        return Verdict()
    failed = _FAILED.search(told)
    if running.returncode != _FAILURES or failed is None:
        raise CannotTell(f"{' '.join(tests)} ended with {running.returncode}:\n{told[-2000:]}")
    return Verdict(failed[1], failed[2] or "")
