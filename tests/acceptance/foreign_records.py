"""Records as other systems may write them: broken in every way that a producer can break one."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, get_origin

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as PythonBatch
from aiokafka.record.util import calc_crc32c
from pydantic import BaseModel

from deploy.local.home import REPOSITORY
from shared.contracts.topics import TOPICS
from tests.acceptance.readers import readers_of, wanted_on

Headers = list[tuple[str, bytes | None]]
EXAMPLES = REPOSITORY / "tests" / "contracts" / "examples"
BATCH_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A record that no service can use. `result`: the metric's label for what becomes of it."""

    name: str
    value: bytes | None
    headers: Headers
    readers: tuple[str, ...]
    """`<service>.<consumer>` of those who look so far; others leave it aside for its type."""
    result: str = "dead_letter"
    has_key: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """A message on a topic, and those of the topic's `readers` (`<service>.<consumer>`) who decode it."""

    message: type[BaseModel]
    topic: str
    decoders: tuple[str, ...]
    readers: tuple[str, ...]

    def example(self) -> dict[str, Any]:
        """Its golden example."""
        text = (EXAMPLES / self.topic / f"{self.message.__name__}.json").read_text(encoding="utf-8")
        example: dict[str, Any] = json.loads(text)
        return example

    def spoilt(self) -> list[Spoilt]:
        """One record of every kind."""
        type_ = ("ce_type", self.message.__name__.encode())
        good = json.dumps(self.example()).encode()
        decoded: list[tuple[str, bytes | None, Headers]] = [
            ("garbage bytes", b"\x00\xff\xfe not JSON \x80", [type_]),
            ("half a JSON text", good[: len(good) // 2], [type_]),
            ("nothing in it", b"", [type_]),
            ("a JSON list", b"[1, 2, 3]", [type_]),
            ("JSON null", b"null", [type_]),
            ("another message's fields", b'{"colour": "red"}', [type_]),
            ("nested deeply", b"[" * 100_000, [type_]),
            ("null headers beside it", b"garbage", [type_, ("traceparent", None), ("x", None)]),
            ("headers that are not UTF-8 beside it", b"garbage", [type_, ("traceparent", b"\xff\x80")]),
            ("of a later CloudEvents", b"\x01garbage", [type_, ("ce_specversion", b"9.0")]),
            *self._wrong_values(type_),
        ]
        unread: list[tuple[str, bytes | None, Headers]] = [
            ("no value", None, [type_]),
            ("no headers", good, []),
            ("a null type", good, [("ce_type", None)]),
            ("a type that is not UTF-8", good, [("ce_type", b"\xff\xfe\x80")]),
        ]
        later: Headers = [("ce_type", type_[1] + b"V2"), ("ce_specversion", b"9.0")]
        broken = [Spoilt(*each, self.decoders) for each in decoded]
        broken += [Spoilt(*each, self.readers) for each in unread]
        broken += [
            Spoilt("a type of a later version", good, later, self.readers, "unknown_type"),
            Spoilt("a tombstone", None, [], self.readers, "tombstone"),
        ]
        if self.topic not in COMPACTED:
            broken.append(Spoilt("no key", b"garbage of nobody", [type_], self.decoders, has_key=False))
        return broken

    def _wrong_values(self, type_: tuple[str, bytes]) -> Iterator[tuple[str, bytes, Headers]]:
        for name in self.example():
            yield f"{name} of a wrong type", _with(self.example(), name, {"no": "value"}), [type_]
            if get_origin(self.message.model_fields[name].annotation) is Literal:
                yield f"{name} as a later version may say", _with(self.example(), name, "later"), [type_]
        for path, value in ABSURD.get(self.message.__name__, ()):
            yield f"{path} {value}", _with(self.example(), path, value), [type_]


def _with(example: dict[str, Any], path: str, value: Any) -> bytes:
    """The example with another value at a dotted path."""
    *way, last = path.split(".")
    place = example
    for name in way:
        place = place[name]
    assert last in place, path
    place[last] = value
    return json.dumps(example).encode()


def _numbers(path: str, *values: int) -> tuple[tuple[str, Any], ...]:
    return tuple((path, value) for value in (-1, 10**30, *values))


WRONG_LUHN: Final = "8953012004711902834"
ABSURD: Final[dict[str, tuple[tuple[str, Any], ...]]] = {
    "RenewalRequested": _numbers("terms.max_amount_minor", 0),
    "RenewalPriced": _numbers("amount_minor"),
    "PaymentCaptured": _numbers("amount_minor"),
    "TopUpApplied": _numbers("grant.data_bytes", 0),
    "CapturePayment": _numbers("amount_minor"),
    "ApplyTopUp": _numbers("grant.validity_seconds", 0),
    "QuotaExhausted": _numbers("remaining_bytes"),
    "SubscriptionChanged": (*_numbers("version"), ("iccid", WRONG_LUHN), ("eid", "8" * 32)),
    "CustomerChanged": _numbers("version"),
    "PaymentMethodChanged": _numbers("version"),
    "OfferingChanged": _numbers("data_bytes", 0),
    "RenewalRuleChanged": _numbers("version"),
    "ForeignDeviceSeen": (("imei", "490154203237519"), ("started_at", "2026-11-23T00:00:00")),
    "RequestRenewal": (
        *_numbers("expected_amount_minor", 0),
        ("payment_method_ids", []),
        ("subscription_id", "a" * 65),
    ),
    "UsageRecorded": (
        *_numbers("bytes_down"),
        ("iccid", WRONG_LUHN),
        ("started_at", "2026-11-23T00:00:00"),
    ),
}
"""By message: values that its form allows and its meaning does not."""

COMPACTED: Final = frozenset(topic.name for topic in TOPICS if topic.compacted)
"""Kafka itself refuses a record without a key there."""

READ: Final[dict[str, tuple[Wanted, ...]]] = {
    topic.name: tuple(
        Wanted(message, topic.name, decoders, readers_of(topic.name))
        for message, decoders in wanted_on(topic.name).items()
    )
    for topic in TOPICS
    if readers_of(topic.name)
}
"""By topic: what its readers want of it."""


class RawName(str):
    """A header's name as bytes that are no text."""

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe\x80"


async def send_raw(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes,
    headers: Headers,
    *,
    lz4: bool = False,
) -> None:
    """One record in a batch made by hand, as clients in other languages can make them."""
    batch = producer.create_batch()
    batch._builder = _Lz4Batch() if lz4 else PythonBatch(2, 0, 0, -1, -1, 0, BATCH_BYTES)
    assert batch.append(key=key, value=value, timestamp=None, headers=headers) is not None
    await (await producer.send_batch(batch, topic, partition=partition))


class _Lz4Batch:
    """A batch whose records are an LZ4 frame with one stored block: valid LZ4 without a compressor."""

    FRAME_START = bytes.fromhex("04224d18604082")
    ATTRIBUTES_OFFSET, CRC_OFFSET, LENGTH_OFFSET, AFTER_LENGTH = 21, 17, 8, 12
    LZ4, STORED = 3, 1 << 31

    def __init__(self) -> None:
        self._plain = PythonBatch(2, 0, 0, -1, -1, 0, BATCH_BYTES)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def build(self) -> bytearray:
        plain = bytes(self._plain.build())
        header, records = bytearray(plain[:61]), plain[61:]
        block = struct.pack("<I", len(records) | self.STORED) + records + struct.pack("<I", 0)
        whole = header + self.FRAME_START + block
        struct.pack_into(">h", whole, self.ATTRIBUTES_OFFSET, self.LZ4)
        struct.pack_into(">i", whole, self.LENGTH_OFFSET, len(whole) - self.AFTER_LENGTH)
        struct.pack_into(">I", whole, self.CRC_OFFSET, calc_crc32c(bytes(whole[self.ATTRIBUTES_OFFSET :])))
        return whole
