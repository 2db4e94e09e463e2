"""`make bench-against VERSION=v0.3.0`: an older version and this one, saturated, in turn on one machine.

Machines drift by half within minutes: only medians of runs that took turns tell what a change cost. Figures:
a table, and .recarga/bench-against.json.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from deploy.local.home import REPOSITORY, Home
from tests.rolling.older import checked_out

DEADLINE_SECONDS: Final = 900.0
MOST_GROWTH: Final = 1.10


def measured(folder: Path, home: Path, renewals: int) -> dict[str, Any]:
    """One saturated run of the version in that folder, as its bench.json has it.

    Once more where it fails: v0.3.0's bench may ask for renewals of subscribers whose last one is not closed.
    """
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.bench", "--no-open-loop", "--renewals", str(renewals)]
    environment = os.environ | {"RECARGA_HOME": str(home), "PYTHONPATH": str(folder)}
    for is_last in (False, True):
        ended = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=None if is_last else subprocess.DEVNULL,
            timeout=DEADLINE_SECONDS,
            check=is_last,
        )
        if ended.returncode == 0:
            break
    result: dict[str, Any] = json.loads((home / "bench.json").read_bytes())
    return result


def figures(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Medians of renewals a second and of CPU microseconds a renewal."""
    return {
        "renewals_per_second": statistics.median(run["renewals_per_second"] for run in runs),
        "cpu_us_per_renewal": 1000
        * statistics.median(sum(run["cpu_ms_per_renewal"].values()) for run in runs),
    }


def show(version: str, older: dict[str, float], ours: dict[str, float]) -> None:
    """Print the table."""
    table = Table("median", version, "this version", "ratio")
    for name in older:
        table.add_row(
            name.replace("_", " "),
            f"{older[name]:,.0f}",
            f"{ours[name]:,.0f}",
            f"{ours[name] / older[name]:.2f}",
        )
    Console().print(table)


def main(
    version: Annotated[str, typer.Argument(help="a tag or commit")],
    runs: Annotated[int, typer.Option(min=1, help="of each")] = 5,
    renewals: Annotated[int, typer.Option(min=4_000)] = 20_000,
) -> None:
    """Measure in turn, print medians; exit status 1 where CPU a renewal grew by more than a tenth."""
    homes = Home.at(None).path / "bench-against"
    found: dict[str, list[dict[str, Any]]] = {"older": [], "ours": []}
    with tempfile.TemporaryDirectory() as temporary, checked_out(version, Path(temporary) / "older") as older:
        for number in range(1, runs + 1):
            for who, folder in (("older", older), ("ours", REPOSITORY)):
                found[who].append(measured(folder, homes / who, renewals))
                last = figures(found[who][-1:])
                print(f"run {number}, {who}: {last['cpu_us_per_renewal']:,.0f} us of CPU a renewal")
    before, now = figures(found["older"]), figures(found["ours"])
    result = {"version": version, "runs": runs, "renewals": renewals, "older": before, "ours": now}
    (Home.at(None).path / "bench-against.json").write_text(json.dumps(result, indent=2))
    show(version, before, now)
    if now["cpu_us_per_renewal"] > MOST_GROWTH * before["cpu_us_per_renewal"]:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
