"""Who is fetched from a gateway's queue: people first, but others are never left out altogether."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Final, TypeVar

Row = TypeVar("Row", bound=Hashable)
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
    found_too = Counter(gateway_of(row) for row in others)
    missing = _less(wanted, found + found_too)
    more = {
        gateway: number - found_too[gateway]
        for gateway, number in wanted.items()
        if missing[gateway] > 0 and found[gateway] >= firsts[gateway]
    }
    known = set(people)
    rest: list[Row] = []
    # The first ones are locked by ourselves, and `skip locked` skips what others lock: they come once more.
    for row in await _some(more, pick, is_bulk=False):
        if row not in known and missing[gateway_of(row)] > 0:
            missing[gateway_of(row)] -= 1
            rest.append(row)
    return [*people, *others, *rest]


def _share_of_others(number: int) -> int:
    """Of few it is now and then one, drawn by lot: that is the same share in the long run."""
    whole, rest = divmod(number, OTHERS_SHARE)
    return whole + (random.random() < rest / OTHERS_SHARE)


def _less(wanted: Mapping[str, int], found: Counter[str]) -> dict[str, int]:
    return {gateway: number - found[gateway] for gateway, number in wanted.items()}


async def _some(wanted: Mapping[str, int], pick: Pick[Row], *, is_bulk: bool) -> list[Row]:
    asked = {gateway: number for gateway, number in wanted.items() if number > 0}
    return await pick(asked, is_bulk) if asked else []
