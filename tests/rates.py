"""How often something happened, at its busiest."""

from collections.abc import Iterable


def busiest_second(instants: Iterable[float]) -> int:
    """The most that happened within any second; instants are in seconds, in any order."""
    ordered = sorted(instants)
    first = most = 0
    for place, instant in enumerate(ordered):
        while ordered[first] <= instant - 1:
            first += 1
        most = max(most, place - first + 1)
    return most
