"""How a chunk's rows are said to a service, in one JSON body or line by line, and what it answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from shared.calls.http_client import HttpAnswer
from shared.imports.columns import named
from shared.imports.kinds import Kind, LineResults
from shared.imports.reading import Row


class Refused(NamedTuple):
    """A row that the service refused: (column or empty, a sentence) for each fault."""

    row: Row
    faults: list[tuple[str, str]]
    is_early: bool
    """Whether it may be taken a moment later: the service has not heard yet of what it names."""


class Taken(NamedTuple):
    """What an answer says: rows were refused, the others taken; `noted` counts the unusual among them."""

    refused: list[Refused]
    noted: Counter[str]


class Unexpected(Exception):
    """The answer is none that such a route gives."""


class Dialect(Protocol):
    """What one sort of route takes and answers."""

    media_type: str

    def body(self, rows: Sequence[Row]) -> bytes:
        """The request's body."""

    def told(self, answer: HttpAnswer, rows: Sequence[Row]) -> Taken:
        """What the answer to that body says.

        Raises:
            Unexpected: it is something else.
        """


class Bulk:
    """A bulk route: it names what it refused."""

    media_type: str = "application/json"

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def body(self, rows: Sequence[Row]) -> bytes:
        return orjson.dumps({"items": [row.item for row in rows]})

    def told(self, answer: HttpAnswer, rows: Sequence[Row]) -> Taken:
        try:
            refused = orjson.loads(answer.body)["refused"]
            return Taken([self._refused(rows[each["index"]], each["problem"]) for each in refused], Counter())
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
            raise Unexpected("The answer is not one of a bulk route: is this the right service?") from None

    def _refused(self, row: Row, problem: Mapping[str, Any]) -> Refused:
        faults = []
        for fault in problem.get("errors", ()):
            place = str(fault.get("pointer", "")).strip("/").split("/")
            faults.append((named(place, self._kind.columns), f"{fault['message'].removesuffix('.')}."))
        is_early = str(problem.get("type")).rpartition(":")[2] in self._kind.not_yet
        return Refused(row, faults or [("", str(problem.get("detail", "No reason was given.")))], is_early)


class Lines:
    """A route of NDJSON: it says of every line what became of it."""

    media_type: str = "application/x-ndjson"

    def __init__(self, kind: Kind, results: LineResults) -> None:
        self._kind = kind
        self._results = results

    def body(self, rows: Sequence[Row]) -> bytes:
        return b"".join(orjson.dumps(row.item) + b"\n" for row in rows)

    def told(self, answer: HttpAnswer, rows: Sequence[Row]) -> Taken:
        try:
            answers = [orjson.loads(line) for line in answer.body.splitlines()]
            told = Taken([], Counter())
            for row, each in zip(rows, answers, strict=True):
                self._tell(told, row, each["result"], each)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            raise Unexpected("The answer does not tell of each line: is this the right service?") from None
        return told

    def _tell(self, told: Taken, row: Row, result: str, answer: Mapping[str, Any]) -> None:
        if result not in self._results.taken:
            column = answer.get("field") or ""
            why = str(answer.get("detail", "No reason was given."))
            fault = (column if column in self._kind.columns else "", why)
            told.refused.append(Refused(row, [fault], result in self._kind.not_yet))
        elif result != self._results.usual:
            told.noted[result] += 1


def dialect_of(kind: Kind) -> Dialect:
    """How the route of that kind is spoken to."""
    return Bulk(kind) if kind.lines is None else Lines(kind, kind.lines)
