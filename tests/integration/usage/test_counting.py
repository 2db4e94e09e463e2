"""Records come in once, buckets go down, triggers go out once per cycle."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import permutations

import pytest

from shared.contracts.quotas import QuotaExhausted, QuotaThresholdReached
from shared.contracts.usage_records import BalanceReported
from tests.integration.usage.conftest import LATER, T0, record, someone, subscription, top_up
from tests.integration.wired import Wired

GB = 10**9


async def known(usage: Wired, granted: int = GB) -> tuple[str, str]:
    """A subscription with a first top-up."""
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    await usage.consume("top-ups", top_up(who, 1, granted))
    return who, its_iccid


async def state(usage: Wired, who: str) -> dict[str, object]:
    """Everything that is kept of a subscription, to be compared."""
    reply = await usage.request("GET", f"/v1/subscriptions/{who}/buckets")
    assert reply.status == 200, reply
    body: dict[str, object] = reply.body
    return body


def triggers(usage: Wired, who: str) -> list[tuple[str, int]]:
    """What was said of a subscription: (type, cycle)."""
    said = [*usage.said(QuotaThresholdReached), *usage.said(QuotaExhausted)]
    return sorted((type(each).__name__, each.cycle) for each in said if each.subscription_id == who)


async def set_aside(usage: Wired, reason: str, who: str) -> list[str]:
    """The ids of the records of that subscription that were quarantined for that reason."""
    page = await usage.request("GET", f"/v1/quarantined-records?reason={reason}&limit=200")
    return [each["record_id"] for each in page.body["items"] if each["record_id"].startswith(f"{who}-")]


async def test_usage_takes_a_bucket_down_and_is_listed_newest_first(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    first = record(its_iccid, f"{who}-a", 200_000_000)
    second = record(its_iccid, f"{who}-b", 100_000_000, started_at=T0 + timedelta(hours=1))
    await usage.consume("records", second, first)
    now = await state(usage, who)
    assert now["remaining_bytes"] == 700_000_000
    assert now["used_bytes"] == 300_000_000
    page = await usage.request("GET", f"/v1/subscriptions/{who}/usage?limit=1")
    assert [each["record_id"] for each in page.body["items"]] == [f"{who}-b"]
    rest = await usage.request(
        "GET", f"/v1/subscriptions/{who}/usage?limit=1&cursor={page.body['next_cursor']}"
    )
    assert [each["record_id"] for each in rest.body["items"]] == [f"{who}-a"]
    assert rest.body["next_cursor"] is None


async def test_a_duplicate_counts_once_within_a_batch_and_across_batches(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    once = record(its_iccid, f"{who}-a", 100)
    await usage.consume("records", once, once)
    await usage.consume("records", once)
    assert (await state(usage, who))["used_bytes"] == 100


async def test_the_same_record_id_of_another_source_is_another_record(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    await usage.consume("records", record(its_iccid, f"{who}-a", 100))
    await usage.consume("records", record(its_iccid, f"{who}-a", 100, source="etecsa"))
    assert (await state(usage, who))["used_bytes"] == 200


async def test_each_trigger_is_said_once_per_cycle_and_armed_again_by_a_top_up(usage: Wired) -> None:
    who, its_iccid = await known(usage, granted=1000)
    await usage.consume("records", record(its_iccid, f"{who}-1", 899))
    assert triggers(usage, who) == []
    await usage.consume("records", record(its_iccid, f"{who}-2", 1))
    assert triggers(usage, who) == [("QuotaThresholdReached", 1)]
    await usage.consume("records", record(its_iccid, f"{who}-3", 50))
    await usage.consume("records", record(its_iccid, f"{who}-4", 80))
    await usage.consume("records", record(its_iccid, f"{who}-5", 10))
    assert triggers(usage, who) == [("QuotaExhausted", 1), ("QuotaThresholdReached", 1)]
    await usage.consume("top-ups", top_up(who, 2, 1000))
    await usage.consume("records", record(its_iccid, f"{who}-6", 2000))
    assert triggers(usage, who) == [
        ("QuotaExhausted", 1),
        ("QuotaExhausted", 2),
        ("QuotaThresholdReached", 1),
        ("QuotaThresholdReached", 2),
    ]
    now = await state(usage, who)
    assert now["overrun_bytes"] == 40 + 1000


async def test_a_trigger_says_what_is_left_of_how_much(usage: Wired) -> None:
    who, its_iccid = await known(usage, granted=1000)
    await usage.consume("records", record(its_iccid, f"{who}-1", 950))
    (said,) = [each for each in usage.said(QuotaThresholdReached) if each.subscription_id == who]
    assert (said.remaining_bytes, said.threshold_bytes, said.cycle) == (50, 100, 1)


async def test_nothing_is_said_of_data_that_was_never_measured(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    await usage.consume("records", record(its_iccid, f"{who}-1", 5000))
    assert triggers(usage, who) == []
    assert (await state(usage, who))["overrun_bytes"] == 5000


async def test_a_replay_of_everything_from_the_beginning_changes_nothing(usage: Wired) -> None:
    who, its_iccid = someone()
    history = [
        ("subscriptions", subscription(who, its_iccid)),
        ("top-ups", top_up(who, 1, 1000)),
        ("records", record(its_iccid, f"{who}-1", 950)),
        ("top-ups", top_up(who, 2, 1000, "queue")),
        ("records", record(its_iccid, f"{who}-2", 100)),
        ("top-ups", top_up(who, 3, 500, "replace", LATER + timedelta(days=9))),
        ("records", record(its_iccid, f"{who}-3", 490)),
    ]
    for consumer, message in history:
        await usage.consume(consumer, message)
    before, said = await state(usage, who), triggers(usage, who)
    rows = await usage.pool.fetch("select * from buckets where subscription_id = $1 order by bucket_id", who)
    for consumer, message in history:
        await usage.consume(consumer, message)
    assert await state(usage, who) == before
    assert triggers(usage, who) == said
    after = await usage.pool.fetch("select * from buckets where subscription_id = $1 order by bucket_id", who)
    assert after == rows


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
async def test_top_ups_end_the_same_in_whatever_order_they_arrive(
    usage: Wired, order: tuple[int, ...]
) -> None:
    who, _ = someone()
    top_ups = {
        1: top_up(who, 1, 1000, "extend", LATER),
        2: top_up(who, 2, 2000, "replace", LATER + timedelta(days=1)),
        3: top_up(who, 3, 4000, "extend", LATER + timedelta(days=2)),
    }
    for cycle in order:
        await usage.consume("top-ups", top_ups[cycle])
    now = await state(usage, who)
    assert now["remaining_bytes"] == 6000
    assert (now["cycle"], now["threshold_bytes"]) == (3, 400)
    lasting = (LATER + timedelta(days=2)).isoformat().replace("+00:00", "Z")
    buckets = now["buckets"]
    assert isinstance(buckets, list)
    assert {bucket["expires_at"] for bucket in buckets} == {lasting}


async def test_a_batch_takes_the_same_statements_for_one_subscription_and_for_200(usage: Wired) -> None:
    people = [someone() for _ in range(200)]
    numbers = []
    for some in (people[:1], people):
        await usage.consume("subscriptions", *(subscription(*person) for person in some))
        subscriptions = len(usage.statements)
        await usage.consume("top-ups", *(top_up(who, 7, 1000) for who, _ in some))
        top_ups = len(usage.statements)
        size = len(some)
        await usage.consume("records", *(record(its_iccid, f"{who}-{size}", 950) for who, its_iccid in some))
        numbers.append((subscriptions, top_ups, len(usage.statements)))
        if size == 1:
            people = people[1:]
    assert numbers[0] == numbers[1]
    assert max(numbers[0]) <= 6


async def updates(usage: Wired) -> dict[str, tuple[int, int]]:
    """Rows updated so far, and how many of them within their page, by table."""
    async with AsyncExitStack() as held:
        for _ in range(usage.pool.get_max_size()):
            # Each backend counts for itself and tells later: ask every one.
            connection = await held.enter_async_context(usage.pool.acquire())
            await connection.execute("select pg_stat_force_next_flush()")
        rows = await connection.fetch(
            "select relname, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables"
            " where schemaname = current_schema() and relname = 'balances'"
        )
    return {row["relname"]: (row["n_tup_upd"], row["n_tup_hot_upd"]) for row in rows}


async def test_usage_updates_stay_within_the_page(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    before = await updates(usage)
    for number in range(60):
        await usage.consume("records", record(its_iccid, f"{who}-hot-{number}", 10))
    after = await updates(usage)
    total, hot = (new - old for new, old in zip(after["balances"], before["balances"], strict=True))
    assert total == 60
    assert hot >= 55


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bytes_down": 2**41}, "too_large"),
        ({"started_at": T0 + timedelta(hours=2)}, "ends_before_start"),
        ({"ended_at": T0 + timedelta(days=40_000)}, "in_future"),
        ({"started_at": T0 - timedelta(days=99), "ended_at": T0 - timedelta(days=99)}, "too_old"),
    ],
)
async def test_an_absurd_record_is_set_aside_for_a_person_and_takes_nothing(
    usage: Wired, change: dict[str, object], reason: str
) -> None:
    who, its_iccid = await known(usage)
    absurd = record(its_iccid, f"{who}-absurd", 100).model_copy(update=change)
    await usage.consume("records", absurd, record(its_iccid, f"{who}-good", 100))
    assert (await state(usage, who))["used_bytes"] == 100
    page = await usage.request("GET", f"/v1/subscriptions/{who}/usage")
    assert [each["record_id"] for each in page.body["items"]] == [f"{who}-good"]
    assert await set_aside(usage, reason, who) == [f"{who}-absurd"]


async def test_a_carriers_report_is_kept_once(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    report = BalanceReported(
        source="cubacel", report_id=f"{who}-r", iccid=its_iccid, remaining_bytes=5, reported_at=T0
    )
    await usage.consume("records", report, report, record(its_iccid, f"{who}-a", 100))
    await usage.consume("records", report)
    kept = await usage.pool.fetch("select remaining_bytes from balance_reports where iccid = $1", its_iccid)
    assert [row["remaining_bytes"] for row in kept] == [5]
    assert (await state(usage, who))["used_bytes"] == 100


async def test_processes_that_count_for_the_same_people_at_once_lose_nothing(usage: Wired) -> None:
    people = [await known(usage) for _ in range(20)]
    handle = usage.consumer("records").handle

    async def count(process: int) -> None:
        order = people if process % 2 else people[::-1]
        batch = [
            usage.received(record(its_iccid, f"{who}-{number}", 1))
            for number in range(process, process + 3)
            for who, its_iccid in order
        ]
        await usage.transactions.run(lambda transaction: handle(transaction, batch))  # type: ignore[arg-type, call-arg]

    await asyncio.gather(*(count(process) for process in range(5)))
    for who, _ in people:
        # Records 0 to 6: those that two processes read count once.
        assert (await state(usage, who))["used_bytes"] == 7


async def test_a_top_up_and_usage_at_the_same_time_lose_nothing(usage: Wired) -> None:
    who, its_iccid = await known(usage, granted=1000)
    together = [
        usage.consume("records", record(its_iccid, f"{who}-{number}", 100)) for number in range(8)
    ] + [usage.consume("top-ups", top_up(who, cycle, 1000)) for cycle in (2, 3)]
    await asyncio.gather(*together)
    now = await state(usage, who)
    assert (now["remaining_bytes"], now["overrun_bytes"]) == (3000 - 800, 0)
