"""What compose's first job makes, on real servers: roles that own their schema only, tables, topics."""

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.compose.prepare import NotPrepared, main, prepare
from deploy.local.database_roles import url_as
from deploy.local.readiness import wait_until
from services import NAMES
from tests.conftest import FreshLayout
from tests.integration.compose.conftest import Prepared

PARTITIONS = 3
DEADLINE_SECONDS = 10.0


async def tables_of(url: str) -> set[str]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        rows = await connection.fetch("select tablename from pg_tables where schemaname = current_schema()")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows}


async def test_it_makes_everything_and_can_be_repeated(
    database: tuple[str, dict[str, str]], kafka_bootstrap: str, topic_prefix: str
) -> None:
    url, urls = database
    topics = [FreshLayout(f"{topic_prefix}stream"), FreshLayout(f"{topic_prefix}state", compacted=True)]
    for _ in range(2):
        await prepare(url, urls, kafka_bootstrap, PARTITIONS, topics)
    for service in NAMES:
        assert {"outbox", "set_aside"} < await tables_of(urls[service])
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)

    async def all_are_laid_out() -> bool:
        # A broker tells of a topic a moment after the controller has made it.
        described = await admin.describe_topics([topic.name for topic in topics])
        return [len(topic["partitions"]) for topic in described] == [PARTITIONS, PARTITIONS]

    await admin.start()
    try:
        await wait_until(all_are_laid_out, "Both topics with all partitions", DEADLINE_SECONDS)
    finally:
        await admin.close()


async def test_a_service_cannot_touch_the_tables_of_another(
    prepared: Prepared,
) -> None:
    connection = await asyncpg.connect(prepared.service_urls["usage"], timeout=10)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("select * from payment.payments")
    finally:
        await connection.close()


async def test_a_url_without_a_password_is_refused_in_words(
    database: tuple[str, dict[str, str]], kafka_bootstrap: str
) -> None:
    url, _ = database
    with pytest.raises(NotPrepared, match="usage must name a role and its password"):
        await prepare(url, {"usage": "postgresql://usage@127.0.0.1/recarga"}, kafka_bootstrap, 1, [])


async def test_a_wrong_password_is_refused_in_words(
    database: tuple[str, dict[str, str]], kafka_bootstrap: str
) -> None:
    url, urls = database
    with pytest.raises(NotPrepared, match="PostgreSQL refused: password authentication failed"):
        await prepare(url_as(url, "postgres", "guessed"), urls, kafka_bootstrap, 1, [])


def test_a_missing_variable_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"RECARGA_SUPERUSER_URL": "postgresql://postgres:secret@127.0.0.1/recarga"}) == 1
    told = capsys.readouterr().err
    assert "RECARGA_KAFKA_BOOTSTRAP" in told
    assert "RECARGA_PAYMENT_DATABASE_URL" in told
    assert "RECARGA_SUPERUSER_URL" not in told
