"""Tells asyncpg cheaply that the elements of an array are values and not arrays themselves.

asyncpg asks two abstract base classes about every element of every array that it sends, to find arrays in
arrays. With statements that take their rows as columns that was the largest single cost of a batch: 120
questions a renewal in payment. The answer by concrete types is the same for everything that is sent here.
"""

from collections import deque

from asyncpg.protocol import protocol

_CONTAINERS: tuple[type, ...] = (list, tuple, set, frozenset, deque, type({}.keys()), type({}.values()))


def ask_concrete_types() -> None:
    """From now on every connection of this process sends only these containers as arrays.

    Anything else is refused by asyncpg with a TypeError, as a value that is no container always was. In a
    version of asyncpg that looks elsewhere this changes nothing.
    """
    vars(protocol)["IterableABC"] = _CONTAINERS
