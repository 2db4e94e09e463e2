"""An office at a stack that is being rolled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import pytest

from deploy.local.stack import Stack
from shared.messaging.producer import Producer
from tests.acceptance.office import Office

Opened = Callable[[Stack], AbstractAsyncContextManager[Office]]


@pytest.fixture
def office_at() -> Opened:
    """Starts a stack and opens an office at it; both end with the block."""

    @asynccontextmanager
    async def opened(stopped: Stack) -> AsyncIterator[Office]:
        async with stopped as stack:
            producer = Producer(stack.kafka_bootstrap, "rolling", "rolling")
            await producer.start()
            database = await asyncpg.create_pool(stack.superuser_url, min_size=1, max_size=2)
            try:
                yield Office(stack, producer, database)
            finally:
                await database.close()
                await producer.stop()

    return opened
