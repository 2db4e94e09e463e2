"""Readiness asks everything at once, waits for nobody too long, and does not become the load."""

import asyncio

from shared.observability.health import Component, Readiness


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def fine() -> None:
    return None


async def late() -> str | None:
    await asyncio.Event().wait()
    return None


async def lagging() -> str:
    return "12 s behind"


async def broken() -> None:
    raise ConnectionRefusedError("no card 4242424242424242")


async def test_each_component_says_whether_it_is_ready_and_why_not() -> None:
    readiness = Readiness(
        {"store": fine, "queue": late, "reader": lagging, "other": broken}, deadline_seconds=0.01
    )
    assert await readiness() == [
        Component("store", True, ""),
        Component("queue", False, "no answer within 0.01 s"),
        Component("reader", False, "12 s behind"),
        Component("other", False, "ConnectionRefusedError: no card [number ending 4242]"),
    ]


async def test_an_answer_is_kept_for_a_second_and_then_asked_for_again() -> None:
    asked = 0

    async def counted() -> str | None:
        nonlocal asked
        asked += 1
        return None if asked == 1 else "gone"

    clock = Clock()
    readiness = Readiness({"store": counted}, clock=clock)
    await asyncio.gather(*(readiness() for _ in range(10)))
    clock.seconds = 0.9
    assert (await readiness())[0].ok
    assert asked == 1
    clock.seconds = 1.0
    assert not (await readiness())[0].ok
    assert asked == 2


async def test_a_check_that_does_not_even_stop_when_told_holds_up_no_probe() -> None:
    released = asyncio.Event()

    async def stubborn() -> str | None:
        try:
            await released.wait()
        except asyncio.CancelledError:
            await released.wait()
        return None

    readiness = Readiness({"store": stubborn}, deadline_seconds=0.01, cache_seconds=0.0)
    for _ in range(3):
        assert await readiness() == [Component("store", False, "no answer within 0.01 s")]
    released.set()
    assert await readiness() == [Component("store", True, "")]
