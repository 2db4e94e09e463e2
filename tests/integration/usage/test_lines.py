"""Usage records come in over HTTP too, line by line, counted by the code that counts those of Kafka."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import asyncpg

from services.usage.records.lines import MAX_LINES
from shared.contracts.usage_records import UsageRecorded
from shared.database import Connection
from tests.integration.usage.conftest import T0, record, someone, subscription, top_up
from tests.integration.wired import HTTP_SECONDS, Reply, Wired

NDJSON = {"content-type": "application/x-ndjson"}
PATH = "/v1/usage-records"


def body_of(records: Sequence[UsageRecorded]) -> bytes:
    return b"".join(each.model_dump_json(exclude_none=True).encode() + b"\n" for each in records)


def post(usage: Wired, body: bytes, headers: dict[str, str] | None = None) -> Reply:
    """The answer; of a 200 the body is the list of its lines. Blocking."""
    connection = HTTPConnection("127.0.0.1", usage.port, timeout=HTTP_SECONDS)
    try:
        connection.request("POST", PATH, body, NDJSON | (headers or {}))
        response = connection.getresponse()
        text = response.read()
        if response.status == 200:
            assert response.getheader("content-type") == "application/x-ndjson"
            return Reply(200, [json.loads(line) for line in text.splitlines()])
        return Reply(response.status, json.loads(text))
    finally:
        connection.close()


async def sent(usage: Wired, *lines: UsageRecorded | bytes) -> list[dict[str, Any]]:
    """The answers to these lines."""
    body = b"\n".join(
        each if isinstance(each, bytes) else each.model_dump_json(exclude_none=True).encode()
        for each in lines
    )
    reply = await asyncio.to_thread(post, usage, body)
    assert reply.status == 200, reply
    answers: list[dict[str, Any]] = reply.body
    return answers


def results(answers: Sequence[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(each["line"], each["result"]) for each in answers]


async def known(usage: Wired, granted: int = 10_000) -> tuple[str, str]:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    await usage.consume("top-ups", top_up(who, 1, granted))
    return who, its_iccid


async def used(usage: Wired, who: str) -> int:
    reply = await usage.request("GET", f"/v1/subscriptions/{who}/buckets")
    size: int = reply.body["used_bytes"]
    return size


async def test_each_line_is_told_what_became_of_it_and_what_to_do(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    _, nobodys = someone()
    day = timedelta(days=1)
    first = record(its_iccid, f"{who}-1", 100)
    answers = await sent(
        usage,
        first,
        first,
        record(its_iccid, f"{who}-1", 101),
        first.model_copy(update={"country": "MX"}),
        record(its_iccid, f"{who}-old", 1, started_at=T0 - 99 * day),
        record(its_iccid, f"{who}-large", 2**41),
        record(its_iccid, f"{who}-future", 1, started_at=T0 + 99 * day),
        record(its_iccid, f"{who}-back", 1).model_copy(update={"started_at": T0 + day}),
        record(nobodys, f"{who}-nobody", 1),
        b"",
        b"{nonsense",
        record(its_iccid, f"{who}-nothing", 0),
    )
    assert results(answers) == [
        (1, "counted"),
        (2, "duplicate"),
        (3, "changed_repeat"),
        (4, "changed_repeat"),
        (5, "too_old"),
        (6, "too_large"),
        (7, "in_future"),
        (8, "ends_before_start"),
        (9, "unknown_iccid"),
        (11, "invalid"),
        (12, "counted"),
    ]
    for each in answers:
        counted = each["result"] == "counted"
        assert ("detail" in each) != counted
        assert counted or each["detail"].endswith(".")
    assert await used(usage, who) == 100
    # What is stored says as much as what has just come.
    other_device = first.model_copy(update={"country": None, "imei": "490154203237518"})
    elsewhere = first.model_copy(update={"country": "MX"})
    again = await sent(usage, first, other_device, elsewhere)
    assert results(again) == [(1, "duplicate"), (2, "duplicate"), (3, "changed_repeat")]


async def test_a_line_that_is_no_record_is_told_where_it_is_wrong_and_stops_nothing(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    good = json.loads(record(its_iccid, f"{who}-1", 7).model_dump_json(exclude_none=True))
    bad: list[tuple[bytes, str | None]] = [
        (b"[]", None),
        (b'"text"', None),
        (b"\xff\xfe", None),
        (b"{" + b" " * 4_000 + b"}", None),
        (b'{"a": ' + b"[" * 1_500, None),
        (json.dumps(good | {"iccid": "8953010000000000019"}).encode(), "iccid"),
        (json.dumps(good | {"bytes_up": "7"}).encode(), "bytes_up"),
        (json.dumps(good | {"bytes_up": -1}).encode(), "bytes_up"),
        (json.dumps(good | {"record_id": "a\x00b"}).encode(), "record_id"),
        (json.dumps(good | {"ended_at": "2026-11-23T08:00:00"}).encode(), "ended_at"),
        (json.dumps(good | {"imeI": "490154203237518"}).encode(), None),
    ]
    answers = await sent(usage, *(line for line, _ in bad), json.dumps(good).encode())
    assert [(each["result"], each.get("field")) for each in answers] == [
        *(("invalid", field) for _, field in bad),
        ("counted", None),
    ]
    assert all("Correct the line" in each["detail"] for each in answers[:-1])


async def test_a_record_counts_once_whichever_way_it_comes(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    records = [record(its_iccid, f"{who}-{number}", 10) for number in range(4)]
    await usage.consume("records", *records[:2])
    answers = await sent(usage, *records)
    assert [each["result"] for each in answers] == ["duplicate", "duplicate", "counted", "counted"]
    await usage.consume("records", *records, record(its_iccid, f"{who}-3", 11))
    assert await used(usage, who) == 40


async def test_both_ways_at_once_count_a_record_of_nobody_once(usage: Wired) -> None:
    who, its_iccid = someone()
    records = [record(its_iccid, f"{who}-{number}", 1) for number in range(50)]
    await asyncio.gather(
        *(sent(usage, *records[place:], *records[:place]) for place in range(0, 50, 10)),
    )
    kept = await usage.pool.fetchval("select count(*) from usage_records where iccid = $1", its_iccid)
    assert kept == 50


async def test_lines_are_counted_in_transactions_of_bounded_size(usage: Wired) -> None:
    who, its_iccid = await known(usage, 10**6)
    lines = [record(its_iccid, f"{who}-{number}", 1) for number in range(4_001)]
    answers = await sent(usage, *lines)
    assert [each["line"] for each in answers] == list(range(1, 4_002))
    assert {each["result"] for each in answers} == {"counted"}
    assert len({row["xmin"] for row in await _rows(usage, its_iccid)}) == 3
    assert await used(usage, who) == 4_001


async def _rows(usage: Wired, its_iccid: str) -> list[asyncpg.Record]:
    return list(await usage.pool.fetch("select xmin::text from usage_records where iccid = $1", its_iccid))


async def test_what_is_too_much_or_nothing_or_something_else_is_a_problem(usage: Wired) -> None:
    _, its_iccid = await known(usage)
    line = body_of([record(its_iccid, "x", 1)])
    for body, headers, status, problem in (
        (b"{}\n" * (MAX_LINES + 1), {}, 413, "too-many-lines"),
        (b" " * 5_000_000, {}, 413, "body-too-large"),
        (b"", {}, 400, "no-lines"),
        (b"\n \n\r\n", {}, 400, "no-lines"),
        (line, {"content-type": "application/json"}, 415, "unsupported-media-type"),
        (line, {"content-encoding": "gzip"}, 415, "unsupported-media-type"),
    ):
        reply = await asyncio.to_thread(post, usage, body, headers)
        assert (reply.status, reply.problem) == (status, problem)
        assert "nothing was done" in reply.body["detail"]


async def test_a_full_body_with_line_feeds_at_its_end_is_taken(usage: Wired) -> None:
    answers = await sent(usage, *[b"{}"] * MAX_LINES, b"", b"")
    assert len(answers) == MAX_LINES


async def test_a_connection_lost_halfway_leaves_a_prefix_and_all_of_it_again_counts_once(
    usage: Wired,
) -> None:
    who, its_iccid = await known(usage, 10**9)
    lines = [record(its_iccid, f"{who}-{number}", 1) for number in range(8_000)]
    reader, writer = await asyncio.open_connection("127.0.0.1", usage.port)
    body = body_of(lines)
    writer.write(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n".encode())
    writer.write(b"content-type: application/x-ndjson\r\n\r\n" + body)
    assert b"200" in await reader.readline()
    writer.transport.abort()
    again = await sent(usage, *lines)
    counted = [each["result"] == "duplicate" for each in again]
    assert counted == sorted(counted, reverse=True), "what counted the first time is a prefix"
    assert counted[0]
    assert await used(usage, who) == 8_000


async def test_half_a_body_counts_nothing(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    body = body_of([record(its_iccid, f"{who}-{number}", 1) for number in range(10)])
    _, writer = await asyncio.open_connection("127.0.0.1", usage.port)
    writer.write(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n".encode())
    writer.write(b"content-type: application/x-ndjson\r\n\r\n" + body[:-5])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    answers = await sent(usage, *[record(its_iccid, f"{who}-{number}", 1) for number in range(10)])
    assert {each["result"] for each in answers} == {"counted"}


@asynccontextmanager
async def a_backend_that_waits_is_ended(usage: Wired, who: str) -> AsyncIterator[None]:
    """Whoever wants that subscription's balance waits, and loses the connection to the database by it."""
    ending = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = current_user and wait_event_type = 'Lock'"
    )

    async def end(connection: Connection) -> None:
        async with asyncio.timeout(HTTP_SECONDS):
            while not await connection.fetch(ending):
                await asyncio.sleep(0.02)

    async with usage.pool.acquire() as holder, usage.pool.acquire() as other, holder.transaction():
        await holder.execute("select from balances where subscription_id = $1 for update", who)
        task = asyncio.create_task(end(other))
        yield
        await task


