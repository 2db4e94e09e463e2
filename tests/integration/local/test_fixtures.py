"""The fixtures keep tests apart."""

from __future__ import annotations

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.conftest import FreshDatabase, FreshTopic


async def test_two_fresh_databases_do_not_see_each_other(fresh_database: FreshDatabase) -> None:
    first = await asyncpg.connect(await fresh_database(migrated=False))
    second = await asyncpg.connect(await fresh_database(migrated=False))
    try:
        await first.execute("create table plans (name text)")

        assert await first.fetchval("select to_regclass('plans')") is not None
        assert await second.fetchval("select to_regclass('plans')") is None
    finally:
        await first.close()
        await second.close()


async def test_a_fresh_database_has_the_messaging_tables(fresh_database: FreshDatabase) -> None:
    connection = await asyncpg.connect(await fresh_database())
    try:
        tables = await connection.fetch("select tablename from pg_tables where schemaname = current_schema()")
    finally:
        await connection.close()

    assert "outbox" in {table["tablename"] for table in tables}


async def test_a_fresh_topic_holds_nothing_but_the_tests_own_records(
    kafka_bootstrap: str, fresh_topic: FreshTopic
) -> None:
    topic = await fresh_topic("renewals.v1")
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        await producer.send_and_wait(topic, b"only one")

    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        record = await consumer.getone()

    assert (record.offset, record.value) == (0, b"only one")
