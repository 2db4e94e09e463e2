"""Which lines of the domain each test runs: a mutant is shown only to the tests that pass by it."""

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Lines = set[tuple[str, int]]


@contextmanager
def noted(files: Collection[str]) -> Iterator[Lines]:
    """The (file, line) that are run meanwhile in these files, given as they stand in code objects."""
    lines: Lines = set()

    def within(frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return within

    def entered(frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any] | None:
        return within if frame.f_code.co_filename in files else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        yield lines
    finally:
        sys.settrace(before)
