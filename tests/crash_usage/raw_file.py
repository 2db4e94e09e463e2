"""The raw file: usage records of many people as a network delivers them, some twice, some late."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final, NamedTuple

COLUMNS: Final = (
    "source",
    "record_id",
    "iccid",
    "session_id",
    "imei",
    "bytes_up",
    "bytes_down",
    "country",
    "started_at",
    "ended_at",
)
REPEATED: Final = 0.05
OUT_OF_ORDER: Final = 0.05
ZERO: Final = 0.01
HEAVY: Final = 0.1
"""That share of the people, who make HEAVY_RECORDS of the records."""
HEAVY_RECORDS: Final = 0.55
MEAN_BYTES: Final = 1_000_000
SPAN: Final = timedelta(hours=20)
"""All records ended within so long before now: on two days, mostly."""
FARTHEST_PLACES: Final = 5_000
"""A record out of order, or repeated, is at most so many lines away from where it belongs."""
OFFSETS: Final = (UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=9, minutes=30)))


class Person(NamedTuple):
    """Whose usage it is."""

    iccid: str
    imei: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was written, as it was meant: the recomputation counts for itself."""

    lines: int
    repeated: int
    out_of_order: int


def draw(path: Path, people: Sequence[Person], records: int, seed: int, now: datetime) -> Drawn:
    """Write `records` lines of these people's usage; the repeats are among them."""
    lots = random.Random(seed)
    repeats = round(records * REPEATED)
    order: list[tuple[float, list[str]]] = []
    moved = 0
    for number, row in enumerate(_rows(people, records - repeats, lots, now)):
        is_late = lots.random() < OUT_OF_ORDER
        moved += is_late
        order.append((number + (lots.uniform(-1, 1) * _reach(records) if is_late else 0.0), row))
    for number in lots.sample(range(len(order)), repeats):
        order.append((number + lots.uniform(0, 1) * _reach(records), order[number][1]))
    order.sort(key=lambda one: one[0])
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        lines.writerows(row for _, row in order)
    return Drawn(len(order), repeats, moved)


def _reach(records: int) -> int:
    return min(FARTHEST_PLACES, records // 4)


def _rows(people: Sequence[Person], records: int, lots: random.Random, now: datetime) -> Iterator[list[str]]:
    heavy = people[: max(1, round(len(people) * HEAVY))]
    step = SPAN / records
    for number in range(records):
        person = lots.choice(heavy if lots.random() < HEAVY_RECORDS else people)
        size = 0 if lots.random() < ZERO else lots.randrange(2 * MEAN_BYTES)
        up = lots.randrange(size + 1)
        ended_at = (now - SPAN + number * step).replace(microsecond=0)
        started_at = ended_at - timedelta(seconds=lots.randrange(900))
        offset = lots.choice(OFFSETS)
        yield [
            f"network-{number % 3}",
            f"r-{number}",
            person.iccid,
            f"s-{number // 50}" if number % 2 else "",
            person.imei if number % 4 else "",
            str(up),
            str(size - up),
            "CU" if number % 5 else "",
            started_at.astimezone(offset).isoformat(),
            ended_at.astimezone(UTC if number % 7 else offset).isoformat(),
        ]
