"""Whatever other systems write to Kafka: it is set apart byte by byte, and holds up nothing behind it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.partitioner import murmur2

from tests.acceptance.foreign_records import READ, Headers, RawName, Spoilt, send_raw
from tests.acceptance.office import DEADLINE_SECONDS, Office
from tests.acceptance.readers import READERS, readers_of
from tests.acceptance.subscribers import Subscriber

PARTITION = 0
DEAD_LETTERS = ".dead-letters"
OURS = "dead_letter_"
Place = tuple[bytes, str]
"""A record's key, and the consumer that could not read it."""


@pytest.fixture
async def stranger(office: Office) -> AsyncIterator[AIOKafkaProducer]:
    """A producer of somebody else."""
    async with AIOKafkaProducer(bootstrap_servers=office.stack.kafka_bootstrap, linger_ms=0) as producer:
        yield producer


async def spoil(producer: AIOKafkaProducer, topic: str) -> dict[bytes, Spoilt]:
    """Send a record of every kind into one partition; each by its key, or by its value where it has none."""
    mark = time.monotonic_ns()
    sent: dict[bytes, Spoilt] = {}
    for place, record in enumerate(record for wanted in READ[topic] for record in wanted.spoilt()):
        name = b"\xff\x80bad-%d-%d" % (mark, place)
        key, value = (name, record.value) if record.has_key else (None, name)
        sent[name] = replace(record, value=value)
        await producer.send(topic, value, key, partition=PARTITION, headers=record.headers)
    await producer.flush()
    return sent


async def skipped(office: Office, topic: str) -> Counter[tuple[str, str]]:
    """How many records the topic's consumers have left aside, by consumer and for what."""
    counted: Counter[tuple[str, str]] = Counter()
    services = {reader.partition(".")[0] for reader in readers_of(topic)}
    for service in sorted(services):
        for sample in await office.samples(service, "recarga_consumer_records_total"):
            counted[f"{service}.{sample.labels['consumer']}", sample.labels["result"]] += int(sample.value)
    wanted = {(reader, result) for reader in readers_of(topic) for result in ("unknown_type", "tombstone")}
    return Counter({skip: counted[skip] for skip in wanted})


def names_partition(key: str, partitions: int) -> bool:
    """Whether Kafka's own partitioner puts the key where the spoilt records are."""
    return bool((murmur2(key.encode()) & 0x7FFFFFFF) % partitions == PARTITION)


def subscriber_behind(office: Office, **traits: Any) -> Subscriber:
    """One whose every message goes to that partition: a spoilt record would hold all of it up."""
    partitions = office.stack.partitions
    while True:
        one = office.subscriber(**traits)
        keys = [one.subscription_id, one.customer_id, one.iccid, *one.payment_method_ids]
        if all(names_partition(key, partitions) for key in keys):
            return one


@pytest.mark.parametrize("topic", READ)
async def test_a_record_that_cannot_be_used_becomes_a_dead_letter_or_a_counted_skip(
    office: Office, stranger: AIOKafkaProducer, topic: str
) -> None:
    before = await skipped(office, topic)
    async with AIOKafkaConsumer(bootstrap_servers=office.stack.kafka_bootstrap) as reader:
        letters = topic + DEAD_LETTERS
        reader.assign([TopicPartition(letters, number) for number in range(office.stack.partitions)])
        await reader.seek_to_end()

        sent = await spoil(stranger, topic)

        wanted = {
            (name, who)
            for name, record in sent.items()
            for who in record.readers
            if record.result == "dead_letter"
        }
        found = await letters_of(reader, wanted)

    assert found.keys() == wanted
    for (name, who), letter in found.items():
        record = sent[name]
        assert (letter.key is not None, letter.value) == (record.has_key, record.value), record.name
        assert list(letter.headers[: len(record.headers)]) == record.headers, record.name
        ours = {name: value.decode() for name, value in letter.headers[len(record.headers) :]}
        assert ours[OURS + "consumer"] == who
        assert ours[OURS + "reason"], record.name
        assert (ours[OURS + "topic"], ours[OURS + "partition"]) == (topic, str(PARTITION))

    async def all_more() -> bool:
        now = await skipped(office, topic)
        return all(now[skip] >= count + len(READ[topic]) for skip, count in before.items())

    await office.until(all_more, "all skips counted")


