"""What networks do to usage records: late, out of order, at midnight, of nothing, of nobody yet."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from itertools import permutations

import pytest

from shared.clock import utc_now
from shared.contracts.checks import luhn_digit
from shared.contracts.devices import ForeignDeviceSeen
from shared.contracts.quotas import QuotaExhausted, QuotaMessage, QuotaThresholdReached
from shared.contracts.subscriptions import SubscriptionChanged
from shared.contracts.usage_records import UsageRecorded
from tests.integration.usage.conftest import LATER, T0, record, sold, someone, subscription, top_up
from tests.integration.wired import Wired

HOUR = timedelta(hours=1)
DEADLINE_SECONDS = 10.0
HAVANA = timezone(timedelta(hours=-5))
KIRITIMATI = timezone(timedelta(hours=14))


def imei(number: int) -> str:
    digits = f"35{number:012d}"
    return digits + luhn_digit(digits)


async def known(usage: Wired, granted: int = 1_000, *, carrier: str = "cubacel") -> tuple[str, str]:
    who, its_iccid = someone()
    it = subscription(who, its_iccid).model_copy(update={"carrier": carrier})
    await usage.consume("subscriptions", it)
    await usage.consume("top-ups", top_up(who, 1, granted))
    return who, its_iccid


async def totals(usage: Wired, who: str) -> tuple[int, int, int]:
    """Used, left and overrun."""
    body = (await usage.request("GET", f"/v1/subscriptions/{who}/buckets")).body
    return body["used_bytes"], body["remaining_bytes"], body["overrun_bytes"]


def said(usage: Wired, kind: type[QuotaMessage], who: str) -> list[int]:
    return [each.cycle for each in usage.said(kind) if each.subscription_id == who]


def ended(one: UsageRecorded, started_at: datetime, ended_at: datetime) -> UsageRecorded:
    return one.model_copy(update={"started_at": started_at, "ended_at": ended_at})


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_records_may_come_in_any_order(usage: Wired, order: Sequence[int]) -> None:
    who, its_iccid = await known(usage)
    records = [record(its_iccid, f"{who}-{n}", 300, started_at=T0 + n * HOUR) for n in range(3)]
    for place in order:
        await usage.consume("records", records[place])
    assert await totals(usage, who) == (900, 100, 0)
    assert said(usage, QuotaThresholdReached, who) == [1]


async def test_a_late_record_is_taken_from_the_bucket_that_was_open_when_it_began(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    await usage.consume("top-ups", top_up(who, 1, 1_000, "queue", expires_at=T0 + HOUR))
    await usage.consume("top-ups", top_up(who, 2, 1_000, "queue"))
    early = record(its_iccid, f"{who}-early", 10, started_at=T0)
    after = record(its_iccid, f"{who}-after", 20, started_at=T0 + 2 * HOUR)
    await usage.consume("records", after, early)
    page = await usage.request("GET", f"/v1/subscriptions/{who}/usage")
    assert {each["record_id"]: each["taken"] for each in page.body["items"]} == {
        f"{who}-after": {"top-up-2": 20},
        f"{who}-early": {"top-up-1": 10},
    }


async def test_a_late_record_says_something_of_the_current_cycle_only(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    await usage.consume("top-ups", top_up(who, 2, 1_000, "queue"))
    late = record(its_iccid, f"{who}-late", 1_950)
    await usage.consume("records", ended(late, T0 - 5 * HOUR, T0 + HOUR))
    assert said(usage, QuotaThresholdReached, who) == [2]
    assert said(usage, QuotaExhausted, who) == []


@pytest.mark.parametrize("is_late", [False, True])
async def test_what_was_used_before_a_top_up_is_not_taken_from_it_however_late_its_record_comes(
    usage: Wired, is_late: bool
) -> None:
    who, its_iccid = await known(usage)
    before = record(its_iccid, f"{who}-before", 1_300)
    bought = top_up(who, 2, 1_000, applied_at=T0 + HOUR)
    after = record(its_iccid, f"{who}-after", 20, started_at=T0 + 2 * HOUR)
    if not is_late:
        await usage.consume("records", before)
    await usage.consume("top-ups", bought)
    if is_late:
        await usage.consume("records", before)
    await usage.consume("records", after)
    assert await totals(usage, who) == (1_320, 980, 300)
    page = await usage.request("GET", f"/v1/subscriptions/{who}/usage")
    assert {each["record_id"]: each["taken"] for each in page.body["items"]} == {
        f"{who}-after": {"top-up-2": 20},
        f"{who}-before": {"top-up-1": 1_000},
    }


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_a_top_up_has_as_much_left_whichever_record_of_before_and_after_comes_first(
    usage: Wired, order: Sequence[int]
) -> None:
    who, its_iccid = await known(usage)
    await usage.consume("top-ups", top_up(who, 2, 1_000, applied_at=T0 + HOUR))
    records = [
        record(its_iccid, f"{who}-{n}", size, started_at=T0 + n * HOUR)
        for n, size in enumerate((900, 300, 400))
    ]
    for place in order:
        await usage.consume("records", records[place])
    assert await totals(usage, who) == (1_600, 400, 0)
    for bucket_id, left in (("top-up-1", 0), ("top-up-2", 400)):
        path = f"/v1/subscriptions/{who}/buckets/{bucket_id}/history?by=day"
        history = (await usage.request("GET", path)).body
        assert sum(item["size_bytes"] for item in history["items"]) == left


async def test_where_overrun_is_owed_the_next_bucket_pays_for_late_records_too(usage: Wired) -> None:
    settings = {"counting": "records", "overrun": "next_bucket", "version": 0}
    assert (await usage.request("PUT", "/v1/carriers/paid", settings)).status == 200
    who, its_iccid = await known(usage, carrier="paid")
    await usage.consume("top-ups", top_up(who, 2, 1_000, "queue", applied_at=T0 + HOUR))
    await usage.consume("records", record(its_iccid, f"{who}-before", 1_300))
    assert await totals(usage, who) == (1_300, 700, 0)


async def test_a_balance_as_the_version_before_wrote_it_is_counted_on(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    as_before = "update balances set open_buckets = $2 where subscription_id = $1"
    later = int(LATER.timestamp()) * 10**6
    await usage.pool.execute(as_before, who, json.dumps([["top-up-1", 1, "extend", 1, 700, later]]))
    await usage.consume("records", record(its_iccid, f"{who}-early", 100, started_at=T0 - 5 * HOUR))
    assert (await totals(usage, who))[1:] == (600, 0)
    await usage.consume("top-ups", sold(who, 2, "extend", 24 * HOUR))
    assert (await totals(usage, who))[1:] == (1_600, 0)


@pytest.mark.parametrize("offset", [HAVANA, KIRITIMATI])
async def test_midnight_is_utcs_whatever_offset_a_record_has(usage: Wired, offset: timezone) -> None:
    who, its_iccid = await known(usage)
    midnight = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    before, after = midnight - timedelta(seconds=1), midnight
    pair = [
        ended(record(its_iccid, f"{who}-before", 1), before - HOUR, before),
        ended(record(its_iccid, f"{who}-after", 2), after - HOUR, after),
    ]
    await usage.consume("records", *pair)
    elsewhere = [
        ended(one, one.started_at.astimezone(offset), one.ended_at.astimezone(offset)) for one in pair
    ]
    await usage.consume("records", *elsewhere)
    assert await totals(usage, who) == (3, 997, 0)
    days = await usage.pool.fetch(
        "select ended_on from usage_records where iccid = $1 order by ended_on", its_iccid
    )
    assert [row["ended_on"] for row in days] == [before.date(), after.date()]


async def test_the_same_name_on_another_day_is_another_record(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    one = record(its_iccid, f"{who}-a", 5)
    await usage.consume("records", one, ended(one, T0 - 24 * HOUR, T0 - 23 * HOUR))
    assert (await totals(usage, who))[0] == 10


async def test_zero_bytes_are_a_record_that_takes_nothing_and_says_nothing(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    nothing = record(its_iccid, f"{who}-nothing", 0)
    await usage.consume("records", nothing, nothing)
    assert await totals(usage, who) == (0, 1_000, 0)
    page = await usage.request("GET", f"/v1/subscriptions/{who}/usage")
    assert [(each["record_id"], each["taken"]) for each in page.body["items"]] == [(f"{who}-nothing", {})]
    assert said(usage, QuotaThresholdReached, who) == []


async def test_a_record_that_ends_within_a_day_from_now_counts(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    soon = utc_now() + 23 * HOUR
    await usage.consume("records", ended(record(its_iccid, f"{who}-soon", 5), soon - HOUR, soon))
    assert (await totals(usage, who))[0] == 5


async def test_a_clock_that_is_ahead_does_not_hide_how_fast_data_is_used(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    now = utc_now()
    ahead = ended(record(its_iccid, f"{who}-ahead", 100), now + 20 * HOUR, now + 21 * HOUR)
    await usage.consume("records", ahead)
    await usage.consume("records", record(its_iccid, f"{who}-now", 300, started_at=now - HOUR / 6))
    found = (await usage.request("GET", f"/v1/subscriptions/{who}/forecast")).body
    # What was used before the window's begin counts less by the second.
    assert found["burnt_bytes"] in range(390, 401)
    assert found["exhausted_at"] is not None


async def test_the_largest_record_there_may_be_counts_to_the_byte(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    await usage.consume("records", record(its_iccid, f"{who}-large", 2**40))
    await usage.consume("records", record(its_iccid, f"{who}-larger", 2**40 + 1))
    assert await totals(usage, who) == (2**40, 0, 2**40 - 1_000)


async def test_kept_records_are_asked_for_their_device_when_they_are_taken_up(usage: Wired) -> None:
    who, its_iccid = someone()
    bound_at = T0 - HOUR
    early = record(its_iccid, f"{who}-early", 1, started_at=bound_at - HOUR)
    late = record(its_iccid, f"{who}-late", 1)
    others, mine = imei(1), imei(2)
    await usage.consume("records", *(each.model_copy(update={"imei": others}) for each in (early, late)))
    it = subscription(who, its_iccid).model_copy(update={"bound_imei": mine, "changed_at": bound_at})
    await usage.consume("subscriptions", it)
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await totals(usage, who))[0] != 2:
            await asyncio.sleep(0.02)
    seen = [each for each in usage.said(ForeignDeviceSeen) if each.subscription_id == who]
    # What began before the binding was the other device's right.
    assert [(each.bound_imei, each.imei, each.started_at) for each in seen] == [
        (mine, others, late.started_at)
    ]


def bound(who: str, its_iccid: str, version: int, its_imei: str) -> SubscriptionChanged:
    """Says which device it is bound to, long before anything is used."""
    it = subscription(who, its_iccid, version)
    return it.model_copy(update={"bound_imei": its_imei, "changed_at": T0 - HOUR})


def offended(usage: Wired, who: str) -> list[str | None]:
    """Which device each trigger names: of the threshold, and of all that was used up."""
    told = [*usage.said(QuotaThresholdReached), *usage.said(QuotaExhausted)]
    return [each.offended_imei for each in told if each.subscription_id == who]


@pytest.mark.parametrize("foreign", [0, 1, 2])
async def test_a_trigger_names_the_device_that_another_was_used_against_wherever_in_its_batch(
    usage: Wired, foreign: int
) -> None:
    who, its_iccid = await known(usage)
    mine, others = imei(11), imei(12)
    await usage.consume("subscriptions", bound(who, its_iccid, 2, mine))
    records = [
        record(its_iccid, f"{who}-{place}", 500).model_copy(
            update={"imei": others if place == foreign else mine}
        )
        for place in range(3)
    ]
    await usage.consume("records", *records)
    assert offended(usage, who) == [mine, mine]


async def test_a_device_that_is_bound_again_is_not_offended_any_more(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    mine, others = imei(21), imei(22)
    await usage.consume("subscriptions", bound(who, its_iccid, 2, mine))
    await usage.consume("records", record(its_iccid, f"{who}-1", 950).model_copy(update={"imei": others}))
    # The other one is bound, and the first one again: of one batch only the last is heard.
    both = [bound(who, its_iccid, 4, others), bound(who, its_iccid, 5, mine)]
    await usage.consume("subscriptions", *both)
    await usage.consume("records", record(its_iccid, f"{who}-2", 50).model_copy(update={"imei": mine}))
    assert offended(usage, who) == [mine, None]


async def test_a_device_stays_offended_while_it_is_not_known_to_match(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    mine, others = imei(31), imei(32)
    await usage.consume("subscriptions", bound(who, its_iccid, 2, mine))
    await usage.consume("records", record(its_iccid, f"{who}-1", 950).model_copy(update={"imei": others}))
    marked = bound(who, its_iccid, 3, mine).model_copy(update={"device_matches": False})
    await usage.consume("subscriptions", marked)
    await usage.consume("records", record(its_iccid, f"{who}-2", 50).model_copy(update={"imei": mine}))
    assert offended(usage, who) == [mine, mine]


async def test_what_a_top_up_has_left_below_the_threshold_is_said_though_no_record_comes(
    usage: Wired,
) -> None:
    carrier = "owing"
    settings = {
        "counting": "records",
        "overrun": "next_bucket",
        "threshold_percent": 10,
        "version": 0,
    }
    assert (await usage.request("PUT", f"/v1/carriers/{carrier}", settings)).status == 200
    who, its_iccid = await known(usage, carrier=carrier)
    await usage.consume("records", record(its_iccid, f"{who}-much", 1_950))
    assert said(usage, QuotaExhausted, who) == [1]
    await usage.consume("top-ups", top_up(who, 2, 1_000, "queue", LATER))
    assert (await totals(usage, who))[1] == 50
    assert said(usage, QuotaThresholdReached, who) == [1, 2]
