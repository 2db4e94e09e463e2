"""What an import tells people: a bar on a terminal, a line now and then elsewhere, a summary at the end."""

import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from shared.imports.importing import Ending
from shared.imports.lines import Source
from shared.imports.resuming import Standing

LINE_EVERY_SECONDS: Final = 10.0


class Progress:
    """Tells people; what programs need is in the report and the exit status."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(name)
        self._began = self._told = time.monotonic()
        self._first_line: int | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, standing: Standing, source: Source) -> None:
        """How far it is: lines, and how much of the file has been read."""
        now = time.monotonic()
        if self._first_line is None:
            self._first_line = standing.last_line
        rate = (standing.last_line - self._first_line) / max(0.1, now - self._began)
        told = f"{self._name}: {_counts(standing)}, {rate:,.0f} lines/s"
        self._bar.update(self._task, description=told, completed=source.position, total=source.size)
        if not self._console.is_terminal and now - self._told >= LINE_EVERY_SECONDS:
            self._told = now
            self._console.print(told, markup=False)

    def sum_up(self, standing: Standing, report: Path, ending: Ending, *, is_check: bool) -> None:
        """The last word."""
        verb = "are good" if is_check else "taken"
        told = f"{self._name}: {standing.taken:,} {verb}{_noted(standing)}, {standing.refused:,} refused"
        if ending == "stopped":
            told += f"; stopped after line {standing.last_line:,}, the same command goes on from there"
        if standing.refused:
            told += f". {report} says why"
        self._console.print(f"{told}.", markup=False)
        if standing.forbidden:
            self._console.print(
                f"{standing.forbidden:,} of its lines held what must not be in such a file at all. That was "
                "neither sent nor copied, but the file itself still holds it: see to it.",
                style="bold red",
                markup=False,
            )

    def fail(self, why: str) -> None:
        """Why it cannot begin, or go on."""
        self._console.print(f"Error: {why}", style="red", markup=False)


def _counts(standing: Standing) -> str:
    return f"{standing.taken:,} taken{_noted(standing)}, {standing.refused:,} refused"


def _noted(standing: Standing) -> str:
    """`(12 duplicate)`: of what was taken, what is not as usual."""
    told = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in sorted(standing.noted.items()))
    return f" ({told})" if told else ""
