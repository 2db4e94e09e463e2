"""Records as other systems may write them: broken in every way that a producer can break one."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as PythonBatch
from aiokafka.record.util import calc_crc32c

from deploy.local.home import REPOSITORY

Headers = list[tuple[str, bytes | None]]
EXAMPLES = REPOSITORY / "tests" / "contracts" / "examples"
BATCH_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A record that no service can use. `result`: the metric's label for what becomes of it."""

    name: str
    value: bytes | None
    headers: Headers
    result: str = "dead_letter"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic with a message that each of `readers` (service.consumer) wants, and values it may not have."""

    name: str
    wanted: str
    readers: tuple[str, ...]
    absurd: tuple[tuple[str, Any], ...]

    def example(self) -> dict[str, Any]:
        """The golden example of the wanted message."""
        text = (EXAMPLES / self.name / f"{self.wanted}.json").read_text(encoding="utf-8")
        example: dict[str, Any] = json.loads(text)
        return example

    def spoilt(self) -> list[Spoilt]:
        """One record of every kind."""
        type_ = ("ce_type", self.wanted.encode())
        good = json.dumps(self.example()).encode()
        broken = [
            Spoilt("garbage bytes", b"\x00\xff\xfe not JSON \x80", [type_]),
            Spoilt("half a JSON text", good[: len(good) // 2], [type_]),
            Spoilt("nothing in it", b"", [type_]),
            Spoilt("a JSON list", b"[1, 2, 3]", [type_]),
            Spoilt("another message's fields", b'{"colour": "red"}', [type_]),
            Spoilt("nested deeply", b"[" * 100_000, [type_]),
            Spoilt("no value", None, [type_]),
            Spoilt("no headers", good, []),
            Spoilt("a null type", good, [("ce_type", None)]),
            Spoilt("a type that is not UTF-8", good, [("ce_type", b"\xff\xfe\x80")]),
            Spoilt("null headers beside it", b"garbage", [type_, ("traceparent", None), ("x", None)]),
            Spoilt("headers that are not UTF-8 beside it", b"garbage", [type_, ("traceparent", b"\xff\x80")]),
            Spoilt("an unknown type", good, [("ce_type", b"SomethingElse")], "unknown_type"),
            Spoilt("a tombstone", None, [], "tombstone"),
        ]
        wrong_types = [
            Spoilt(f"{field} of a wrong type", _with(self.example(), field, {"no": "value"}), [type_])
            for field in self.example()
        ]
        absurd = [
            Spoilt(f"{path} {value}", _with(self.example(), path, value), [type_])
            for path, value in self.absurd
        ]
        return broken + wrong_types + absurd


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

AMOUNT: Final = _numbers("amount_minor")

TOPICS: Final = (
    Topic("renewals.v1", "RenewalRequested", ("catalog.pricing",), _numbers("terms.max_amount_minor", 0)),
    Topic("prices.v1", "RenewalPriced", ("renewal.saga", "payment.commands"), AMOUNT),
    Topic(
        "payments.v1", "PaymentCaptured", ("renewal.saga", "provisioning.top-ups"), _numbers("amount_minor")
    ),
    Topic(
        "topups.v1",
        "TopUpApplied",
        ("renewal.saga", "payment.top-ups", "usage.top-ups"),
        _numbers("grant.data_bytes", 0),
    ),
    Topic("payment-commands.v1", "CapturePayment", ("payment.commands",), AMOUNT),
    Topic(
        "topup-commands.v1", "ApplyTopUp", ("provisioning.top-ups",), _numbers("grant.validity_seconds", 0)
    ),
    Topic("quotas.v1", "QuotaExhausted", ("renewal.admission",), _numbers("remaining_bytes")),
    Topic(
        "subscriptions.v1",
        "SubscriptionChanged",
        ("renewal.projections", "catalog.subscriptions", "usage.subscriptions"),
        (*_numbers("version"), ("iccid", WRONG_LUHN), ("eid", "8" * 32)),
    ),
    Topic("customers.v1", "CustomerChanged", ("renewal.projections",), _numbers("version")),
    Topic("payment-methods.v1", "PaymentMethodChanged", ("renewal.projections",), _numbers("version")),
    Topic("offerings.v1", "OfferingChanged", ("renewal.projections",), _numbers("data_bytes", 0)),
    Topic(
        "renewal-requests.v1",
        "RequestRenewal",
        ("renewal.admission",),
        (*_numbers("expected_amount_minor", 0), ("payment_method_ids", []), ("subscription_id", "a" * 65)),
    ),
    Topic(
        "usage-records.v1",
        "UsageRecorded",
        ("usage.records",),
        (*_numbers("bytes_down"), ("iccid", WRONG_LUHN), ("started_at", "2026-11-23T00:00:00")),
    ),
)


class RawName(str):
    """A header's name as bytes that are no text."""

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe\x80"


async def send_raw(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    key: bytes,
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
