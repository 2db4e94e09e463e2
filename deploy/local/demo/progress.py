"""What is going on, while it goes on: a live view on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.local.demo.narrator import Narrator
from deploy.local.demo.usage_file import Contents, Replay

PLAIN_SECONDS: Final = 2.0
BAR_WIDTH: Final = 40
OPEN_STATES: Final = (
    ("requested", "waiting for a price"),
    ("priced", "waiting for the payment"),
    ("captured", "waiting for the top-up"),
    ("awaiting_customer", "waiting for the customer"),
    ("cancelling_payment", "being called off"),
    ("cancelling_top_up", "being called off after payment"),
    ("refunding", "getting the money back"),
    ("parked", "waiting for an operator"),
)
ENDS: Final = (
    ("completed", "completed: paid and topped up"),
    ("refunded", "refunded: not topped up, money back"),
    ("failed", "failed: nothing was paid"),
    ("cancelled", "called off by the customer"),
)


class DayView:
    """The day as it passes. Use it in `with`; `show` as often as you like."""

    def __init__(self, narrator: Narrator, contents: Contents) -> None:
        self._narrator = narrator
        self._console = narrator.console
        self._contents = contents
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)
        self._last_line_at = 0.0
        self._last_line = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, replay: Replay, states: dict[str, int], waits_for: str = "") -> None:
        """The present state of things."""
        if self._console.is_terminal:
            self._live.update(self._view(replay, states, waits_for))
            return
        line = self._line(replay, states, waits_for)
        now = time.monotonic()
        if line != self._last_line and now - self._last_line_at >= PLAIN_SECONDS:
            self._last_line_at, self._last_line = now, line
            self._narrator.note(line)

    def _line(self, replay: Replay, states: dict[str, int], waits_for: str) -> str:
        ended = ", ".join(f"{states[name]} {name}" for name, _ in ENDS if states.get(name))
        open_ = sum(states.get(name, 0) for name, _ in OPEN_STATES)
        day = _clock(replay) if not replay.is_over else "the day is over"
        line = f"{day}: {replay.published} usage records, renewals: {ended or 'none yet'}, {open_} under way"
        return f"{line}; still waiting for {waits_for}" if waits_for else line

    def _view(self, replay: Replay, states: dict[str, int], waits_for: str) -> RenderableType:
        day = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(self._contents.lines, 1), completed=replay.published, width=BAR_WIDTH)
        day.add_row(
            Text(_clock(replay), style="bold"),
            bar,
            f"{replay.published} of {self._contents.lines} usage records",
        )
        counts = Table.grid(padding=(0, 2))
        counts.add_column(justify="right")
        for name, meaning in (*OPEN_STATES, *ENDS):
            if states.get(name):
                counts.add_row(str(states[name]), meaning)
        rows: list[RenderableType] = [day, counts]
        if waits_for:
            rows.append(Text(f"Still waiting for: {waits_for}", style="dim"))
        return Group(*rows)


def _clock(replay: Replay) -> str:
    return replay.clock.strftime("%Y-%m-%d %H:%M") if replay.clock else "before the day"
