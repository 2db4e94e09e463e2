"""From lines to chunks: what of a thousand lines can be sent, and what is wrong with the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson
from pydantic import TypeAdapter, ValidationError

from shared.imports.columns import named
from shared.imports.kinds import Kind
from shared.imports.rows import BadHeader, BadLine, ForbiddenText, fields_of, item_of, names_of, shown
from shared.imports.seen_keys import SeenKeys

CHUNK_LINES: Final = 1_000
"""As many as a bulk route takes at once."""


class Row(NamedTuple):
    """A line that can be sent, as it was and as its item."""

    line: int
    text: bytes
    item: dict[str, object]


class Refusal(NamedTuple):
    """What is wrong with a line, in one column (empty: all of it); `given` is what may be shown."""

    line: int
    column: str
    why: str
    given: str


@dataclass(slots=True)
class Chunk:
    """Consecutive lines up to `last_line`. `digest` is of the whole file up to there."""

    last_line: int
    rows: list[Row] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    forbidden: int = 0
    """Lines refused because something in them may be nowhere."""
    digest: str = ""


class Reader:
    """Reads a file of one kind, given as its lines; the header at once, which may raise BadHeader."""

    def __init__(self, kind: Kind, lines: Iterator[bytes | None]) -> None:
        self.kind = kind
        self._lines = lines
        self._items: TypeAdapter[list[Any]] = TypeAdapter(list[kind.item])  # type: ignore[name-defined]
        self._seen = [SeenKeys() for _ in kind.unique]
        self._digest = blake2b(digest_size=16)
        header = next(lines, b"")
        self.names = names_of(header, kind)
        self._digest.update(header or b"")

    def chunks(self) -> Iterator[Chunk]:
        """Every line after the header, in chunks of as many lines; empty lines are passed over.

        Raises:
            BadHeader: there is no other line.
            Unreadable: the file cannot be read further.
        """
        number = 1
        is_empty = True
        while lines := list(islice(self._lines, CHUNK_LINES)):
            chunk = self._chunk(number + 1, lines)
            number = chunk.last_line
            is_empty = is_empty and not chunk.rows and not chunk.refusals
            yield chunk
        if is_empty:
            raise BadHeader("The file has no line but its header.")

    def shown(self, row: Row) -> str:
        """The row's line as it may be shown."""
        return shown(row.text, self.names, self.kind)

    def _chunk(self, first_line: int, lines: Sequence[bytes | None]) -> Chunk:
        chunk = Chunk(first_line + len(lines) - 1)
        for number, line in enumerate(lines, start=first_line):
            if line is not None and not line.strip():
                continue
            try:
                row = Row(number, line or b"", item_of(fields_of(line), self.names, self.kind))
            except BadLine as error:
                chunk.forbidden += isinstance(error, ForbiddenText)
                given = shown(line, self.names, self.kind)
                chunk.refusals.append(Refusal(number, error.column, error.why, given))
            else:
                chunk.rows.append(row)
        self._judge(chunk)
        self._leave_out_repeated(chunk)
        chunk.refusals.sort()
        self._digest.update(b"\n".join(line or b"" for line in lines) + b"\n")
        chunk.digest = self._digest.hexdigest()
        return chunk

    def _judge(self, chunk: Chunk) -> None:
        """By the very rules of the service, all at once: a bad item does not stop the others."""
        try:
            self._items.validate_json(orjson.dumps([row.item for row in chunk.rows]))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
        else:
            return
        bad = set()
        for fault in faults:
            index, *path = fault["loc"]
            row = chunk.rows[int(index)]
            column = named(path, self.kind.columns)
            why = f"{fault['msg'].removeprefix('Value error, ')}."
            chunk.refusals.append(Refusal(row.line, column, why, self.shown(row)))
            bad.add(row.line)
        chunk.rows = [row for row in chunk.rows if row.line not in bad]

    def _leave_out_repeated(self, chunk: Chunk) -> None:
        """Only the first line of each key is sent: chunks are under way together, and chance would say which
        of several wins."""
        for columns, seen in zip(self.kind.unique, self._seen, strict=True):
            kept = []
            for row in chunk.rows:
                key = tuple(row.item.get(column) for column in columns)
                earlier = seen.earlier(key, row.line)
                if earlier is None:
                    kept.append(row)
                else:
                    why = f"Line {earlier} has the same {' and '.join(columns)}: only that one is taken."
                    chunk.refusals.append(Refusal(row.line, columns[0], why, self.shown(row)))
            chunk.rows = kept
