"""Arrays go to PostgreSQL and come back as ever, though asyncpg is told how to know them."""

from collections import deque
from typing import Any

import asyncpg
import pytest
from asyncpg.protocol import protocol

from shared.database import open_pool
from tests.conftest import FreshDatabase


@pytest.mark.parametrize(
    ("type_", "given", "read"),
    [
        ("text[]", ["a", None, "{b}"], ["a", None, "{b}"]),
        ("int[]", (1, 2), [1, 2]),
        ("int[]", [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ("bytea[]", deque([b"a"]), [b"a"]),
        ("text[]", {"a": 1}.keys(), ["a"]),
        ("int[]", {"a": 1}.values(), [1]),
        ("int[]", frozenset({1}), [1]),
        ("int[]", [], []),
    ],
)
async def test_every_container_that_is_sent_arrives_as_an_array(
    fresh_database: FreshDatabase, type_: str, given: Any, read: list[Any]
) -> None:
    async with await open_pool(await fresh_database(), application_name="test", connections=1) as pool:
        assert await pool.fetchval(f"select $1::{type_}", given) == read


@pytest.mark.parametrize("given", ["ab", 1, {"a": 1}])
async def test_a_value_that_is_no_container_is_refused(fresh_database: FreshDatabase, given: object) -> None:
    async with await open_pool(await fresh_database(), application_name="test", connections=1) as pool:
        with pytest.raises(asyncpg.DataError):
            await pool.fetchval("select $1::text[]", given)


def test_asyncpg_still_asks_where_it_is_told() -> None:
    assert isinstance(vars(protocol)["IterableABC"], tuple)
