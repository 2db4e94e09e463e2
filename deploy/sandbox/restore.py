"""Remembering after a restart: the journal's requests are done again, at their own instants.

A server is a pure function of its requests, so doing them again gives the same state. What that brings
about is compared with the effects in the file: a difference (an edited file, other code) is refused.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from .exchange import Effect, Request
from .gateway import Gateway
from .journal import Journal, JournalUnusable, Row

UNREADABLE: Final = b"\xff"
"""Stands for a body that was refused, and therefore not kept: it is refused again."""


def restore(gateway: Gateway, journal: Journal) -> int:
    """Bring a fresh gateway to where the journal ends; returns the number of rows read."""
    expected: deque[Effect] = deque()
    for row in journal.load():
        if row[2] == "request":
            if expected:
                raise _differs(journal, row)
            expected.extend(_repeat(gateway, journal, row))
        else:
            if not expected:
                # Due effects come before the request that woke the server up, or at the file's end.
                expected.extend(gateway.advance(row[1]))
            if not expected or not _same(expected.popleft(), row):
                raise _differs(journal, row)
    # Killed between a request's row and its effects': they are written now, as they were decided.
    for effect in expected:
        journal.note_effect(effect)
    journal.flush()
    return journal.sequence


def _repeat(gateway: Gateway, journal: Journal, row: Row) -> list[Effect]:
    _, at, _, _, target, key = row[:6]
    method, document = row[15], row[16]
    if gateway.advance(at):
        raise _differs(journal, row)  # what had fallen due stands before the request that came after it
    body = b"" if method == "GET" or document is not None else UNREADABLE
    outcome = gateway.answer(Request(method, target, key, body, document), at)
    was, now_is = row[10], outcome.reply.status
    # A refused body is not kept: refused again is all that can be asked of it.
    refused_again = document is None and was is not None and was >= 400 and now_is >= 400
    if was is not None and now_is != was and not refused_again:
        raise JournalUnusable(
            f"Row {row[0]} of {journal.path} was answered {was}, and would now be {now_is}: "
            "it was written by other code. Move the file away to start afresh."
        )
    return gateway.taken_effects()


def _same(effect: Effect, row: Row) -> bool:
    return (effect.effect, effect.id, effect.amount) == (row[11], row[12], row[8])


def _differs(journal: Journal, row: Row) -> JournalUnusable:
    return JournalUnusable(
        f"{journal.path} says other things than its requests bring about, at row {row[0]}: it was edited, or "
        "written by other code. Move it away to start afresh."
    )
