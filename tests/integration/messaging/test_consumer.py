"""A batch is one transaction; a bad record is a dead letter or is set aside; nothing behind it waits."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from shared.messaging.errors import DomainError
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction
from tests.integration.messaging.conftest import Bench, until

GATHERED_SECONDS = 3.0


async def count(transaction: Transaction, batch: Sequence[Received]) -> None:
    rows = [(received.message.number, received.message.name) for received in batch]
    await transaction.connection.executemany(
        "insert into counted (number, name) values ($1, $2) on conflict do nothing", rows
    )


async def test_messages_are_counted_once_each(bench: Bench) -> None:
    await bench.consume(count)
    for number in range(50):
        await bench.send(f"key-{number % 7}", number)
    await until(lambda: _has(bench, list(range(50))), "all 50 counted")


async def test_records_that_keep_coming_are_gathered_but_the_first_after_a_pause_comes_at_once(
    bench: Bench,
) -> None:
    batches: list[set[int]] = []

    async def note(transaction: Transaction, batch: Sequence[Received]) -> None:
        await count(transaction, batch)
        batches.append({received.message.number for received in batch})

    await bench.consume(note, gather_seconds=GATHERED_SECONDS)
    began = asyncio.get_running_loop().time()
    await bench.send("key", 0)
    await until(lambda: _has(bench, [0]), "the first counted")
    assert asyncio.get_running_loop().time() - began < GATHERED_SECONDS
    for number in range(1, 6):
        await bench.send(f"key-{number}", number)
    await until(lambda: _has(bench, list(range(6))), "all counted")
    assert batches == [{0}, {1, 2, 3, 4, 5}]


GARBAGE = [
    pytest.param(b"k", b"\xff\x00not json", [("ce_type", b"Ping")], "dead", id="garbage bytes"),
    pytest.param(b"k", b"", [("ce_type", b"Ping")], "dead", id="empty value"),
    pytest.param(b"k", None, [("ce_type", b"Ping")], "dead", id="null value"),
    pytest.param(b"k", b"{}", [], "dead", id="no headers"),
    pytest.param(b"k", b"{}", [("ce_type", None)], "dead", id="null ce_type"),
    pytest.param(b"k", b"{}", [("ce_type", b"\xff\xfe")], "dead", id="ce_type not UTF-8"),
    pytest.param(None, b"[" * 5000, [("ce_type", b"Ping")], "dead", id="deep nesting"),
    pytest.param(b"k", b'{"name": "a", "number": "1"}', [("ce_type", b"Ping")], "dead", id="wrong type"),
    pytest.param(
        b"k", b'{"name": "a", "number": 1}', [("ce_type", b"Ping"), ("x", None), ("y", b"\xff")], "read",
        id="null and non-UTF-8 header beside a good message",
    ),
    pytest.param(b"k", b"{}", [("ce_type", b"Nobody")], "skipped", id="unknown type"),
    pytest.param(b"k", None, [], "skipped", id="tombstone"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "headers", "fate"), GARBAGE)
async def test_a_bad_record_holds_up_nothing_and_keeps_its_bytes(
    bench: Bench, key: bytes | None, value: bytes | None, headers: list[tuple[str, Any]], fate: str
) -> None:
    await bench.raw.send_and_wait(bench.topic, key=key or b"none", value=value, headers=headers)
    await bench.send("k", 99)
    await bench.consume(count)
    await until(lambda: _has(bench, [1, 99] if fate == "read" else [99]), "the record behind it counted")
    if fate == "dead":
        (letter,) = await bench.dead_letters(1)
        assert letter.value == value
        assert list(letter.headers[: len(headers)]) == headers
        assert dict(letter.headers)["dead_letter_topic"] == bench.topic.encode()


async def test_a_message_that_breaks_the_transaction_is_set_aside_with_what_follows_of_its_key(
    bench: Bench,
) -> None:
    async def refuse_thirteen(transaction: Transaction, batch: Sequence[Received]) -> None:
        if any(received.message.number == 13 for received in batch):
            raise DomainError("13 cannot be counted")
        await count(transaction, batch)

    for name, number in (("bad", 13), ("good", 1), ("bad", 14), ("good", 2)):
        await bench.send(name, number)
    await bench.consume(refuse_thirteen)
    await until(lambda: _has(bench, [1, 2]), "the other key counted")
    await bench.send("bad", 15)
    await bench.send("good", 3)
    await until(lambda: _has(bench, [1, 2, 3]), "the other key goes on")
    rows = await bench.pool.fetch("select reason from set_aside order by record_offset")
    assert [row["reason"].split(":")[0] for row in rows] == [
        "DomainError",
        "DomainError",
        "queued behind an earlier record of its key",
    ]


async def test_released_records_are_handled_in_order_and_the_key_flows_again(bench: Bench) -> None:
    broken = True
    seen: list[int] = []

    async def broken_at_first(transaction: Transaction, batch: Sequence[Received]) -> None:
        if broken and any(received.message.name == "bad" for received in batch):
            raise KeyError("a defect of ours")
        await count(transaction, batch)
        seen.extend(received.message.number for received in batch)

    for number in (1, 2, 3):
        await bench.send("bad", number)
    loop = await bench.consume(broken_at_first)
    await until(lambda: _kept(bench, 3), "three records set aside")
    broken = False
    await bench.pool.execute("update set_aside set released_at = now()")
    await loop._handling.refresh()
    assert await bench.counted() == [1, 2, 3]
    assert seen == [1, 2, 3]
    await bench.send("bad", 4)
    await until(lambda: _has(bench, [1, 2, 3, 4]), "the key flows again")
    assert await _kept(bench, 0)


async def test_a_released_record_that_can_no_longer_be_read_is_not_lost(bench: Bench) -> None:
    async def refuse(transaction: Transaction, batch: Sequence[Received]) -> None:
        raise DomainError("not today")

    await bench.send("bad", 1)
    loop = await bench.consume(refuse)
    await until(lambda: _kept(bench, 1), "set aside")
    await bench.pool.execute("update set_aside set released_at = now(), payload = '{}'")
    await loop._handling.refresh()
    assert await _kept(bench, 1)


async def test_what_fails_is_not_counted_as_read(bench: Bench) -> None:
    async def unreachable(transaction: Transaction, batch: Sequence[Received]) -> None:
        raise ConnectionResetError("the database went away")

    await bench.send("key", 1)
    loop = await bench.consume(unreachable)
    await until(lambda: _failed(loop), "the batch has failed")
    await loop._measure_lag()
    assert not loop.consumer.caught_up


async def _failed(loop: Any) -> bool:
    return bool(loop._failures)


async def test_a_fault_of_the_database_repeats_the_batch_until_it_is_gone(bench: Bench) -> None:
    failures = 3

    async def flaky(transaction: Transaction, batch: Sequence[Received]) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise ConnectionResetError("the database went away")
        await count(transaction, batch)

    await bench.send("key", 1)
    await bench.consume(flaky)
    await until(lambda: _has(bench, [1]), "counted after three failures")
    assert await _kept(bench, 0)


async def test_what_was_handled_but_not_committed_is_read_again(bench: Bench) -> None:
    times: dict[int, int] = {}

    async def counting(transaction: Transaction, batch: Sequence[Received]) -> None:
        for received in batch:
            times[received.message.number] = times.get(received.message.number, 0) + 1
        await count(transaction, batch)

    loop = await bench.consume(counting)
    await bench.send("key", 1)
    await until(lambda: _has(bench, [1]), "counted")
    await loop.commit()
    await bench.stop_consuming()
    await bench.consume(counting)
    await bench.send("key", 2)
    await until(lambda: _has(bench, [1, 2]), "the second counted")
    assert times == {1: 1, 2: 1}


async def test_a_batch_that_was_not_finished_is_read_again_by_the_next_process(bench: Bench) -> None:
    async def unreachable(transaction: Transaction, batch: Sequence[Received]) -> None:
        raise ConnectionResetError("the database went away")

    await bench.send("key", 1)
    loop = await bench.consume(unreachable)
    await until(lambda: _failed(loop), "the batch has failed")
    await loop.commit()
    await bench.stop_consuming()
    await bench.consume(count)
    await until(lambda: _has(bench, [1]), "counted by the next")


async def test_lag_is_known_and_falls_to_nothing(bench: Bench) -> None:
    loop = await bench.consume(count)
    await bench.send("key", 1)
    await until(lambda: _caught_up(loop), "caught up")


async def test_where_kafka_says_nothing_nobody_is_caught_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.messaging.consumer.DEAF_AFTER_SECONDS", 1.0)
    loop = await bench.consume(count)
    await bench.send("key", 1)
    await until(lambda: _is_fetching(loop), "every partition was asked for")
    with _deaf(loop):
        [partition, *_] = loop._subscriber.consumer.assignment()
        loop._handled[partition] = 0  # a commit that will not be answered
        await until(lambda: _knows_nothing(loop), "what it has read is not taken for all there is")
        await bench.send("key", 2)
        assert not loop.consumer.caught_up
    await until(lambda: _caught_up(loop), "caught up again")
    assert await bench.counted() == [1, 2]


@contextmanager
def _deaf(loop: Any) -> Iterator[None]:
    """Nothing that Kafka sends to this consumer is read from its connections."""
    connections = list(loop._subscriber.consumer._client._conns.values())
    for connection in connections:
        connection._reader._transport.pause_reading()
    try:
        yield
    finally:
        for connection in connections:
            connection._reader._transport.resume_reading()


async def _is_fetching(loop: Any) -> bool:
    consumer = loop._subscriber.consumer
    return loop.consumer.caught_up and all(consumer.highwater(each) for each in consumer.assignment())


async def _knows_nothing(loop: Any) -> bool:
    return not loop.consumer.lag


async def _caught_up(loop: Any) -> bool:
    return bool(loop.consumer.caught_up)


async def _has(bench: Bench, numbers: list[int]) -> bool:
    return await bench.counted() == numbers


async def _kept(bench: Bench, count: int) -> bool:
    return bool(await bench.pool.fetchval("select count(*) from set_aside") == count)


async def test_a_hanging_handler_is_cut_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.messaging.consumer.BATCH_DEADLINE_SECONDS", 0.2)
    hang = True

    async def hanging(transaction: Transaction, batch: Sequence[Received]) -> None:
        nonlocal hang
        if hang:
            hang = False
            await asyncio.Event().wait()
        await count(transaction, batch)

    await bench.send("key", 1)
    await bench.consume(hanging)
    await until(lambda: _has(bench, [1]), "counted at the second try")
