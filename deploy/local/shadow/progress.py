"""How far the services have been read: on a terminal one line, elsewhere a line now and then."""

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console

LINE_EVERY_SECONDS: Final = 10.0


class Progress:
    """On the error output: what the command finds out goes to the other one."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status = self._console.status("asking the services")
        self._told = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def show(self, kind: str, number: int) -> None:
        """So many of that kind are here."""
        now = time.monotonic()
        text = f"{kind.replace('_', ' ')}: {number:,} read from the services"
        self._status.update(text)
        if not self._console.is_terminal and now - self._told >= LINE_EVERY_SECONDS:
            self._told = now
            self._console.print(text, markup=False)