async def letters_of(
    reader: AIOKafkaConsumer, wanted: set[tuple[bytes, str]]
) -> dict[tuple[bytes, str], Any]:
    """The dead letters of these records, by name and consumer; fails where wanted ones do not come."""
    found: dict[tuple[bytes, str], Any] = {}
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not wanted <= found.keys():
            for records in (await reader.getmany(timeout_ms=200)).values():
                for record in records:
                    who = dict(record.headers)[OURS + "consumer"].decode()
                    found[record.value if record.key is None else record.key, who] = record
    names = {name for name, _ in wanted}
    return {place: letter for place, letter in found.items() if place[0] in names}


async def test_those_who_meet_spoilt_records_are_all_who_read(office: Office) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=office.stack.kafka_bootstrap)
    await admin.start()
    try:
        groups = {name for name, *_ in await admin.list_consumer_groups()}
    finally:
        await admin.close()
    alone = {name for name, consumer in READERS.items() if consumer.from_start_every_time}
    assert groups == READERS.keys() - alone
    for name, consumer in READERS.items():
        decoded = {
            wanted.message for topic in consumer.topics for wanted in READ[topic] if name in wanted.decoders
        }
        assert decoded == set(consumer.messages), name


async def test_renewals_complete_behind_spoilt_records_of_every_topic(
    office: Office, stranger: AIOKafkaProducer
) -> None:
    for topic in READ:
        await spoil(stranger, topic)
    automatic = subscriber_behind(office, cards=("decline_insufficient_funds", "ok"), has_rule=True)
    cancelling = subscriber_behind(office, carrier_code="30")

    await office.seed([automatic, cancelling])
    await office.say(automatic.use("first"), automatic.use("second"), cancelling.request("behind"))

    async def both_begun() -> bool:
        return all([await office.renewals_of(one) for one in (automatic, cancelling)])

    await office.until(both_begun, "both renewals begun")
    [renewed], [paid] = [await office.renewals_of(one) for one in (automatic, cancelling)]
    assert renewed["origin"] == "rule"
    await office.in_state(renewed["renewal_id"], "completed")
    await office.in_state(paid["renewal_id"], "captured")
    await office.ok("renewal", "POST", f"/v1/renewals/{paid['renewal_id']}/cancel")
    await office.in_state(paid["renewal_id"], "refunded")


@pytest.mark.parametrize(
    ("extra", "odd_way"),
    [
        ((RawName("x"), b"\xff"), {}),
        (("x", b"compressed"), {"lz4": True}),
        (("x", b"nobody's"), {"key": None}),
        (("ce_specversion", b"9.0"), {"more": {"of_a_later_version": {"some": ["thing"]}}}),
    ],
    ids=[
        "a header's name is not UTF-8",
        "the batch is compressed with lz4",
        "it has no key",
        "a later version says more",
    ],
)
async def test_a_good_record_counts_though(
    office: Office, stranger: AIOKafkaProducer, extra: tuple[str, bytes], odd_way: dict[str, Any]
) -> None:
    odd, behind = subscriber_behind(office), subscriber_behind(office)
    await office.seed([odd, behind])
    message = odd.request("odd")
    headers: Headers = [extra, ("ce_type", b"RequestRenewal")]

    value = json.dumps(message.model_dump(mode="json") | odd_way.get("more", {})).encode()
    key, lz4 = odd_way.get("key", message.key.encode()), "lz4" in odd_way
    await send_raw(stranger, message.topic, PARTITION, key, value, headers, lz4=lz4)
    await office.say(behind.request("behind"))

    for one in (odd, behind):

        async def completed(one: Subscriber = one) -> bool:
            return [renewal["state"] for renewal in await office.renewals_of(one)] == ["completed"]

        await office.until(completed, f"the renewal of {one.subscription_id} completed")
