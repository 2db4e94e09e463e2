"""Tells what is going on, line by line, each with the seconds since the beginning."""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console

INDENT: Final = "      "


class Narrator:
    """The demo's voice. Everything it says can be understood without knowing the project."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def step(self, text: str) -> None:
        """Something begins."""
        self.console.print(f"{self.seconds:4.0f} s  {text}", soft_wrap=True, markup=False)

    def note(self, text: str) -> None:
        """Something about the step that goes on."""
        self.console.print(f"{INDENT}  {text}", soft_wrap=True, markup=False)
