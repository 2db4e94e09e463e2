"""A statement costs in proportion to its rows: the generic plan too looks up by index what it joins."""

import pytest

from services.provisioning.topups import archive, store
from shared.database.queries import load_queries
from tests.integration.plans import generic_plan, joins_with_a_list

STATEMENTS = {**load_queries(store.__file__), **archive.SQL}
DOCUMENTS = {"read_archived", "find_top_up", "list_top_ups", "bring_top_ups_back"}
"""Each archived row is joined with what its own document holds: one row, or its few attempts."""


@pytest.mark.parametrize("name", sorted(STATEMENTS.keys() - DOCUMENTS))
async def test_every_generic_plan_joins_by_index(database_url: str, name: str) -> None:
    assert joins_with_a_list(await generic_plan(database_url, STATEMENTS[name])) == []
