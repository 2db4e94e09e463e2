"""A day of usage records of the story's people, as CSV (docs/usage-csv.md). Pure but for the writing."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final, TextIO

from deploy.local.demo.plans import CARRIER, DESTINATION
from deploy.local.demo.story import Subscriber

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
HOURS: Final = (0, 0, 0, 0, 0, 0, 1, 3, 5, 6, 5, 4, 5, 6, 4, 4, 5, 6, 8, 9, 9, 8, 5, 2)
"""How much of the day's use falls into which hour: the night is quiet, the evening is not."""
HEAVY_HOURS: Final = (0, 0, 0, 0, 0, 0, 6, 9, 9, 6, 1, 0, 0, 0, 0, 0, 0, 1, 6, 9, 9, 6, 1, 0)
"""A heavy user's day has two ends: the data of the morning's renewal runs out in the evening."""
UPLOAD_SHARE: Final = 0.1
DELIVERED_TWICE_EVERY: Final = 500
"""Every so many lines one is delivered again, as networks do: it must count once."""

Row = tuple[str | int, ...]


def day_rows(people: Sequence[Subscriber], day: datetime, seed: int = 1) -> list[Row]:
    """The records of everyone, in the order in which they end. `day` is its first instant."""
    random = Random(seed)
    sessions = [session for person in people for session in _sessions(person, day, random)]
    sessions.sort(key=lambda session: (session[-1], session[2]))
    rows = [(CARRIER, f"r-{number:06d}", *session[2:]) for number, session in enumerate(sessions, start=1)]
    again = rows[::DELIVERED_TWICE_EVERY]
    return [*rows, *again]


def _sessions(person: Subscriber, day: datetime, random: Random) -> Iterator[Row]:
    hours = HEAVY_HOURS if person.scene.data_used > 1 else HOURS
    left, weight = person.used_bytes, sum(hours)
    for hour, share in enumerate(hours):
        if not share:
            continue
        size = person.used_bytes * share // weight
        left -= size
        if hour == max(at for at, each in enumerate(hours) if each):
            size += left  # what the divisions left over
        started_at = day + timedelta(hours=hour, seconds=random.randrange(1800))
        ended_at = started_at + timedelta(seconds=random.randrange(60, 1800))
        up = int(size * UPLOAD_SHARE)
        yield (
            "",
            "",
            person.iccid,
            f"s-{person.subscription_id}-{hour:02d}",
            person.imei,
            up,
            size - up,
            DESTINATION,
            _instant(started_at),
            _instant(ended_at),
        )


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def write_day(rows: Sequence[Row], path: Path) -> None:
    """The records as a carrier would deliver them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        _write(rows, file)


def _write(rows: Sequence[Row], file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
