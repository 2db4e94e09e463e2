"""Schemas with a clock of the tests' own, one per suite."""

from __future__ import annotations

import pytest

from tests.conformance.server import prepare
from tests.conformance.suites import SUITES
from tests.conftest import FreshDatabase, Servers


@pytest.fixture(scope="module")
async def clocked(
    stack: Servers, fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The URL of each suite's schema; messaging's has no tables but those that all have."""
    urls = {}
    for name in SUITES:
        urls[name] = await fresh_database(name, migrated=False)
        service = None if name == "messaging" else name
        await prepare(stack.superuser_url, urls[name], service, tmp_path_factory.mktemp("none"))
    return urls


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker makes the schemas, once."""
    for item in items:
        if "clocked" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("conformance"))
