"""The comparer agrees with nobody by construction: it shares no code with those whose books it compares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
WHAT_IS_LOADED = "import sys, deploy.local.books; print(*sorted(sys.modules), sep='\\n')"
COMPARED = ("services", "shared", "deploy.sandbox")


def test_the_comparer_loads_no_code_of_the_services_nor_of_the_gateways() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", WHAT_IS_LOADED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.splitlines()

    assert "deploy.local.books.comparison" in loaded
    assert [name for name in loaded if f"{name}.".startswith(tuple(f"{one}." for one in COMPARED))] == []
