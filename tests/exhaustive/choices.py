"""Every way in which one step can go.

A step is ordinary code that asks at each crossing; it is run again until every answer was given once.
What deviates from the usual way is of a kind that has a price: the search is bounded by what a path costs.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

After = TypeVar("After")
Prices = Mapping[str, int]
"""What a deviation costs, by its kind; a kind without a price does not happen."""
Option = str | tuple[str, str]
"""The name of what is usual, free of charge; or a name and the kind of deviation that it is."""


class Choices:
    """One run of a step: answers in the order in which they are asked for, the first option beyond them."""

    def __init__(self, prices: Prices, answers: list[int]) -> None:
        self._prices = prices
        self._answers = answers
        self.taken: list[tuple[int, int]] = []
        self.names: list[str] = []
        self.cost = 0

    def among(self, usual: str, *others: Option) -> str:
        """The option that this run takes."""
        options: list[tuple[str, int]] = [(usual, 0)]
        for other in others:
            name, kind = (other, "") if isinstance(other, str) else other
            if not kind or kind in self._prices:
                options.append((name, self._prices.get(kind, 0)))
        place = len(self.taken)
        chosen = self._answers[place] if place < len(self._answers) else 0
        self.taken.append((chosen, len(options)))
        name, price = options[chosen]
        self.cost += price
        if len(options) > 1:
            self.names.append(name)
        return name

    def suffers(self, kind: str) -> bool:
        """Whether this run goes on though it deviates so: there is no usual way from here."""
        self.cost += self._prices.get(kind, 0)
        return kind in self._prices


class Way(NamedTuple):
    """How a step went: the names of what was chosen, and what that costs."""

    names: tuple[str, ...]
    cost: int


def every_way(step: Callable[[Choices], After | None], prices: Prices) -> Iterator[tuple[Way, After]]:
    """All that a step can lead to; a run that returns None led nowhere."""
    answers: list[int] | None = []
    while answers is not None:
        choices = Choices(prices, answers)
        after = step(choices)
        if after is not None:
            yield Way(tuple(choices.names), choices.cost), after
        answers = _following(choices.taken)


def _following(taken: list[tuple[int, int]]) -> list[int] | None:
    """The next answers in order, None after the last."""
    for place in range(len(taken) - 1, -1, -1):
        chosen, options = taken[place]
        if chosen + 1 < options:
            return [answer for answer, _ in taken[:place]] + [chosen + 1]
    return None
