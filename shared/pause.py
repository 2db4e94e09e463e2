"""How a loop waits for its next turn."""

import asyncio


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """That long; less when `stopping` is set meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