async def test_records_that_the_database_did_not_take_are_a_503_and_count_when_sent_again(
    usage: Wired,
) -> None:
    who, its_iccid = await known(usage)
    lines = [record(its_iccid, f"{who}-{number}", 1) for number in range(10)]
    async with a_backend_that_waits_is_ended(usage, who):
        reply = await asyncio.to_thread(post, usage, body_of(lines))
    assert (reply.status, reply.problem) == (503, "usage-not-counted")
    assert "Send all of them again" in reply.body["detail"]
    answers = await sent(usage, *lines)
    assert {each["result"] for each in answers} == {"counted"}
    assert await used(usage, who) == 10


async def test_what_was_answered_before_the_database_went_away_stays_counted(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    other, others_iccid = await known(usage)
    lines = [record(its_iccid, f"{who}-{number}", 1) for number in range(2_000)]
    lines += [record(others_iccid, f"{other}-{number}", 1) for number in range(4_000)]
    async with a_backend_that_waits_is_ended(usage, other):
        answers = await sent(usage, *lines)
    assert [each["result"] for each in answers] == ["counted"] * 2_000 + ["unavailable"] * 4_000
    assert (await used(usage, who), await used(usage, other)) == (2_000, 0)
    again = await sent(usage, *lines)
    assert [each["result"] for each in again] == ["duplicate"] * 2_000 + ["counted"] * 4_000
