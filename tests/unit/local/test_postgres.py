"""What the local PostgreSQL is told of its machine."""

import pytest

from deploy.local.postgres import shared_megabytes

GIGABYTE = 2**30


@pytest.mark.parametrize(("memory", "megabytes"), [(2, 256), (4, 256), (8, 512), (16, 1024), (64, 1024)])
def test_a_sixteenth_of_the_memory_is_shared_within_bounds(memory: int, megabytes: int) -> None:
    assert shared_megabytes(memory * GIGABYTE) == megabytes
