"""What is told while the day passes, where there is no terminal to draw on, and where there is."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from deploy.local.demo.narrator import Narrator
from deploy.local.demo.progress import DayView
from deploy.local.demo.usage_file import Contents, Replay

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def told(replay: Replay, states: dict[str, int], waits_for: str = "", *, terminal: bool = False) -> str:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=200)
    with DayView(Narrator(console), Contents(lines=100)) as view:
        view.show(replay, states, waits_for)
    return out.getvalue()


def test_without_a_terminal_a_line_tells_the_hour_the_records_and_the_renewals() -> None:
    line = told(Replay(40, NOON), {"completed": 3, "failed": 1, "priced": 2, "captured": 1})

    assert line.strip() == (
        "2026-11-22 12:00: 40 usage records, renewals: 3 completed, 1 failed, 3 under way"
    )


def test_what_is_still_waited_for_is_named() -> None:
    line = told(Replay(100, NOON, is_over=True), {}, "calls to the carrier without an answer (2)")

    assert "the day is over: 100 usage records, renewals: none yet, 0 under way" in line
    assert "still waiting for calls to the carrier without an answer (2)" in line


def test_the_same_line_is_not_told_twice_nor_too_often() -> None:
    out = StringIO()
    with DayView(Narrator(Console(file=out, width=200)), Contents(lines=100)) as view:
        for number in range(50):
            view.show(Replay(number, NOON), {})

    assert len(out.getvalue().splitlines()) == 1


def test_on_a_terminal_the_states_are_told_in_words() -> None:
    drawn = told(Replay(40, NOON), {"requested": 2, "completed": 3}, terminal=True)

    assert "40 of 100 usage records" in drawn
    assert "waiting for a price" in drawn
    assert "completed: paid and topped up" in drawn
