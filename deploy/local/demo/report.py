"""The end of the story, for people: how it ended, how long it took, whether it all adds up."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.local.books.tables import show_discrepancies, totals_table
from deploy.local.demo.progress import ENDS, OPEN_STATES
from deploy.local.demo.promises import Evening, Promise, percentile, scene_results


def show_evening(console: Console, evening: Evening) -> None:
    """The tables of the report."""
    console.rule("Who renewed, and how it ended")
    console.print(_scenes(evening))
    console.rule("Renewals by outcome")
    console.print(_outcomes(evening))
    console.print(_latency(evening), soft_wrap=True)
    console.rule("Money")
    console.print(totals_table(evening.comparison))
    if not evening.comparison.is_balanced:
        show_discrepancies(evening.comparison)


def _scenes(evening: Evening) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("people", justify="right")
    table.add_column("what happened")
    table.add_column("renewals")
    for result in scene_results(evening):
        ends = ", ".join(f"{number} {end}" for end, number in sorted(result.ends.items())) or "none"
        mark = f" [red]({result.astray} not as told)[/red]" if result.astray else ""
        table.add_row(str(result.people), result.scene.name, ends + mark)
    return table


def _outcomes(evening: Evening) -> Table:
    ends = Counter(one.state for one in evening.renewals)
    by_rule = Counter(one.state for one in evening.renewals if one.is_by_rule)
    table = Table(box=None, pad_edge=False)
    for heading in ("renewals", "begun by a rule", "asked for by hand"):
        table.add_column(heading, justify="right")
    table.add_column("outcome")
    for state, meaning in (*ENDS, *OPEN_STATES):
        if ends[state]:
            number, rules = ends[state], by_rule[state]
            table.add_row(str(number), str(rules), str(number - rules), meaning)
    table.add_row(
        str(sum(ends.values())), str(sum(by_rule.values())), str(ends.total() - by_rule.total()), "all"
    )
    return table


def _latency(evening: Evening) -> str:
    seconds = [
        one.seconds for one in evening.renewals if one.state == "completed" and one.seconds is not None
    ]
    if not seconds:
        return "No renewal was completed."
    p50, p95, p99 = (f"{percentile(seconds, share) * 1000:,.0f} ms" for share in (0.50, 0.95, 0.99))
    return (
        f"From request to completion: half within {p50} (p50), 95 % within {p95} (p95), 99 % within {p99} "
        "(p99), retries after failures of the PSP or the carrier included."
    )


def show_promises(console: Console, promises: list[Promise]) -> None:
    """Every promise with a mark, what was found beside it."""
    console.rule("What had to hold")
    table = Table.grid(padding=(0, 2))
    for promise in promises:
        mark = "[green]yes[/green]" if promise.is_held else "[red]NO[/red]"
        table.add_row(mark, promise.sentence, promise.found)
    console.print(table)


def show_verdict(console: Console, promises: list[Promise], logs: Path, seconds: float) -> bool:
    """The last lines. Returns whether everything held."""
    broken = [promise for promise in promises if not promise.is_held]
    if not broken:
        console.print(f"[green]The story happened and the books balance.[/green] It took {seconds:.0f} s.")
        return True
    console.print(f"[red]{len(broken)} of {len(promises)} promises did not hold:[/red]")
    for promise in broken:
        console.print(f"  {promise.sentence}: found {promise.found}", soft_wrap=True, markup=False)
    console.print(f"The log of every process is in {logs}.", soft_wrap=True)
    return False
