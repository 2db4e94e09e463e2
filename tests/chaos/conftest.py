"""One stack under orders for this package: two processes of every service, PSP and carrier."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest

from tests.acceptance.office import Office
from tests.chaos.run import opened
from tests.conftest import UNSAFE_AND_FAST, readable_folder


@pytest.fixture(scope="package")
async def office() -> AsyncIterator[Office]:
    """Leases are short here, so that what is abandoned ends soon; deadlines outlast a restart."""
    home = readable_folder()
    try:
        async with opened(home, print, UNSAFE_AND_FAST, on_signals=False) as office:
            yield office
    finally:
        shutil.rmtree(home, ignore_errors=True)
