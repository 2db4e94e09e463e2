"""`make exhaustive`: explores every case to its end, on two cores, and says how much that was."""

import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Annotated

import typer

from services.renewal.domain.change import Ignored
from services.renewal.domain.saga import MATRIX
from tests.exhaustive.case import Case
from tests.exhaustive.cases import CASES
from tests.exhaustive.search import Found, Search

CORES = 2
MINUTES = 10
LEAST_STATES = 1_000_000


def explore(case: Case, states: int | None, until: float) -> Found:
    """One case, in a process of its own."""
    return Search(case, states=states or float("inf"), until=until).run()


def show(found: Found) -> None:
    levels = " + ".join(f"{number:,}" for number in found.by_deviations)
    typer.echo(f"{found.case.name}: {found.case.about}")
    typer.echo(
        f"    {found.states:,} states ({levels} by deviations), {found.transitions:,} transitions, "
        f"{found.ended:,} ended, {found.seconds:.0f} s ({found.cpu_seconds:.0f} s of CPU)"
    )
    if not found.is_complete:
        typer.echo(
            f"    stopped: only those with fewer than {len(found.by_deviations)} deviations are all seen"
        )
    if found.broken is not None:
        typer.echo(f"    BROKEN: {found.broken}")
        for number, step in enumerate(found.path, 1):
            typer.echo(f"    {number:4} {step}")


def entered(all_found: Iterable[Found]) -> str:
    """How much of the saga's matrix was entered, of the cells that have a rule."""
    ruled = {
        (message.__name__, state)
        for message, row in MATRIX.items()
        for state, cell in row.items()
        if not isinstance(cell, Ignored)
    }
    cells = set[tuple[str, str]]().union(*(found.cells for found in all_found))
    return f"{len(cells & ruled)} of {len(ruled)} rules of the saga's matrix were used"


def main(
    states: Annotated[int | None, typer.Option(help="at most so many of each case")] = None,
    seconds: Annotated[float, typer.Option(help="for all cases together")] = MINUTES * 60,
    case: Annotated[list[str] | None, typer.Option(help="only cases of that name")] = None,
    deeper: Annotated[int, typer.Option(help="so many deviations more than a case says")] = 0,
) -> None:
    """Explore; the exit code is 1 where a promise is broken, or where too little was seen."""
    began = time.monotonic()
    chosen = [one.deeper(deeper) for one in CASES if not case or one.name in case]
    all_found: list[Found] = []
    with ProcessPoolExecutor(CORES) as pool:
        running = [pool.submit(explore, one, states, began + seconds) for one in chosen]
        for done in as_completed(running):
            all_found.append(done.result())
            show(all_found[-1])
    total = sum(found.states for found in all_found)
    typer.echo(
        f"\n{total:,} states, {sum(found.transitions for found in all_found):,} transitions, "
        f"{sum(found.ended for found in all_found):,} ended, in {time.monotonic() - began:.0f} s; "
        f"{entered(all_found)}"
    )
    broken = [found.case.name for found in all_found if found.broken is not None]
    if broken:
        typer.echo(f"Promises are broken: {', '.join(broken)}")
        raise typer.Exit(1)
    if not (states or case) and (total < LEAST_STATES or not all(found.is_complete for found in all_found)):
        typer.echo(f"Too little: {LEAST_STATES:,} states and every case to its end are wanted")
        raise typer.Exit(1)
    typer.echo("Every promise holds in every one of them, and every one can still end.")


if __name__ == "__main__":
    typer.run(main)
