"""Permits are leased once, however many processes ask: all of them together keep to the rate."""

import asyncio
import time

import pytest

from shared.calls.permit_office import PermitOffice
from shared.database import open_pool
from tests.conftest import FreshDatabase

RATE = 10.0
BLOCK = 10
BLOCKS_EACH = 5


async def test_two_processes_are_given_no_instant_twice(
    fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine an answer takes its time; what it gives away is given away all the same.
    monkeypatch.setattr("shared.calls.permit_office.SLOWEST_LEASE_SECONDS", 60.0)
    url = await fresh_database("payment")
    pools = [await open_pool(url, application_name="tests", connections=2) for _ in range(2)]
    began = time.monotonic()
    leases = [PermitOffice(pool).lease("psp", BLOCK, RATE) for pool in pools for _ in range(BLOCKS_EACH)]
    blocks = await asyncio.gather(*leases)
    for pool in pools:
        await pool.close()
    instants = [instant for block in blocks for instant in block]
    assert len(instants) == 2 * BLOCKS_EACH * BLOCK
    assert max(instants) >= began + (len(instants) - 1) / RATE
