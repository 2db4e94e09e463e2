"""Tries the generated mutants, service by service, in a private copy of the tree."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.mutants.layers import LAYERS, SEEDS
from tests.mutants.progress import Progress, path_of
from tests.mutants.survivors import explained
from tests.mutants.trees import private_copies

SERVICES: Final = ("renewal", "payment", "provisioning", "catalog", "usage")
_MOST_SECONDS: Final = 3600


class TestsFail(Exception):
    """A service's tests fail without any mutant."""


def try_all(
    services: Sequence[str], wanted: str, at_once: int, dearer: bool, tell: Callable[[str], None]
) -> dict[str, str]:
    """By mutant, the test that caught it; empty where none did.

    Raises:
        TestsFail: see there.
    """
    killed: dict[str, str] = {}
    with private_copies(1) as (tree,):
        known = tree / "explained.json"
        known.write_text(json.dumps(list(explained())))
        for service in services:
            killed |= _of_service(service, tree, wanted, at_once, dearer)
            tell(service)
    return killed


def _of_service(service: str, tree: Path, wanted: str, at_once: int, dearer: bool) -> dict[str, str]:
    into = tree / f"{service}.json"
    command = [".venv/bin/python", "-m", "tests.mutants.nursery", service, "--into", str(into)]
    command += ["--at-once", str(at_once), "--wanted", wanted, "--explained", "explained.json"]
    pure = [layer for layer in LAYERS if dearer and layer.is_pure]
    shown = [path for layer in pure for path in layer.tests(service, tree)]
    sources = [f"services/{service}", "shared", f"tests/unit/{service}", "tests/mutants"]
    beside = [f"tests/{layer.name}" for layer in pure]
    progress = path_of(service, tree, [*sources, *beside])
    command += ["--progress", str(progress), "--dearer", *shown]
    # As many seeds as a listed defect is shown: a thousand are minutes of CPU, for each service and survivor.
    ran = subprocess.run(
        command,
        cwd=tree,
        env={**os.environ, "RECARGA_TEST_SEEDS": SEEDS},
        capture_output=True,
        text=True,
        timeout=_MOST_SECONDS,
        check=False,
    )
    if not into.exists():
        raise TestsFail(f"{service}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    found: dict[str, str] = json.loads(into.read_text())
    if not wanted:
        Progress(progress).forget()
    return found
