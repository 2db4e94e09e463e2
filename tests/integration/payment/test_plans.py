"""A statement costs in proportion to its rows: the generic plan too looks up by index what it joins."""

import pytest

from services.payment import archive, store
from shared.database.queries import load_queries
from tests.integration.plans import generic_plan, joins_with_a_list

STATEMENTS = {**load_queries(store.__file__), **archive.SQL}
REPORTS = {"read_proof"}
"""Read when somebody looks at the books: sums over whole tables, a row per currency to join."""
DOCUMENTS = {"read_archived", "find_payment", "find_attempts", "list_payments", "bring_payments_back"}
"""Each archived row is joined with what its own document holds: one row, or its few calls."""


@pytest.mark.parametrize("name", sorted(STATEMENTS.keys() - REPORTS - DOCUMENTS))
async def test_no_statement_joins_a_list_with_a_list(database_url: str, name: str) -> None:
    assert joins_with_a_list(await generic_plan(database_url, STATEMENTS[name])) == []
