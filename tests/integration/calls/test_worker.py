"""The call worker: every claimed row is called once, its outcome written, whatever breaks on the way."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from shared.calls.breaker import Sign
from shared.calls.calls import Claimed
from shared.calls.lane import Lane
from shared.calls.worker import CallWorker
from shared.clock import utc_now
from shared.database import Connection, open_pool
from shared.messaging.outbox import Outbox
from shared.messaging.producer import Producer
from shared.messaging.transaction import Transaction, Transactions
from tests.conftest import FreshDatabase

DEADLINE_SECONDS = 10.0
GATEWAY = "far away"


class Rows:
    """A table of jobs, as a service has one."""

    def __init__(self, pool: Any, transactions: Transactions) -> None:
        self.pool = pool
        self.transactions = transactions
        self.called: list[int] = []
        self.write_failures = 0

    async def add(self, *jobs: int, leased: bool = False) -> None:
        await self.pool.executemany(
            "insert into jobs (job, lease_until)"
            " values ($1, case when $2 then now() + interval '1 hour' end)",
            [(job, leased) for job in jobs],
        )

    def gateway(self, _job: int) -> str:
        return GATEWAY

    def is_urgent(self, job: int) -> bool:
        return job % 2 == 0

    def sign(self, _job: int, _outcome: int) -> Sign:
        return Sign.ANSWERED

    def put_off(self, job: int) -> int:
        raise AssertionError(f"{job} was put off by a gateway that is well")

    def excused(self, job: int, outcome: int) -> int:
        raise AssertionError(f"{job} was excused: {outcome}")

    async def queued(self, _connection: Connection) -> Mapping[str, int]:
        return {}

    async def call(self, job: int) -> int:
        self.called.append(job)
        if job < 0:
            raise ValueError("a defect of ours")
        return job

    async def record(self, transaction: Transaction, outcomes: Sequence[int]) -> Sequence[int]:
        if self.write_failures:
            self.write_failures -= 1
            raise ConnectionResetError("the database went away")
        if 13 in outcomes:
            raise ValueError("13 cannot be written")
        await transaction.connection.execute(
            "update jobs set done = true where job = any($1::int[])", outcomes
        )
        return [outcome + 1000 for outcome in outcomes if outcome == 7]

    async def claim(self, connection: Connection, limit: int, _wanted: object) -> Claimed[int]:
        rows = await connection.fetch(
            "update jobs set lease_until = clock_timestamp() + interval '1 hour' where job in ("
            " select job from jobs where not done"
            " and (lease_until is null or lease_until < clock_timestamp())"
            " order by job limit $1 for update skip locked) returning job",
            limit,
        )
        return Claimed([row["job"] for row in rows])

    async def done(self) -> list[int]:
        return [row["job"] for row in await self.pool.fetch("select job from jobs where done order by job")]

    async def until_done(self, jobs: list[int]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await self.done() != jobs:
                await asyncio.sleep(0.01)


@pytest.fixture
async def rows(fresh_database: FreshDatabase, kafka_bootstrap: str) -> AsyncIterator[Rows]:
    pool = await open_pool(await fresh_database(), application_name="tests", connections=4)
    await pool.execute(
        "create table jobs"
        " (job integer primary key, lease_until timestamptz, done boolean not null default false)"
    )
    producer = Producer(kafka_bootstrap, "tests", "tests")
    yield Rows(pool, Transactions(pool, Outbox(pool, producer, "tests", utc_now), utc_now))
    await pool.close()


def worker_of(
    rows: Rows, *, usual: int = 64, backlog: int = 1_000, claim_limit: int = 200, poll_seconds: float = 0.05
) -> CallWorker[int, int]:
    lane = Lane[int]("tests", GATEWAY, usual=usual, backlog=backlog)
    return CallWorker(
        "tests", rows.transactions, rows, [lane], claim_limit=claim_limit, poll_seconds=poll_seconds
    )


class Running:
    def __init__(self, worker: CallWorker[int, int]) -> None:
        self.worker = worker
        self.stopping = asyncio.Event()

    async def __aenter__(self) -> CallWorker[int, int]:
        self.task = asyncio.create_task(self.worker.run(self.stopping))
        return self.worker

    async def __aexit__(self, *_: object) -> None:
        self.stopping.set()
        await self.task


async def test_submitted_jobs_are_called_once_and_written(rows: Rows) -> None:
    await rows.add(1, 2, 3, leased=True)
    async with Running(worker_of(rows)) as worker:
        worker.submit([1, 2, 3])
        await rows.until_done([1, 2, 3])
    assert sorted(rows.called) == [1, 2, 3]


async def test_rows_that_nobody_holds_are_claimed(rows: Rows) -> None:
    await rows.add(1, 2)
    async with Running(worker_of(rows)):
        await rows.until_done([1, 2])
    assert sorted(rows.called) == [1, 2]


async def test_two_workers_never_call_the_same_row(rows: Rows) -> None:
    jobs = list(range(14, 214))
    await rows.add(*jobs)
    async with Running(worker_of(rows, claim_limit=10)), Running(worker_of(rows, claim_limit=10)):
        await rows.until_done(jobs)
    assert sorted(rows.called) == jobs


async def test_a_follow_up_is_called_after_the_commit(rows: Rows) -> None:
    await rows.add(7, 1007, leased=True)
    async with Running(worker_of(rows)) as worker:
        worker.submit([7])
        await rows.until_done([7, 1007])


async def test_an_outcome_is_written_once_the_database_is_back(rows: Rows) -> None:
    rows.write_failures = 2
    await rows.add(1, leased=True)
    async with Running(worker_of(rows)) as worker:
        worker.submit([1])
        await rows.until_done([1])
    assert rows.called == [1]


async def test_an_outcome_that_cannot_be_written_does_not_spoil_the_others(rows: Rows) -> None:
    await rows.add(12, 13, 14, leased=True)
    async with Running(worker_of(rows)) as worker:
        worker.submit([12, 13, 14])
        await rows.until_done([12, 14])


async def test_a_call_that_breaks_leaves_the_row_to_its_lease(rows: Rows) -> None:
    await rows.add(-1, 2, leased=True)
    async with Running(worker_of(rows)) as worker:
        worker.submit([-1, 2])
        await rows.until_done([2])
        assert await worker.room(1_000) == 1_000


async def test_room_is_bounded_and_waiting_for_it_too(rows: Rows) -> None:
    worker = worker_of(rows, backlog=10)
    worker.submit(range(100, 108))
    assert await worker.room(2, wait_seconds=0.01) == 2
    assert await worker.room(10, wait_seconds=0.01) == 2


async def test_stopping_writes_what_was_asked_and_leaves_what_waits(rows: Rows) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    class Slow(Rows):
        async def call(self, job: int) -> int:
            asked.set()
            await may_answer.wait()
            return job

    await rows.add(1, 3, leased=True)
    worker = worker_of(Slow(rows.pool, rows.transactions), usual=1, poll_seconds=60)
    stopping = asyncio.Event()
    task = asyncio.create_task(worker.run(stopping))
    worker.submit([1, 3])
    await asked.wait()
    stopping.set()
    while await worker.room(1):  # it has not noticed yet
        await asyncio.sleep(0)
    may_answer.set()
    await task
    assert await rows.done() == [1]
