"""Every store in memory does what its PostgreSQL one does, in all that is generated."""

from __future__ import annotations

import pytest

from tests.conformance.examine import examine
from tests.conformance.stage import Suite
from tests.conformance.suites import SUITES

ELSEWHERE = frozenset({"outbox", "set_aside"})
"""Every schema has them; they are compared once, by the messaging suite."""


@pytest.mark.parametrize("name", SUITES)
def test_both_sides_answer_wait_and_end_alike(name: str, clocked: dict[str, str]) -> None:
    suite = SUITES[name]()
    record = examine(suite, clocked[name])
    assert record.waits > 0, "nobody ever waited for anybody"
    never = {each.__qualname__ for each in suite.functions if not record.called[each]}
    assert not never, "the generator reaches all of the store"
    assert not _unread(suite, record.tables, record.columns)


def _unread(
    suite: Suite, tables: dict[str, frozenset[str]], read: dict[str, set[str]]
) -> dict[str, frozenset[str]]:
    """Columns that neither were compared nor are known to be missing in memory."""
    compared = {mirror.table for mirror in suite.mirrors}
    unread = {}
    for table, columns in tables.items():
        left_out = suite.not_kept.get(table, frozenset())
        if "*" in left_out or (table in ELSEWHERE and table not in compared):
            continue
        # Documents are read as the rows that they hold.
        missing = columns - read.get(table, set()) - left_out - _DOCUMENTS.get(table, set())
        if missing:
            unread[table] = missing
    return unread


_DOCUMENTS = {
    "archived_payments": {"renewal_id", "payment", "attempts"},
    "archived_top_ups": {"renewal_id", "top_up", "attempts"},
    "archived_renewals": {"renewal_id", "renewal", "history"},
    "archive_register": {"renewal_id"},
}
