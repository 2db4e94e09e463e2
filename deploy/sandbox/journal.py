"""The memory on disk: one append-only file per server, a JSON array per line, written once per loop tick.

The first line names the columns. A request's row carries what is needed to do it again, an effect's row
what was done. The file is the only complete copy: memory holds a sparse index of offsets.
Written, not synced: it outlives the process, not the machine.
"""

from __future__ import annotations

import fcntl
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from .exchange import NO_ANSWER, Document, Effect, Request, instant_text
from .state import Outcome

COLUMNS: Final = (
    "sequence",
    "at",
    "kind",
    "operation",
    "path",
    "key",
    "reference",
    "subject",
    "amount",
    "unit",
    "status",
    "effect",
    "id",
    "behaviour",
    "replayed",
    "method",
    "document",
)
PUBLIC_NAMES: Final = {
    "psp": {"reference": "renewal_id", "subject": "token", "amount": "amount_minor", "unit": "currency"},
    "carrier": {"subject": "iccid", "amount": "data_bytes", "unit": "product_code"},
}
FORMAT: Final = 1
INDEX_STEP: Final = 256
SCAN_LIMIT: Final = 100_000
PAGE_LIMIT: Final = 10_000
_EFFECT_MARK: Final = b',"effect",'

Row = tuple[Any, ...]


class JournalUnusable(Exception):
    """The file cannot be trusted, or another process has it. Its text says what to do."""


class Page(NamedTuple):
    """Rows after a sequence. `next_after` goes on from here; `more` says whether there is anything."""

    rows: list[Document]
    next_after: int
    more: bool


class Journal:
    """Rows of one server, numbered from 1 without gaps."""

    def __init__(self, path: Path, server: str, salt: str) -> None:
        self.path = path
        self.server = server
        self.sequence = 0
        self.last_at = 0
        self._pending: list[Row] = []
        self._index = array("Q")  # offset of rows 1, 1 + INDEX_STEP, ...
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise JournalUnusable(f"{path} is in use by another sandbox: stop it first.") from None
        self.salt = self._open_header(salt)

    def _open_header(self, salt: str) -> str:
        with self.path.open("rb") as file:
            line = file.readline()
        if not line.endswith(b"\n"):
            # New, or killed while its very first line was written: nothing was acknowledged yet.
            os.ftruncate(self._file, 0)
            line = orjson.dumps(
                {"sandbox": self.server, "format": FORMAT, "salt": salt, "columns": COLUMNS},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            _write_all(self._file, line)
        try:
            header = orjson.loads(line)
            fits = header["sandbox"] == self.server and header["format"] == FORMAT
        except (orjson.JSONDecodeError, TypeError, KeyError):
            fits = False
        if not fits:
            os.close(self._file)
            raise JournalUnusable(f"{self.path} is not a journal of this {self.server}: move it away.")
        self._offset = len(line)
        return str(header["salt"])

    def load(self) -> Iterator[Row]:
        """Every row on disk, once, before anything is appended. A torn last line is cut off."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                row = _row(line)
                if row is None or row[0] != self.sequence + 1:
                    if file.read(1):
                        raise JournalUnusable(
                            f"{self.path} is damaged after row {self.sequence}: move it away to start afresh."
                        )
                    break
                self._place(len(line))
                self.last_at = row[1]
                yield row
        os.ftruncate(self._file, self._offset)

    def _place(self, size: int) -> None:
        if self.sequence % INDEX_STEP == 0:
            self._index.append(self._offset)
        self.sequence += 1
        self._offset += size

    def note_request(self, request: Request, outcome: Outcome, now: int) -> None:
        """Remember a request; its number is given when it is written. Cheap: this is on every call's way."""
        call, reply = outcome.call, outcome.reply
        self._pending.append(
            (
                now,
                "request",
                call.operation,
                request.target,
                request.key,
                call.reference,
                call.subject,
                call.amount,
                call.unit,
                None if reply.hold_us == NO_ANSWER else reply.status,
                None,
                call.id or None,
                call.shown.behaviour.name,
                reply.replayed,
                request.method,
                outcome.document,
            )
        )

    def note_effect(self, effect: Effect) -> None:
        at, operation, key, reference, subject, amount, unit, status, what, id_ = effect
        self._pending.append(
            (at, "effect", operation, None, key, reference, subject, amount, unit, status, what, id_)
        )

    def flush(self) -> None:
        """Write what is pending. After an OSError nothing that was pending may be answered."""
        if not self._pending:
            return
        lines = []
        sequence, offset = self.sequence, self._offset
        for row in self._pending:
            if sequence % INDEX_STEP == 0:
                self._index.append(offset)
            sequence += 1
            line = orjson.dumps((sequence, *row), option=orjson.OPT_APPEND_NEWLINE)
            offset += len(line)
            lines.append(line)
        self.sequence, self._offset = sequence, offset
        self._pending.clear()
        _write_all(self._file, b"".join(lines))

    def page(self, after: int, limit: int, kind: str | None) -> Page:
        """Up to `limit` rows after a sequence, from the file; at most SCAN_LIMIT lines are looked at."""
        self.flush()
        rows: list[Document] = []
        position = after
        if after >= self.sequence:
            return Page(rows, after, more=False)
        with self.path.open("rb") as file:
            slot = after // INDEX_STEP
            file.seek(self._index[slot])
            for _ in range(after - slot * INDEX_STEP):
                file.readline()
            for _ in range(SCAN_LIMIT):
                line = file.readline()
                if not line or len(rows) == limit:
                    break
                position += 1
                # A cheap look first: a request's row could hold the mark in a text, an effect's always does.
                if kind == "effect" and _EFFECT_MARK not in line:
                    continue
                row = orjson.loads(line)
                if kind is None or row[2] == kind:
                    rows.append(self._public(row))
        return Page(rows, position, more=position < self.sequence)

    def _public(self, row: Row) -> Document:
        names = PUBLIC_NAMES[self.server]
        document = {names.get(name, name): value for name, value in zip(COLUMNS[:-1], row, strict=False)}
        document["at"] = instant_text(document["at"])
        return document

    def close(self) -> None:
        self.flush()
        os.close(self._file)


def _row(line: bytes) -> Row | None:
    if not line.endswith(b"\n"):
        return None
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return tuple(row) if type(row) is list and len(row) in (len(COLUMNS), 13) else None


def _write_all(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
