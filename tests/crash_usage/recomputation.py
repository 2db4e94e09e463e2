"""What every bucket must hold, from the raw file alone. Plain Python: it shares no code with what it checks.

Nothing here depends on time. Bytes fill buckets in their order, and what was used while nothing was left is
taken from the next one; a bucket is bought whenever what is left is no more than the threshold.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Expected:
    """One subscription at the end: what is left in each bucket in their order, and what is still owed."""

    used_bytes: int
    granted_bytes: tuple[int, ...]
    remaining_bytes: tuple[int, ...]

    @property
    def bought(self) -> int:
        """Buckets after the first: as many automatic renewals."""
        return len(self.remaining_bytes) - 1


def used_bytes(path: Path) -> tuple[dict[str, int], int]:
    """Bytes by ICCID, each record once, and how many records there are."""
    seen: set[tuple[str, str]] = set()
    used: dict[str, int] = defaultdict(int)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = row["source"], row["record_id"]
            if name not in seen:
                seen.add(name)
                used[row["iccid"]] += int(row["bytes_up"]) + int(row["bytes_down"])
    return dict(used), len(seen)


def expected(used: int, first_bytes: int, bought_bytes: int, threshold_percent: int) -> Expected:
    """The buckets of somebody who used so much, of a first bucket and as many others as are needed."""
    granted = [first_bytes]
    while sum(granted) - used <= granted[-1] * threshold_percent // 100:
        granted.append(bought_bytes)
    left = []
    rest = used
    for size in granted:
        taken = min(size, rest)
        rest -= taken
        left.append(size - taken)
    return Expected(used, tuple(granted), tuple(left))
