"""Simulated ground under every test of this folder."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def ground() -> Iterator[None]:
    """The services stand on it until the test is over."""
    # Not above: who puts a mutant into a service imports this file before the service.
    from tests.simulation import seams

    with seams.installed():
        yield
