"""Which keys a file has named already, in 24 bytes a key at most: millions of lines are no burden."""

from array import array
from collections.abc import Hashable
from typing import Final

_FIRST_PLACES: Final = 1 << 12
_FULL: Final = 2 / 3
_UNSIGNED: Final = (1 << 64) - 1


class SeenKeys:
    """Hashes with open addressing. Two of a million keys are taken for one once in 37 million files."""

    def __init__(self) -> None:
        self._count = 0
        self._make(_FIRST_PLACES)

    def earlier(self, key: Hashable, line: int) -> int | None:
        """The line that had the key before; None where this one is the first, which is remembered."""
        wanted = hash(key) & _UNSIGNED or 1
        place = self._place_of(wanted)
        if self._hashes[place]:
            return self._lines[place]
        self._hashes[place], self._lines[place] = wanted, line
        self._count += 1
        if self._count > _FULL * len(self._hashes):
            self._grow()
        return None

    def _place_of(self, wanted: int) -> int:
        hashes = self._hashes
        last = len(hashes) - 1
        place = wanted & last
        while (held := hashes[place]) and held != wanted:
            place = (place + 1) & last
        return place

    def _grow(self) -> None:
        hashes, lines = self._hashes, self._lines
        self._make(2 * len(hashes))
        for held, line in zip(hashes, lines, strict=True):
            if held:
                place = self._place_of(held)
                self._hashes[place], self._lines[place] = held, line

    def _make(self, places: int) -> None:
        self._hashes = array("Q", bytes(8 * places))
        self._lines = array("I", bytes(4 * places))
