"""What commits is published, what rolls back is not, and what a dead publisher left is recovered."""

import asyncio
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from prometheus_client import REGISTRY

from shared.clock import utc_now
from shared.messaging.errors import PublishFailed
from shared.messaging.outbox import IDLE_SECONDS, STRANDED_AFTER_SECONDS, STRANDED_LIMIT, Outbox
from shared.messaging.producer import ACKNOWLEDGE_SECONDS
from shared.messaging.transaction import Transaction
from tests.integration.messaging.conftest import DEADLINE_SECONDS, Bench, until
from tests.integration.wired import is_ours


async def published(bench: Bench, count: int) -> list[Any]:
    consumer = AIOKafkaConsumer(bench.topic, bootstrap_servers=bench.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


async def refuse(*_: object) -> None:
    raise PublishFailed("Kafka is away")


async def test_a_commit_publishes_with_cloud_events_headers_and_forgets_the_row(bench: Bench) -> None:
    async with bench.transactions.begin() as transaction:
        transaction.send(
            bench.message(name="a", number=1),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
    (record,) = await published(bench, 1)
    headers = {name: value.decode() for name, value in record.headers}
    assert headers["ce_type"] == "Ping"
    assert headers["ce_subject"] == "a"
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_id"] == str(bench.message(name="a", number=1).event_id)
    assert headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert "b7ad6b7169203331" not in headers["traceparent"]
    await bench.outbox.forget()
    assert await _rows(bench) == 0


async def test_a_rollback_publishes_nothing(bench: Bench) -> None:
    with pytest.raises(RuntimeError):
        async with bench.transactions.begin() as transaction:
            transaction.send(bench.message(name="a", number=1))
            raise RuntimeError("changed its mind")
    async with bench.transactions.begin() as transaction:
        transaction.send(bench.message(name="a", number=2))
    (record,) = await published(bench, 1)
    assert b'"number":2' in record.value


async def test_what_fails_only_as_it_commits_publishes_nothing(bench: Bench) -> None:
    await bench.pool.execute("alter table counted add unique (name) deferrable initially deferred")
    with pytest.raises(asyncpg.UniqueViolationError):
        async with bench.transactions.begin() as transaction:
            transaction.send(bench.message(name="a", number=1))
            await transaction.connection.execute("insert into counted values (1, 'a'), (2, 'a')")
    async with bench.transactions.begin() as transaction:
        transaction.send(bench.message(name="a", number=2))
    (record,) = await published(bench, 1)
    assert b'"number":2' in record.value


async def test_where_two_transactions_met_the_second_is_done_again(bench: Bench) -> None:
    tries = 0

    async def work(transaction: Transaction) -> int:
        nonlocal tries
        tries += 1
        transaction.send(bench.message(name="a", number=tries))
        if tries == 1:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        return tries

    assert await bench.transactions.run(work) == 2
    (record,) = await published(bench, 1)
    assert b'"number":2' in record.value


async def test_what_kafka_refused_stays_and_is_recovered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(bench.producer, "publish", refuse)
        async with bench.transactions.begin() as transaction:
            transaction.send(bench.message(name="a", number=1))
    assert await _rows(bench) == 1
    assert await bench.outbox.recover(older_than_seconds=0) == 1
    assert len(await published(bench, 1)) == 1
    assert await _rows(bench) == 0


async def test_a_poller_that_waits_for_kafka_holds_no_lock_and_no_other_does_its_work_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _stranded(bench, monkeypatch, 1)
    asked, acknowledged = asyncio.Event(), asyncio.Event()

    async def slow(*_: object) -> None:
        asked.set()
        await acknowledged.wait()

    monkeypatch.setattr(bench.producer, "publish", slow)
    other = Outbox(bench.pool, bench.producer, bench.topic, utc_now)
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
        polling = group.create_task(bench.outbox.recover())
        await asked.wait()
        assert len(await bench.pool.fetch("select 1 from outbox for update nowait")) == 1
        assert await other.recover() == 0
        acknowledged.set()
    assert polling.result() == 1
    assert await _rows(bench) == 0


async def test_a_row_is_left_to_its_publisher_for_longer_than_kafka_may_take(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _stranded(bench, monkeypatch, 1, seconds=ACKNOWLEDGE_SECONDS + IDLE_SECONDS)
    assert await bench.outbox.recover() == 0
    await bench.pool.execute(
        "update outbox set written_at = now() - make_interval(secs => $1)", STRANDED_AFTER_SECONDS
    )
    assert await bench.outbox.recover() == 1
    assert await _rows(bench) == 0


async def test_what_a_poller_did_not_finish_is_claimed_again_after_as_long(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _stranded(bench, monkeypatch, 1)
    with monkeypatch.context() as patched:
        patched.setattr(bench.producer, "publish", refuse)
        with pytest.raises(PublishFailed):
            await bench.outbox.recover()
    assert await bench.outbox.recover() == 0
    await bench.pool.execute("update outbox set claimed_at = claimed_at - interval '1 minute'")
    assert await bench.outbox.recover() == 1
    assert len(await published(bench, 1)) == 1
    assert await _rows(bench) == 0


async def test_what_kafka_never_takes_does_not_hold_up_those_behind_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _stranded(bench, monkeypatch, STRANDED_LIMIT + 1)
    with monkeypatch.context() as patched:
        patched.setattr(bench.producer, "publish", refuse)
        with pytest.raises(PublishFailed):
            await bench.outbox.recover()
    assert await bench.outbox.recover() == 1
    (record,) = await published(bench, 1)
    assert b'"number":%d' % STRANDED_LIMIT in record.value


async def test_acknowledged_rows_go_with_the_next_transaction(bench: Bench) -> None:
    for number in (1, 2):
        async with bench.transactions.begin() as transaction:
            transaction.send(bench.message(name="a", number=number))
    assert await _rows(bench) == 1


async def test_keys_land_where_kafkas_own_partitioner_puts_them(bench: Bench) -> None:
    from aiokafka.partitioner import DefaultPartitioner

    from shared.messaging.producer import _hash

    for key in (b"a", b"subscription-1", b"8953017200000000017", "ñandú".encode()):
        assert _hash(key) % 12 == DefaultPartitioner()(key, list(range(12)), list(range(12)))


async def test_callbacks_run_after_the_commit_only(bench: Bench) -> None:
    called: list[str] = []
    with pytest.raises(RuntimeError):
        async with bench.transactions.begin() as transaction:
            transaction.after_commit(lambda: called.append("rolled back"))
            raise RuntimeError
    async with bench.transactions.begin() as transaction:
        transaction.after_commit(lambda: called.append("committed"))
        assert called == []
    assert called == ["committed"]


async def test_the_outbox_costs_one_statement_whatever_the_number_of_events(bench: Bench) -> None:
    counts = []
    for size in (1, 200):
        statements: list[str] = []

        def note(query: Any, statements: list[str] = statements) -> None:
            statements.append(query.query)

        async with bench.transactions.begin() as transaction:
            connection = transaction.connection
            connection.add_query_logger(note)
            for number in range(size):
                transaction.send(bench.message(name=f"k{number}", number=size * 1_000 + number))
        counts.append(sum(map(is_ours, statements)))
    assert counts == [1, 1]


async def _rows(bench: Bench) -> int:
    return int(await bench.pool.fetchval("select count(*) from outbox"))


async def _stranded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, count: int, seconds: float = STRANDED_AFTER_SECONDS
) -> None:
    """That many batches whose publisher was refused so long ago."""
    with monkeypatch.context() as patched:
        patched.setattr(bench.producer, "publish", refuse)
        for number in range(count):
            async with bench.transactions.begin() as transaction:
                transaction.send(bench.message(name="a", number=number))
    await bench.pool.execute("update outbox set written_at = written_at - make_interval(secs => $1)", seconds)


async def test_the_loop_forgets_when_idle(bench: Bench) -> None:
    stopping = asyncio.Event()
    running = asyncio.create_task(bench.outbox.run(stopping))
    async with bench.transactions.begin() as transaction:
        transaction.send(bench.message(name="a", number=1))

    async def empty() -> bool:
        return await _rows(bench) == 0

    await until(empty, "the outbox is empty")
    stopping.set()
    await running


async def test_the_age_is_told_while_kafka_refuses(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.producer, "publish", refuse)
    async with bench.transactions.begin() as transaction:
        transaction.send(bench.message(name="a", number=1))
    await bench.pool.execute("update outbox set written_at = now() - interval '2 minutes'")
    with pytest.raises(PublishFailed):
        await bench.outbox.run(asyncio.Event())
    told = REGISTRY.get_sample_value("recarga_outbox_oldest_seconds", {"service": bench.topic})
    assert told is not None
    assert told >= 120


async def test_two_transactions_at_once_forget_different_rows(bench: Bench) -> None:
    for number in range(10):
        async with bench.transactions.begin() as transaction:
            transaction.send(bench.message(name="a", number=number))

    async def one_more(number: int) -> None:
        async with bench.transactions.begin() as transaction:
            transaction.send(bench.message(name="b", number=number))

    await asyncio.gather(*(one_more(number) for number in range(100, 104)))
    await bench.outbox.forget()
    assert await _rows(bench) == 0
