"""A statement costs in proportion to its rows: the generic plan too looks up by index what it joins."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from services.provisioning.topups import store
from shared.database import open_pool
from shared.database.queries import load_queries

_STATEMENTS = load_queries(store.__file__)
_LISTS = {"CTE Scan", "Function Scan"}
"""What has no index: as the inner side of a join it is as dear as the guess at its length is wrong."""


@pytest.mark.parametrize("name", _STATEMENTS)
async def test_every_generic_plan_joins_by_index(database_url: str, name: str) -> None:
    pool = await open_pool(database_url, application_name="test plans", connections=1)
    try:
        async with pool.acquire() as connection:
            # What every connection comes to after five executions, when it seems no dearer.
            await connection.execute("set plan_cache_mode = force_generic_plan")
            await connection.execute(f"prepare looked_at as {_STATEMENTS[name]}")
            count = await connection.fetchval(
                "select cardinality(parameter_types) from pg_prepared_statements where name = 'looked_at'"
            )
            given = ", ".join(["null"] * count)
            told = await connection.fetchval(f"explain (format json) execute looked_at ({given})")
    finally:
        await pool.close()
    plan = orjson.loads(told)[0]["Plan"]
    assert [inner for inner in inner_sides(plan) if sources(inner) <= _LISTS] == []


def inner_sides(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The inner side of every join at and below that node of a plan."""
    for below in node.get("Plans", ()):
        if "Join Type" in node and below["Parent Relationship"] == "Inner":
            yield below
        yield from inner_sides(below)


def sources(node: dict[str, Any]) -> set[str]:
    """How the rows of a node are read in the end."""
    inputs = [below for below in node.get("Plans", ()) if below["Parent Relationship"] in {"Outer", "Inner"}]
    return set().union(*map(sources, inputs)) if inputs else {node["Node Type"]}
