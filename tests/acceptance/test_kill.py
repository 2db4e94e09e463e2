"""Killing processes at any moment loses nothing and doubles nothing."""

from __future__ import annotations

import asyncio

import pytest

from deploy.local.ports import SERVICES
from tests.acceptance.load import Load
from tests.acceptance.office import Office

RENEWALS = 400


@pytest.mark.parametrize("service", SERVICES)
async def test_killing_a_service_mid_run_loses_nothing_and_doubles_nothing(
    office: Office, service: str
) -> None:
    stack = office.stack
    load = await Load.seeded(office, f"kill-{service}", RENEWALS)
    feeding = asyncio.create_task(load.feed())
    try:
        await load.until_ended(0.2)
        await stack.kill(f"{service}-1")
        assert 0 < await load.ended() < RENEWALS, "the kill came too late to meet anything"
        await stack.restart(f"{service}-1")

        await load.until_ended(0.6)
        await asyncio.gather(stack.kill(f"{service}-1"), stack.kill(f"{service}-2"))
        assert 0 < await load.ended() < RENEWALS, "the kill came too late to meet anything"
        await asyncio.gather(stack.restart(f"{service}-1"), stack.restart(f"{service}-2"))
        await feeding
    finally:
        feeding.cancel()

    await load.until_ended(1.0)
    assert await load.endings() == {one: [end] for one, end in load.expected.items()}
    comparison = await office.compared()
    assert comparison.discrepancies == []
    assert comparison.renewals >= RENEWALS
    assert await load.miscounted_usage() == {}
