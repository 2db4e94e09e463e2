"""Who is fetched from a gateway's queue: people first, but others are never left out altogether."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

Row = TypeVar("Row")
OTHERS_SHARE: Final = 4
"""One of so many is of the others, where both wait."""

Pick = Callable[[Mapping[str, int], bool], Awaitable[list[Row]]]
"""(how many rows at most by gateway, whether bulk) -> those that have waited longest."""


async def fetch_fairly(
    wanted: Mapping[str, int], pick: Pick[Row], gateway_of: Callable[[Row], str]
) -> list[Row]:
    """As many rows as are wanted of each gateway, if there are so many; in three looks at most."""
    firsts = {gateway: number - _share_of_others(number) for gateway, number in wanted.items()}
    people = await _some(firsts, pick, is_bulk=False)
    found = Counter(gateway_of(row) for row in people)
    others = await _some(_less(wanted, found), pick, is_bulk=True)
    more = {gateway: number for gateway, number in wanted.items() if found[gateway] >= firsts[gateway]}
    found.update(gateway_of(row) for row in others)
    return [*people, *others, *await _some(_less(more, found), pick, is_bulk=False)]


def _share_of_others(number: int) -> int:
    """Of few it is now and then one, drawn by lot: that is the same share in the long run."""
    whole, rest = divmod(number, OTHERS_SHARE)
    return whole + (random.random() < rest / OTHERS_SHARE)


def _less(wanted: Mapping[str, int], found: Counter[str]) -> dict[str, int]:
    return {gateway: number - found[gateway] for gateway, number in wanted.items()}


async def _some(wanted: Mapping[str, int], pick: Pick[Row], *, is_bulk: bool) -> list[Row]:
    asked = {gateway: number for gateway, number in wanted.items() if number > 0}
    return await pick(asked, is_bulk) if asked else []
