"""Drawing of values: few different ones, so that they collide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final, TypeVar
from uuid import UUID

Value = TypeVar("Value")

BEGINNING: Final = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
RENEWALS: Final = tuple(UUID(int=number << 64 | number) for number in (1, 2, 3, 4, 0xF5, 0xF6))
"""Some sort differently as signed numbers."""
SUBSCRIPTIONS: Final = ("s-1", "s-2", "s-3")
TRACES: Final = (None, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


class Lot:
    """What one step draws, all from its number."""

    def __init__(self, number: int) -> None:
        self._random = Random(number)

    def chance(self, of_one: float) -> bool:
        return self._random.random() < of_one

    def one(self, values: Sequence[Value]) -> Value:
        return self._random.choice(values)

    def some(self, values: Sequence[Value], at_most: int = 3, at_least: int = 1) -> list[Value]:
        """Different ones, in any order."""
        most = min(at_most, len(values))
        return self._random.sample(values, self._random.randint(min(at_least, most), most))

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def perhaps(self, value: Value, of_one: float = 0.5) -> Value | None:
        return value if self.chance(of_one) else None

    def near(self, now: datetime) -> datetime:
        """An instant shortly before, at or after now, or far from it."""
        return now + timedelta(seconds=self.one((-3600, -60, -1, -1, 0, 1, 5, 60, 3600)))
