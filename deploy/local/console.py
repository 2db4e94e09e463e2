"""What the commands show: a bar while something is downloaded, and where everything answers."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as RichProgress

from deploy.local.artifacts import Progress
from deploy.local.ports import SERVICES
from deploy.local.run_record import RecordedProcess

console = Console(highlight=False)


def show_error(error: Exception) -> None:
    """What the user can mend. Its text may quote a log or a path: brackets in it are no markup."""
    console.print(f"[red]Error:[/red] {escape(str(error))}", soft_wrap=True)


class DownloadBar(Progress):
    """A bar on the terminal from the first missing byte on; nothing where everything is cached."""

    def __init__(self) -> None:
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", visible=False)
        self._lock = threading.Lock()

    def begin(self, total_bytes: int, files: int) -> None:
        self._bar.update(self._task, total=total_bytes, visible=True, description=f"Kafka ({files} files)")
        self._bar.start()

    def advance(self, received_bytes: int) -> None:
        with self._lock:
            self._bar.advance(self._task, received_bytes)

    def note(self, text: str) -> None:
        self._bar.console.print(text, soft_wrap=True)

    def close(self) -> None:
        if self._bar.live.is_started:  # else it would print an empty line
            self._bar.stop()


def address_lines(processes: Iterable[RecordedProcess]) -> str:
    """Every process with its pid and where it answers; a service with its documentation and metrics."""
    lines = []
    for process in processes:
        state = f"{process.identity.pid:>7}" if process.identity.alive() else "[red]  ended[/red]"
        service = process.name.partition("-")[0] in SERVICES
        address = f"{process.address}/docs  {process.address}/metrics" if service else process.address
        lines.append(f"  {process.name:<15}{state}  {address}")
    return "\n".join(lines)
