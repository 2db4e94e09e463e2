"""Keeps what this version leaves behind: `python -m tests.rolling.record VERSION`, once per release.

Renewals of every kind are run on the real stack; most end, one is left in each state that can be open. Then
topics, tables and what PSP and carrier remember are written to corpus/VERSION, and an example of each type
that the run did not bring about.
"""

import asyncio
import json
import shutil
from collections import Counter
from typing import Annotated

import asyncpg
import typer
from aiokafka import AIOKafkaConsumer

from deploy.local.ports import SERVICES, Ports
from deploy.local.stack import Stack
from shared.clock import utc_now
from shared.contracts.topics import TOPICS
from shared.messaging.producer import Producer
from tests.acceptance.conftest import IMPATIENT
from tests.acceptance.load import Load
from tests.acceptance.office import Office
from tests.conftest import UNSAFE_AND_FAST, readable_folder
from tests.rolling.examples import types, unplayed
from tests.rolling.recorded import KeptRecord, KeptTables, keep_journals, keep_messages, keep_rows
from tests.rolling.under_way import REJECTS, leave_under_way

RENEWALS = 40
EACH_TYPE_AT_MOST = 4
METHODS = ("get", "put", "post", "delete", "patch")
MIGRATIONS = "schema_migrations"


async def record(version: str) -> None:
    """Run, look, write."""
    home = readable_folder()
    try:
        async with Stack(
            home, ports=Ports.free(), postgres_settings=UNSAFE_AND_FAST, service_environment=IMPATIENT
        ) as stack:
            producer = Producer(stack.kafka_bootstrap, "rolling", "rolling")
            await producer.start()
            database = await asyncpg.create_pool(stack.superuser_url, min_size=1, max_size=2)
            try:
                office = Office(stack, producer, database)
                await office.sell()
                await _run(office)
                apis = {service: await operations_of(office, service) for service in SERVICES}
                await leave_under_way(office, stack.home.stored / "sandbox")
                schemas = {service: await _tables(database, service) for service in SERVICES}
                records = await _records(stack.kafka_bootstrap)
                keep_messages(version, records, unplayed(records, utc_now()), types())
                keep_rows(version, schemas, apis)
                await stack.stop("sandbox")
                keep_journals(version, stack.home.stored / "sandbox")
            finally:
                await database.close()
                await producer.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def _run(office: Office) -> None:
    """All kinds of ends."""
    load = await Load.seeded(office, "rolling", RENEWALS)
    await load.feed()
    await load.until_ended(1.0)
    cancelled = await office.begun(await office.seeded(cards=("sca",)))
    await office.in_state(cancelled, "awaiting_customer")
    await office.ok("renewal", "POST", f"/v1/renewals/{cancelled}/cancel")
    await office.in_state(cancelled, "cancelled")
    refunded = await office.begun(await office.seeded(carrier_code=REJECTS))
    await office.in_state(refunded, "refunded")
    await office.ask(await office.seeded(is_verified=False))


async def operations_of(office: Office, service: str) -> list[str]:
    """What the HTTP API of a running service offers, as "GET /v1/renewals/{renewal_id}"."""
    api = (await office.ok(service, "GET", "/openapi.json")).body
    return sorted(
        f"{method.upper()} {path}"
        for path, methods in api["paths"].items()
        for method in methods
        if method in METHODS
    )


async def _tables(database: "asyncpg.Pool[asyncpg.Record]", service: str) -> KeptTables:
    names = await database.fetch(
        "select table_name from information_schema.tables"
        " where table_schema = $1 and table_type = 'BASE TABLE' order by 1",
        service,
    )
    rows = []
    for (name,) in names:
        found = await database.fetch(f"select to_jsonb(t)::text from {service}.{name} as t order by 1")  # noqa: S608 - names of ours
        rows += [(name, json.loads(row[0])) for row in found]
    migrations = [row["version"] for name, row in rows if name == MIGRATIONS]
    return KeptTables(utc_now(), migrations, [(name, row) for name, row in rows if name != MIGRATIONS])


async def _records(bootstrap: str) -> list[KeptRecord]:
    """The first records of each type on each topic."""
    consumer = AIOKafkaConsumer(
        *(topic.name for topic in TOPICS), bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    kept: list[KeptRecord] = []
    seen: Counter[tuple[str, str]] = Counter()
    try:
        while polled := await consumer.getmany(timeout_ms=2_000):
            for found in polled.values():
                for one in found:
                    headers = tuple((name, content or b"") for name, content in one.headers)
                    kind = dict(headers).get("ce_type", b"").decode()
                    seen[one.topic, kind] += 1
                    if seen[one.topic, kind] <= EACH_TYPE_AT_MOST:
                        kept.append(KeptRecord(one.topic, kind, one.key, one.value, headers))
    finally:
        await consumer.stop()
    return kept


def main(version: Annotated[str, typer.Argument(help="the release, such as v0.3.0")]) -> None:
    """Run renewals on the real stack and keep its messages and rows under corpus/VERSION."""
    asyncio.run(record(version))


if __name__ == "__main__":
    typer.run(main)
