"""Keys land where any other producer would put them."""

from aiokafka.partitioner import murmur2 as aiokafkas
from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.murmur2 import murmur2


@given(st.binary(max_size=400))
def test_the_hash_is_that_of_kafkas_own_clients(key: bytes) -> None:
    assert murmur2(key) == aiokafkas(key) & 0xFFFFFFFF
