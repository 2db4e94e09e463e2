"""The search: every world that can be reached, those with fewer deviations first, each judged once.

Worlds are found level by level: all that can happen with no deviation, then with one, and so on. So each
world is expanded once, with the most that can still go wrong, and a path to a broken promise is one with
the fewest deviations and, among those, the fewest steps.

That every world can still end is proved backwards: of the steps that cost nothing (nobody helps, nothing
more goes wrong) the graph is kept, and every world must lead to one that has ended.
"""

import gc
import time
from array import array
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from tests.exhaustive.case import Case, connected
from tests.exhaustive.world import Worlds

_FIRST: Final = 0
_BETWEEN_LOOKS: Final = 1024
STUCK: Final = "nothing that happens by itself leads to an end from here"


@dataclass
class Found:
    """What a search found out about one case."""

    case: Case
    states: int = 0
    transitions: int = 0
    ended: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    by_deviations: list[int] = field(default_factory=list)
    """How many worlds need that many deviations, of the numbers that were searched to the end."""
    broken: str | None = None
    path: list[str] = field(default_factory=list)
    """The steps that lead to the broken promise; `!` marks deviations."""
    kinds: set[str] = field(default_factory=set)
    """Letters, timers and actions that occurred."""
    cells: set[tuple[str, str]] = field(default_factory=set)
    """The cells of the saga's matrix that were entered: (message, state)."""
    states_of: dict[str, set[str]] = field(default_factory=dict)
    """The states in which each authority was."""

    @property
    def is_complete(self) -> bool:
        return len(self.by_deviations) > self.case.deviations


class Search:
    """Explores one case, within bounds on the number of states and until an instant (time.monotonic)."""

    def __init__(self, case: Case, *, states: float = float("inf"), until: float = float("inf")) -> None:
        self._worlds = Worlds(case)
        self._found = Found(case)
        self._most_states = states
        self._until = until
        # Worlds by place, in the order in which they were met; and the place of each.
        self._order: list[int] = []
        self._place: dict[int, int] = {}
        self._came_from = array("I")
        self._ended = bytearray()
        # The graph of free steps, by place.
        self._free_from = array("I")
        self._free_to = array("I")
        # Worlds still to be met, and the place each comes from, by the deviations that they need.
        self._levels: list[dict[int, int]] = [{} for _ in range(case.deviations + 1)]

    def run(self) -> Found:
        began, cpu = time.monotonic(), time.process_time()
        found = self._found
        gc.disable()  # nothing here is a cycle, and looking for them takes half the time
        try:
            with connected(found.case):
                self._explore()
                if found.broken is None:
                    self._prove_that_all_end()
        finally:
            gc.enable()
        found.states, found.ended = len(self._order), sum(self._ended)
        self._tell_what_occurred()
        found.seconds, found.cpu_seconds = time.monotonic() - began, time.process_time() - cpu
        return found

    def _explore(self) -> None:
        self._levels[0][self._worlds.first()] = _FIRST
        place = 0
        for deviations, level in enumerate(self._levels):
            before = place
            for world, came_from in level.items():
                self._meet(world, came_from)
            level.clear()
            while place < len(self._order):
                if self._found.broken is not None or (place % _BETWEEN_LOOKS == 0 and self._is_enough()):
                    return
                self._expand(place, deviations)
                place += 1
            self._found.by_deviations.append(place - before)

    def _is_enough(self) -> bool:
        return len(self._order) >= self._most_states or time.monotonic() > self._until

    def _expand(self, place: int, deviations: int) -> None:
        left = len(self._levels) - 1 - deviations
        for _, cost, after in self._worlds.steps(self._order[place]):
            self._found.transitions += 1
            if cost == 0:
                self._free_from.append(place)
                self._free_to.append(self._meet(after, place))
            elif cost <= left and after not in self._place:
                self._levels[deviations + cost].setdefault(after, place)

    def _meet(self, world: int, came_from: int) -> int:
        known = self._place.get(world)
        if known is not None:
            return known
        place = self._place[world] = len(self._order)
        self._order.append(world)
        self._came_from.append(came_from)
        ended, broken = self._worlds.verdict(world)
        self._ended.append(ended)
        if broken is not None and self._found.broken is None:
            self._tell(place, broken)
        return place

    def _prove_that_all_end(self) -> None:
        """Backwards from what has ended, over free steps. Worlds that were not expanded are not judged."""
        expanded = sum(self._found.by_deviations)
        can_end = self._ended[:expanded] + bytearray(b"\1") * (len(self._ended) - expanded)
        came_from, led_to = self._free_from, self._free_to
        changed = True
        while changed:
            changed = False
            # Later worlds first: they are nearer to their ends, so a few rounds are enough.
            for edge in range(len(came_from) - 1, -1, -1):
                if not can_end[came_from[edge]] and can_end[led_to[edge]]:
                    can_end[came_from[edge]] = changed = True
        stuck = can_end.find(0)
        if stuck >= 0:
            self._tell(stuck, STUCK)

    def _tell(self, place: int, broken: str) -> None:
        """The promise that is broken, and by name the steps that lead there."""
        self._found.broken = broken
        places = [place]
        while places[-1] != _FIRST:
            places.append(self._came_from[places[-1]])
        for before, after in pairwise(reversed(places)):
            target = self._order[after]
            steps = [step for step in self._worlds.steps(self._order[before]) if step.after == target]
            cheapest = min(steps, key=lambda step: step.cost)
            self._found.path.append(f"{'!' if cheapest.cost else ' '} {cheapest.name}")

    def _tell_what_occurred(self) -> None:
        found, worlds = self._found, self._worlds
        found.kinds = {kind.__name__ for kind in worlds.post.kinds}
        found.cells = {(kind.__name__, state) for kind, state in worlds.cells}
        payments = (side.payment for side in worlds.payments.parts.parts)
        top_ups = (side.top_up for side in worlds.top_ups.parts.parts)
        found.states_of = {
            "renewal": {str(renewal.state) for renewal in worlds.renewals.parts},
            "payment": {str(payment.state) for payment in payments if payment is not None},
            "top-up": {str(top_up.state) for top_up in top_ups if top_up is not None},
        }
