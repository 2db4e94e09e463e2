"""The whole stack as a customer meets it: real servers and two processes of every service, started once."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from deploy.local.ports import Ports
from deploy.local.stack import Stack
from shared.messaging.producer import Producer
from tests.acceptance.office import Office
from tests.conftest import UNSAFE_AND_FAST, readable_folder

REPLICAS = 2
BURST_RENEWALS = 3
IMPATIENT = {
    # As in production, only sooner: what a dead process had begun is taken over when its lease ends.
    "RECARGA_RENEWAL_PATIENCE_SECONDS": "6",
    "RECARGA_PAYMENT_SEND_WINDOW_SECONDS": "2",
    "RECARGA_PAYMENT_CALL_SECONDS": "3",
    "RECARGA_PAYMENT_LEASE_SECONDS": "9",
    "RECARGA_PROVISIONING_SEND_WINDOW_SECONDS": "2",
    "RECARGA_PROVISIONING_CALL_SECONDS": "3",
    "RECARGA_PROVISIONING_LEASE_SECONDS": "6",
    # A runaway is one sooner, too: nobody else renews as often by a rule.
    "RECARGA_RENEWAL_BURST_SUBSCRIPTION_RENEWALS": str(BURST_RENEWALS),
}


@pytest.fixture(scope="package")
async def office() -> AsyncIterator[Office]:
    """A stack of this package alone, with one offering on sale."""
    home = readable_folder()
    try:
        async with Stack(
            home,
            ports=Ports.free(REPLICAS),
            replicas=REPLICAS,
            postgres_settings=UNSAFE_AND_FAST,
            service_environment=IMPATIENT,
            on_signals=False,
        ) as stack:
            producer = Producer(stack.kafka_bootstrap, "acceptance", "acceptance")
            await producer.start()
            database = await asyncpg.create_pool(stack.superuser_url, min_size=1, max_size=4)
            try:
                office = Office(stack, producer, database)
                await office.sell()
                yield office
            finally:
                await database.close()
                await producer.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def nobody_died_unasked(request: pytest.FixtureRequest) -> Iterator[None]:
    """A process that ends by itself fails the test in which it did, not whoever asks it next."""
    office: Office | None = request.getfixturevalue("office") if "office" in request.fixturenames else None
    yield
    if office is not None:
        deaths, office.stack.deaths[:] = [*office.stack.deaths], []
        assert deaths == []
