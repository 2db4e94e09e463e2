"""An empty database of a test's own, and the same made ready by compose's first job."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from deploy.compose.prepare import prepare
from deploy.local.database_roles import create_database, url_as, url_to
from services import NAMES
from tests.conftest import FreshLayout, Servers


@dataclass(frozen=True, slots=True)
class Prepared:
    """A database as the services find it."""

    superuser_url: str
    service_urls: dict[str, str]


@pytest.fixture
async def database(stack: Servers) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """An empty database, and for each service the URL of a role that does not exist yet."""
    name = f"test_prepare_{uuid.uuid4().hex[:10]}"
    url = await create_database(stack.superuser_url, name)
    urls = {service: url_as(url, f"{name}_{service}", f"{service} & its: p@ss") for service in NAMES}
    yield url, urls
    connection = await asyncpg.connect(url_to(stack.superuser_url, "postgres"), timeout=10)
    await connection.execute(f"drop database {name} with (force)")
    for service in NAMES:
        await connection.execute(f"drop role if exists {name}_{service}")
    await connection.close()


@pytest.fixture
async def prepared(database: tuple[str, dict[str, str]], kafka_bootstrap: str, topic_prefix: str) -> Prepared:
    """The database with roles, schemas and tables."""
    url, urls = database
    await prepare(url, urls, kafka_bootstrap, 1, [FreshLayout(f"{topic_prefix}stream")])
    return Prepared(url, urls)
