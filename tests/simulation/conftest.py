"""Simulated ground under every test of this folder."""

from collections.abc import Iterator

import pytest

from tests.simulation import seams


@pytest.fixture(autouse=True)
def ground() -> Iterator[None]:
    """The services stand on it until the test is over."""
    with seams.installed():
        yield
