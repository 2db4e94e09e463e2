"""What every service that calls outside may ask for."""

from collections.abc import Iterator

import pytest

from tests.integration.sandbox.conftest import Sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A PSP and a carrier of this module's own, as real servers with a journal."""
    running = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield running
    assert running.stop() == 0
