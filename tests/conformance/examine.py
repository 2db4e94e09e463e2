"""Many examples of one suite, each drawn from its number; the first that differs is made short."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from random import Random
from typing import Final
from unittest.mock import patch

from tests.conformance.actors import Difference
from tests.conformance.server import opened
from tests.conformance.stage import ACTORS, Record, Stage, Step, Suite
from tests.simulation import database

EXAMPLES: Final = int(os.environ.get("RECARGA_CONFORMANCE_EXAMPLES", "40"))
SHORTEST, LONGEST = 10, 40


def examine(suite: Suite, url: str, *, examples: int = EXAMPLES, shortens: bool = True) -> Record:
    """Play examples 1, 2, ... on both sides; what was reached.

    Raises:
        Difference: the two sides differ in an example; with its number, and the fewest of its steps that do.
    """
    with asyncio.Runner() as runner:
        return runner.run(_examine(suite, url, examples, shortens))


async def _examine(suite: Suite, url: str, examples: int, shortens: bool) -> Record:
    # Neither side gives up waiting: by the wall clock that would not be at the same moment.
    with patch.object(database, "LOCK_SECONDS", None):
        return await _play_all(suite, url, examples, shortens)


async def _play_all(suite: Suite, url: str, examples: int, shortens: bool) -> Record:
    record = Record()
    async with opened(url, len(ACTORS)) as server:
        for number in range(1, examples + 1):
            steps = drawn(suite, number)
            try:
                await Stage(suite, server, record).play(steps)
            except Difference as difference:
                found = difference
                break
        else:
            return record
    if shortens:
        steps, found = await _shortest(suite, url, steps, found)
    raise Difference(f"example {number} of {type(suite).__name__}, {len(steps)} steps: {found}")


def drawn(suite: Suite, number: int) -> list[Step]:
    """The steps of an example: the same for the same number."""
    lot = Random(number)
    names = sorted({**suite.steps, **suite.between})
    return [(lot.choice(names), lot.getrandbits(32)) for _ in range(lot.randint(SHORTEST, LONGEST))]


async def _shortest(
    suite: Suite, url: str, steps: Sequence[Step], found: Difference
) -> tuple[list[Step], Difference]:
    """Leave out ever smaller stretches of steps as long as the two sides still differ."""
    kept, size = list(steps), len(steps) // 2
    while size:
        place = 0
        while place < len(kept):
            fewer = kept[:place] + kept[place + size :]
            differs = await _differs(suite, url, fewer)
            if differs is None:
                place += size
            else:
                kept, found = fewer, differs
        size //= 2
    return kept, found


async def _differs(suite: Suite, url: str, steps: Sequence[Step]) -> Difference | None:
    """On connections of its own: after a difference nobody knows what state they are in."""
    async with opened(url, len(ACTORS)) as server:
        try:
            await Stage(suite, server, Record()).play(steps)
        except Difference as difference:
            return difference
    return None
