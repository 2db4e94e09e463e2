"""When the calls to a gateway with a rate limit may begin: one permit a request, each for an instant.

Permits are leased in blocks from PostgreSQL (`permit_office.py`), which gives every instant away once: so the
rate holds over all processes. docs/adr/0009 has the reckoning behind the numbers.
"""

from collections import deque
from collections.abc import Iterable
from math import ceil
from typing import Final

SHARE: Final = 0.8
"""Of the rate is leased. The rest is for permits used late, and calls that the network pushes together."""

LATE_SECONDS: Final = 0.1
"""A permit that is older is lost: this bounds the burst after a pause."""

SLOWEST_LEASE_SECONDS: Final = 0.1
"""A block that took longer to come is given up: its instants, by our clock, may be others' by now."""

BLOCK_SECONDS: Final = 0.25
"""A process leases for so long at most, so that others need not wait longer for theirs."""


class Permits:
    """The permits of one gateway that this process holds, in order. Instants are of any monotonic clock."""

    __slots__ = ("_at", "rate")

    def __init__(self, calls_per_second: float) -> None:
        self.rate = calls_per_second * SHARE
        self._at: deque[float] = deque()

    def __len__(self) -> int:
        return len(self._at)

    @property
    def block(self) -> int:
        """The most permits to lease at once."""
        return max(1, ceil(self.rate * BLOCK_SECONDS))

    def grant(self, instants: Iterable[float]) -> None:
        """Take over leased permits; they come in order."""
        self._at.extend(instants)

    def due_at(self, now: float) -> float | None:
        """When the next request may be sent; None: there is no permit for it."""
        while self._at and self._at[0] < now - LATE_SECONDS:
            self._at.popleft()
        return self._at[0] if self._at else None

    def take(self) -> None:
        """Use up the permit that is due: its request is sent now."""
        self._at.popleft()
