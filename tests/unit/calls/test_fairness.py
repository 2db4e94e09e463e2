"""Who is fetched from the queues of gateways, and how many."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from shared.calls.fairness import fetch_fairly

Row = tuple[str, str, int]


@dataclass
class Queues:
    """(gateway, kind, place), in the order in which they came. What was picked is found again: `skip locked`
    skips what other transactions lock."""

    people: Mapping[str, int]
    others: Mapping[str, int]
    looks: int = 0

    async def pick(self, wanted: Mapping[str, int], is_bulk: bool) -> list[Row]:
        assert all(number > 0 for number in wanted.values())
        self.looks += 1
        found: list[Row] = []
        for gateway, number in wanted.items():
            there = (self.others if is_bulk else self.people).get(gateway, 0)
            rows = [(gateway, "other" if is_bulk else "person", place) for place in range(there)]
            found += rows[:number]
        return found

    async def fetch(self, **wanted: int) -> Counter[tuple[str, str]]:
        rows = await fetch_fairly(wanted, self.pick, lambda row: row[0])
        assert len(set(rows)) == len(rows)
        return Counter((gateway, kind) for gateway, kind, _ in rows)


async def test_three_of_four_are_people_where_both_wait() -> None:
    queues = Queues({"north": 100}, {"north": 100})
    assert await queues.fetch(north=40) == {("north", "person"): 30, ("north", "other"): 10}
    assert queues.looks == 2


@pytest.mark.parametrize(("people", "others"), [(100, 0), (0, 100), (100, 3), (10, 100), (7, 5)])
async def test_nobody_is_left_out_for_those_who_are_not_there(people: int, others: int) -> None:
    found = await Queues({"north": people}, {"north": others}).fetch(north=40)
    assert sum(found.values()) == min(40, people + others)


async def test_each_gateway_gets_its_own_number() -> None:
    queues = Queues({"north": 100, "south": 1}, {"north": 100, "south": 100})
    found = await queues.fetch(north=8, south=20)
    assert found == {
        ("north", "person"): 6,
        ("north", "other"): 2,
        ("south", "person"): 1,
        ("south", "other"): 19,
    }


async def test_of_single_ones_every_fourth_is_anothers_in_the_long_run() -> None:
    kinds: Counter[str] = Counter()
    for _ in range(400):
        [(_, kind)] = await Queues({"north": 5}, {"north": 5}).fetch(north=1)
        kinds[kind] += 1
    assert 50 <= kinds["other"] <= 150
