"""The whole of usage on its topics: records go in on one, triggers come out on another."""

import asyncio
import time
from uuid import uuid4

import asyncpg

from services.usage import settings, wiring
from shared.contracts.message import Message
from shared.contracts.quotas import QuotaExhausted
from tests.conftest import FreshDatabase
from tests.integration.on_topics import DEADLINE_SECONDS, running
from tests.integration.usage.conftest import iccid, record, subscription, top_up


async def until_known(url: str, who: str) -> None:
    """Wait until the first top-up was seen and the early record counted."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await connection.fetchval(
                "select cycle = 1 and used_bytes = 1 from balances where subscription_id = $1", who
            ):
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def test_a_subscription_a_top_up_and_its_usage_become_a_trigger(
    fresh_database: FreshDatabase, kafka_bootstrap: str
) -> None:
    url = await fresh_database("usage")
    told = settings.Settings(database_url=url, kafka_bootstrap=kafka_bootstrap)
    unique = uuid4()
    who, its_iccid = f"sub-{unique.hex}", iccid(unique.int % 10**11)

    def exhausted(seen: list[Message]) -> bool:
        return any(isinstance(each, QuotaExhausted) for each in seen)

    async with running("usage", wiring.build, told) as topics:
        await topics.send(record(its_iccid, f"{who}-early", 1), top_up(who, 1, 1000))
        await topics.send(subscription(who, its_iccid))
        await until_known(url, who)
        await topics.send(record(its_iccid, f"{who}-late", 1500))
        seen = await topics.until("quotas.v1", who, exhausted)
    assert {(type(each).__name__, getattr(each, "cycle", None)) for each in seen} == {
        ("QuotaThresholdReached", 1),
        ("QuotaExhausted", 1),
    }


async def test_who_is_stopped_as_soon_as_it_runs_does_not_wait_for_what_it_asked_kafka(
    fresh_database: FreshDatabase, kafka_bootstrap: str
) -> None:
    told = settings.Settings(database_url=await fresh_database("usage"), kafka_bootstrap=kafka_bootstrap)
    async with running("usage", wiring.build, told):
        ends_at = time.monotonic() + told.stop_grace_seconds / 2
    assert time.monotonic() < ends_at
