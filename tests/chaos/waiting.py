"""The two ways to wait here: until something holds, and until a time that the schedule names has come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

POLL_SECONDS: Final = 0.05


async def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether that held before the time was over."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def until_time(at: float) -> None:
    """Returns when the monotonic clock shows `at`."""
    while (left := at - time.monotonic()) > 0:
        await asyncio.sleep(left)


async def for_time(seconds: float) -> None:
    """Lets time pass: what happens in it is the matter."""
    await until_time(time.monotonic() + seconds)
