"""Makes what the services expect to find, once: roles, schemas, tables and topics.

    python -m deploy.compose.prepare

Run before the services of a new version start; safe to repeat. It is told by the environment:
RECARGA_SUPERUSER_URL (a role that may create roles), RECARGA_<SERVICE>_DATABASE_URL for each service (the
role and the password it names are made), RECARGA_KAFKA_BOOTSTRAP, and RECARGA_PARTITIONS for new topics.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
from aiokafka.errors import KafkaError

from deploy.local.database_roles import create_role
from deploy.local.errors import LocalStackError
from deploy.local.topics import TopicLayout, create_topics
from services import NAMES
from shared.contracts.topics import TOPICS
from shared.database.migrations import MigrationFailed, migrate

SERVICES = Path(__file__).parents[2] / "services"
CONNECT_SECONDS = 10.0
DEADLINE_SECONDS = 60.0
PAUSE_SECONDS = 0.5
PARTITIONS = 4


class NotPrepared(Exception):
    """Something is missing; the text says what, and what to do."""


async def prepare(
    superuser_url: str,
    service_urls: Mapping[str, str],
    kafka_bootstrap: str,
    partitions: int,
    topics: Iterable[TopicLayout] = TOPICS,
) -> None:
    """Roles and schemas, then tables and topics. `service_urls`: by service, whose name its schema has.

    Raises:
        NotPrepared: PostgreSQL, Kafka or a migration refused.
    """
    try:
        await create_roles(superuser_url, service_urls)
    except (OSError, asyncpg.PostgresError) as error:
        raise NotPrepared(f"PostgreSQL refused: {error}. Check RECARGA_SUPERUSER_URL.") from error
    for service, url in service_urls.items():
        try:
            await asyncio.to_thread(migrate, url, SERVICES / service / "migrations")
        except MigrationFailed as error:
            raise NotPrepared(f"The migrations of {service} failed: {error}") from error
    await create_topics_in_time(kafka_bootstrap, list(topics), partitions)


async def create_roles(superuser_url: str, service_urls: Mapping[str, str]) -> None:
    """For each service the role and the password that its URL names, owning the schema of its name."""
    connection = await asyncpg.connect(superuser_url, timeout=CONNECT_SECONDS)
    try:
        async with connection.transaction():
            for service, url in service_urls.items():
                parts = urlsplit(url)
                if not parts.username or not parts.password:
                    raise NotPrepared(f"The database URL of {service} must name a role and its password.")
                await create_role(connection, unquote(parts.username), service, unquote(parts.password))
    finally:
        await connection.close()


async def create_topics_in_time(kafka_bootstrap: str, topics: list[TopicLayout], partitions: int) -> None:
    """Kafka listens a moment before it takes orders: they are repeated until a deadline."""
    until = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            return await create_topics(kafka_bootstrap, topics, partitions)
        except LocalStackError as error:
            raise NotPrepared(str(error)) from error
        except (OSError, KafkaError) as error:
            if time.monotonic() > until:
                raise NotPrepared(f"Kafka at {kafka_bootstrap} gave no answer in time: {error}") from error
        await asyncio.sleep(PAUSE_SECONDS)


def main(environment: Mapping[str, str]) -> int:
    """Exit status 0 once everything is there, 1 with one clear line otherwise."""
    names = {service: f"RECARGA_{service.upper()}_DATABASE_URL" for service in NAMES}
    wanted = ["RECARGA_SUPERUSER_URL", "RECARGA_KAFKA_BOOTSTRAP", *names.values()]
    if missing := [name for name in wanted if not environment.get(name)]:
        print(f"Not prepared: set {', '.join(missing)} in the environment.", file=sys.stderr)
        return 1
    try:
        asyncio.run(
            prepare(
                environment["RECARGA_SUPERUSER_URL"],
                {service: environment[name] for service, name in names.items()},
                environment["RECARGA_KAFKA_BOOTSTRAP"],
                int(environment.get("RECARGA_PARTITIONS", PARTITIONS)),
            )
        )
    except NotPrepared as error:
        print(f"Not prepared: {error}", file=sys.stderr)
        return 1
    print(f"Prepared: {len(names)} schemas, {len(TOPICS)} topics.")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
