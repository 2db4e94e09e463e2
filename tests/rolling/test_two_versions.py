"""A deployment that rolls: the older processes go on beside ours on our schema, and leave one by one."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from deploy.local.ports import SERVICES, Ports
from tests.acceptance.conftest import IMPATIENT
from tests.acceptance.load import Load
from tests.conftest import UNSAFE_AND_FAST, readable_folder
from tests.rolling.conftest import Opened
from tests.rolling.older import checked_out
from tests.rolling.recorded import versions
from tests.rolling.stacks import AS_A_WHOLE, TwoVersions

RENEWALS = 300


async def test_renewals_go_on_while_every_process_is_replaced(office_at: Opened, tmp_path: Path) -> None:
    home = readable_folder()
    try:
        version = versions()[-1]
        with checked_out(version, tmp_path / "older") as older:
            stack = TwoVersions(
                version,
                older,
                home,
                ports=Ports.free(2),
                replicas=2,
                postgres_settings=UNSAFE_AND_FAST,
                service_environment=IMPATIENT,
                on_signals=False,
            )
            async with office_at(stack) as office:
                await office.sell()
                load = await Load.seeded(office, "rolling", RENEWALS, has_number=False)
                feeding = asyncio.create_task(load.feed())
                try:
                    for process, share in ((1, 0.1), (2, 0.5)):
                        await load.until_ended(share)
                        one_by_one = [f"{name}-{process}" for name in SERVICES if name not in AS_A_WHOLE]
                        await asyncio.gather(*map(stack.upgrade, one_by_one))
                    await asyncio.gather(*map(stack.upgrade_as_a_whole, AS_A_WHOLE))
                    await feeding
                finally:
                    feeding.cancel()
                await load.until_ended(1.0)

                assert await load.endings() == {one: [end] for one, end in load.expected.items()}
                assert (await office.compared()).discrepancies == []
                assert stack.upgraded == set(stack.instances)
    finally:
        shutil.rmtree(home, ignore_errors=True)
