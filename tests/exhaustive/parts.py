"""The parts of a world: interned, so that each is one small number, and moved once per distinct part.

Production's functions cost a hundred times what a look into a table does. A part meets the same event in
thousands of worlds, and what it does then depends on nothing else.
"""

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from shared.contracts.message import Message
from tests.exhaustive.choices import Choices, Prices, every_way
from tests.exhaustive.letters import Letter, delayed, letters

MOST_PARTS: Final = 1 << 21
Part = TypeVar("Part", bound=Hashable)

Told = tuple[Part, str, tuple[Message, ...]]
"""What a step leads to: the part after it, the step's name, and what is said."""


class Machine(Protocol[Part]):
    """One side of the network: what it does by itself, and what it does with a letter."""

    def steps(self, side: Part) -> Iterator[Callable[[Choices], Told[Part] | None]]: ...

    def receives(self, side: Part, message: Message, choices: Choices) -> Told[Part]: ...


class Interned(Generic[Part]):
    """Parts by number."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._numbers: dict[Part, int] = {}

    def number(self, part: Part) -> int:
        known = self._numbers.get(part)
        if known is None:
            known = self._numbers[part] = len(self.parts)
            self.parts.append(part)
            assert known < MOST_PARTS, "more parts than a world has room for"
        return known

    def __getitem__(self, number: int) -> Part:
        return self.parts[number]

    def __len__(self) -> int:
        return len(self.parts)


class Post:
    """The letters that were ever written, and the kinds of them."""

    def __init__(self) -> None:
        self.letters: Interned[Letter] = Interned()
        self.kinds: set[type] = set()

    def __getitem__(self, number: int) -> Letter:
        return self.letters[number]

    def sent(self, said: tuple[Message, ...]) -> tuple[int, ...]:
        """The letters that go out when these are said; some things are said to nobody here."""
        self.kinds.update(map(type, said))
        return tuple(map(self.letters.number, letters(said)))


class Move(NamedTuple):
    """What a part does: its number after it, and the letters that it sends."""

    name: str
    cost: int
    after: int
    sent: tuple[int, ...]
    stays: bool = False
    """Of a letter that was read: whether it will be read again."""


class Moves(Generic[Part]):
    """All that one kind of part does, each found out once."""

    def __init__(self, machine: Machine[Part], prices: Prices, post: Post) -> None:
        self.parts: Interned[Part] = Interned()
        self._machine = machine
        self._prices = prices
        self._post = post
        self._alone: dict[int, list[Move]] = {}
        self._reading: dict[tuple[int, int], list[Move]] = {}

    def alone(self, part: int) -> list[Move]:
        """What it does by itself."""
        moves = self._alone.get(part)
        if moves is None:
            side = self.parts[part]
            found = (move for step in self._machine.steps(side) for move in self._ways(step))
            changes = (move for move in found if move.after != part or move.sent)
            moves = self._alone[part] = list(_cheapest(changes))
        return moves

    def reading(self, part: int, letter: int) -> list[Move]:
        """What it does when it reads that letter: in time, too late, now and once again."""
        moves = self._reading.get((part, letter))
        if moves is None:
            moves = self._reading[part, letter] = list(self._read(part, self._post[letter]))
        return moves

    def _read(self, part: int, letter: Letter) -> Iterator[Move]:
        prices, side, name = self._prices, self.parts[part], f"{letter.to} reads {letter}"
        self._post.kinds.add(type(letter.message))
        usual = list(self._ways(partial(self._machine.receives, side, letter.message)))
        for move in usual:
            called = f"{name}{move.name}"
            yield move._replace(name=called)
            if "duplicate" in prices and (move.after != part or move.sent):
                twice = move.cost + prices["duplicate"]
                yield move._replace(name=f"{called}, and will again", cost=twice, stays=True)
        late = delayed(letter)
        if late is None or "late letter" not in prices:
            return
        for move in self._ways(partial(self._machine.receives, side, late.message)):
            if (move.after, move.sent) != (usual[0].after, usual[0].sent):
                cost = move.cost + prices["late letter"]
                yield move._replace(name=f"{name}, too late{move.name}", cost=cost)

    def _ways(self, step: Callable[[Choices], Told[Part] | None]) -> Iterator[Move]:
        for way, (after, name, said) in every_way(step, self._prices):
            called = ", ".join([name, *filter(None, way.names)])
            yield Move(called, way.cost, self.parts.number(after), self._post.sent(said))


def _cheapest(moves: Iterator[Move]) -> Iterator[Move]:
    """Of moves that lead to the same only the cheapest."""
    known: dict[tuple[int, tuple[int, ...]], Move] = {}
    for move in moves:
        other = known.get((move.after, move.sent))
        if other is None or move.cost < other.cost:
            known[move.after, move.sent] = move
    yield from known.values()
