"""The hash by which Kafka's own clients choose a partition; aiokafka's goes byte by byte, in twice the time.

https://github.com/apache/kafka/blob/trunk/clients/src/main/java/org/apache/kafka/common/utils/Utils.java
"""

import struct
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_ALL: Final = 0xFFFFFFFF
_WORDS: Final = [struct.Struct(f"<{count}I").unpack_from for count in range(64)]
"""Readers of so many little-endian words: keys are short."""


def murmur2(key: bytes) -> int:
    """32 bits without a sign; equal to aiokafka.partitioner.murmur2."""
    count, rest = divmod(len(key), 4)
    hashed = _SEED ^ len(key)
    for word in _WORDS[count](key) if count < len(_WORDS) else struct.unpack_from(f"<{count}I", key):
        word = word * _M & _ALL
        hashed = (hashed * _M ^ (word ^ word >> 24) * _M) & _ALL
    if rest:
        hashed = (hashed ^ int.from_bytes(key[-rest:], "little")) * _M & _ALL
    hashed = (hashed ^ hashed >> 13) * _M & _ALL
    return hashed ^ hashed >> 15
