"""What the bench says: a table for people, JSON for comparing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from tests.bench.phases import OpenLoop, Saturated


def document(
    saturated: Saturated, open_loops: Sequence[OpenLoop], floor: dict[str, float | str], balanced: bool
) -> dict[str, Any]:
    """The content of bench.json; CPU and latency in milliseconds."""
    return {
        "renewals_per_second": round(saturated.renewals_per_second, 1),
        "renewals": saturated.renewals,
        "latency_ms": {
            f"{loop.rate:g}": {name: round(value, 1) for name, value in loop.latency_ms.items()}
            for loop in open_loops
        },
        "cpu_ms_per_renewal": {
            name: round(value, 4) for name, value in sorted(saturated.cpu_ms_per_renewal.items())
        },
        "cpu_ms_per_renewal_total": round(sum(saturated.cpu_ms_per_renewal.values()), 4),
        "cpu_ms_per_renewal_at_rate": {
            f"{loop.rate:g}": round(loop.cpu_ms_per_renewal, 3) for loop in open_loops
        },
        "floor": {
            name: round(value, 1) if isinstance(value, float) else value for name, value in floor.items()
        },
        "books_balance": balanced,
    }


def write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    console = Console()
    books = "balance" if result["books_balance"] else "[red]do not balance[/red]"
    console.print(
        f"\n[bold]{result['renewals_per_second']:,.0f} renewals/s[/bold] saturated, "
        f"{result['renewals']:,} in all; the books {books}."
    )
    latency = Table(
        "rate /s", "p50 ms", "p95 ms", "p99 ms", "CPU ms per renewal", title="Latency in open loop"
    )
    for rate, cuts in result["latency_ms"].items():
        latency.add_row(
            rate,
            *(f"{cuts[name]:,.1f}" for name in ("p50", "p95", "p99")),
            f"{result['cpu_ms_per_renewal_at_rate'][rate]:.2f}",
        )
    console.print(latency)
    cpu = Table("process", "us per renewal", title="CPU, saturated")
    for name, value in result["cpu_ms_per_renewal"].items():
        cpu.add_row(name, f"{value * 1000:,.0f}")
    cpu.add_row("all", f"{result['cpu_ms_per_renewal_total'] * 1000:,.0f}", style="bold")
    console.print(cpu)
    floor = Table("part alone", "per second", title="Floor of this machine in this run")
    for name, value in result["floor"].items():
        floor.add_row(
            name.replace("_per_second", "").replace("_", " "),
            value if isinstance(value, str) else f"{value:,.0f}",
        )
    console.print(floor)
