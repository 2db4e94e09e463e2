"""How PostgreSQL would run a statement, whatever it is given: the generic plan, read as a tree."""

from collections.abc import Iterator
from typing import Any

import orjson

from shared.database import open_pool

_LISTS = {"CTE Scan", "Function Scan"}
"""What has no index: as the inner side of a join it is as dear as the guess at its length is wrong."""


async def generic_plan(url: str, statement: str) -> dict[str, Any]:
    """What every connection comes to after five executions, when it seems no dearer."""
    pool = await open_pool(url, application_name="test plans", connections=1)
    try:
        async with pool.acquire() as connection:
            await connection.execute("set plan_cache_mode = force_generic_plan")
            await connection.execute(f"prepare looked_at as {statement}")
            count = await connection.fetchval(
                "select cardinality(parameter_types) from pg_prepared_statements where name = 'looked_at'"
            )
            given = f"({', '.join(['null'] * count)})" if count else ""
            told = await connection.fetchval(f"explain (format json) execute looked_at {given}")
    finally:
        await pool.close()
    plan: dict[str, Any] = orjson.loads(told)[0]["Plan"]
    return plan


def joins_with_a_list(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The inner sides of joins that are read from lists alone, and so by no index."""
    return [inner for inner in _inner_sides(plan) if _sources(inner) <= _LISTS]


def _inner_sides(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The inner side of every join at and below that node of a plan."""
    for below in node.get("Plans", ()):
        if "Join Type" in node and below["Parent Relationship"] == "Inner":
            yield below
        yield from _inner_sides(below)


def _sources(node: dict[str, Any]) -> set[str]:
    """How the rows of a node are read in the end."""
    inputs = [below for below in node.get("Plans", ()) if below["Parent Relationship"] in {"Outer", "Inner"}]
    return set().union(*map(_sources, inputs)) if inputs else {node["Node Type"]}
