"""The carrier's word on real servers: compared at its moment, taken over, and said."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.usage.days import Days
from shared.clock import utc_now
from shared.contracts.quotas import QuotaExhausted, QuotaExhaustionPredicted, QuotaThresholdReached
from shared.contracts.usage_records import BalanceReported, ThresholdCrossed
from tests.integration.usage.conftest import LATER, T0, record, someone, subscription, top_up
from tests.integration.wired import Wired

HOUR = timedelta(hours=1)
WANTS = {"threshold_percent": 10, "counting": "records", "overrun": "written_off"}


def report(
    its_iccid: str, remaining: int, at: datetime, expires_at: datetime | None = None
) -> BalanceReported:
    return BalanceReported(
        source="ocs",
        report_id=f"{its_iccid}-{at.timestamp():.0f}",
        iccid=its_iccid,
        remaining_bytes=remaining,
        expires_at=expires_at,
        reported_at=at,
    )


def crossing(its_iccid: str, kind: str, at: datetime, remaining: int | None = None) -> ThresholdCrossed:
    return ThresholdCrossed.model_validate(
        {
            "source": "ocs",
            "notification_id": f"{its_iccid}-{kind}-{at.timestamp():.0f}",
            "iccid": its_iccid,
            "kind": kind,
            "remaining_bytes": remaining,
            "crossed_at": at,
        }
    )


@pytest.fixture(scope="module")
async def counted_by(usage: Wired) -> Any:
    """`await counted_by("snapshots")` is a carrier that is counted like that."""

    async def carrier(counting: str, **more: object) -> str:
        name = f"{counting}-{len(more)}-{abs(hash(str(sorted(more.items())))) % 10**8}"
        body = {**WANTS, "counting": counting, **more, "version": 0}
        reply = await usage.request("PUT", f"/v1/carriers/{name}", body)
        assert reply.status == 200, reply
        return name

    return carrier


async def known(usage: Wired, carrier: str, granted: int = 1000) -> tuple[str, str]:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid).model_copy(update={"carrier": carrier}))
    await usage.consume("top-ups", top_up(who, 1, granted))
    return who, its_iccid


async def left(usage: Wired, who: str) -> int:
    reply = await usage.request("GET", f"/v1/subscriptions/{who}/buckets")
    remaining: int = reply.body["remaining_bytes"]
    return remaining


async def drift(usage: Wired, who: str) -> Any:
    row = await usage.pool.fetchrow("select * from drifts where subscription_id = $1", who)
    return row and (row["ours_bytes"], row["drift_bytes"], row["corrected_bytes"], row["unplaced_bytes"])


def said(usage: Wired, who: str) -> list[tuple[str, int, int]]:
    every = [*usage.said(QuotaThresholdReached), *usage.said(QuotaExhausted)]
    return [
        (type(each).__name__, each.cycle, each.remaining_bytes)
        for each in every
        if each.subscription_id == who
    ]


async def test_a_report_is_compared_with_what_was_left_at_its_moment(usage: Wired, counted_by: Any) -> None:
    who, its_iccid = await known(usage, await counted_by("records"))
    await usage.consume(
        "records",
        record(its_iccid, f"{who}-before", 100, started_at=T0 + HOUR),
        record(its_iccid, f"{who}-after", 50, started_at=T0 + 3 * HOUR),
        report(its_iccid, 870, T0 + 2 * HOUR),
    )
    assert await left(usage, who) == 820
    assert await drift(usage, who) == (900, -30, -30, 0)


async def test_what_was_used_before_a_report_that_was_taken_over_is_in_it_already(
    usage: Wired, counted_by: Any
) -> None:
    who, its_iccid = await known(usage, await counted_by("records"))
    await usage.consume("records", report(its_iccid, 700, T0 + 2 * HOUR))
    await usage.consume(
        "records",
        record(its_iccid, f"{who}-late", 300, started_at=T0 + HOUR),
        record(its_iccid, f"{who}-new", 10, started_at=T0 + 3 * HOUR),
    )
    assert await left(usage, who) == 690


async def test_a_report_that_is_no_newer_changes_nothing(usage: Wired, counted_by: Any) -> None:
    who, its_iccid = await known(usage, await counted_by("snapshots"))
    newest = report(its_iccid, 500, T0 + 2 * HOUR)
    await usage.consume("records", newest, report(its_iccid, 900, T0 + HOUR))
    await usage.consume("records", newest)
    await usage.consume("records", report(its_iccid, 800, T0 + HOUR))
    assert await left(usage, who) == 500


async def test_within_the_tolerance_a_difference_is_only_measured(usage: Wired, counted_by: Any) -> None:
    who, its_iccid = await known(usage, await counted_by("records", tolerance_bytes=50))
    await usage.consume("records", report(its_iccid, 950, T0 + HOUR))
    assert (await left(usage, who), await drift(usage, who)) == (1000, (1000, -50, 0, 0))
    await usage.consume("records", report(its_iccid, 949, T0 + 2 * HOUR))
    assert (await left(usage, who), await drift(usage, who)) == (949, (1000, -51, -51, 0))


async def test_where_the_carrier_counts_records_take_nothing_and_show_the_drift(
    usage: Wired, counted_by: Any
) -> None:
    who, its_iccid = await known(usage, await counted_by("snapshots"))
    await usage.consume("records", report(its_iccid, 1000, T0 + HOUR))
    await usage.consume("records", record(its_iccid, f"{who}-a", 200, started_at=T0 + HOUR))
    assert await left(usage, who) == 1000
    await usage.consume("records", report(its_iccid, 790, T0 + 2 * HOUR))
    assert (await left(usage, who), await drift(usage, who)) == (790, (1000, -10, -210, 0))


async def test_a_report_that_nothing_is_left_is_said_at_once_and_never_again_in_the_cycle(
    usage: Wired, counted_by: Any
) -> None:
    who, its_iccid = await known(usage, await counted_by("snapshots"))
    for hours, remaining in ((1, 0), (2, 600), (3, 0)):
        await usage.consume("records", report(its_iccid, remaining, T0 + hours * HOUR))
        assert await left(usage, who) == remaining
    assert said(usage, who) == [("QuotaThresholdReached", 1, 0), ("QuotaExhausted", 1, 0)]


async def test_more_than_was_ever_granted_finds_no_place_and_is_told(usage: Wired, counted_by: Any) -> None:
    who, its_iccid = await known(usage, await counted_by("snapshots"))
    await usage.consume("records", report(its_iccid, 400, T0 + HOUR))
    await usage.consume("records", report(its_iccid, 1700, T0 + 2 * HOUR))
    assert (await left(usage, who), await drift(usage, who)) == (1000, (400, 1300, 600, 700))


# -- how fast it is used --------------------------------------------------------------------------------


async def using(usage: Wired, carrier: str) -> tuple[str, str, datetime]:
    """Somebody topped up an hour ago, and the moment of that."""
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid).model_copy(update={"carrier": carrier}))
    began = utc_now().replace(microsecond=0) - HOUR
    message = top_up(who, 1, 1000).model_copy(
        update={"applied_at": began, "expires_at": began + timedelta(days=30)}
    )
    await usage.consume("top-ups", message)
    return who, its_iccid, began


async def burnt(usage: Wired, who: str) -> int:
    row = await usage.pool.fetchrow(
        "select burn_bytes + burn_before_bytes as burnt from balances where subscription_id = $1", who
    )
    assert row is not None
    found: int = row["burnt"]
    return found


def predicted(usage: Wired, who: str) -> list[int]:
    return [
        each.remaining_bytes for each in usage.said(QuotaExhaustionPredicted) if each.subscription_id == who
    ]


@pytest.mark.parametrize("counting", ["snapshots", "notifications"])
async def test_reports_alone_tell_how_fast_data_is_used_and_predict_its_end(
    usage: Wired, counted_by: Any, counting: str
) -> None:
    carrier = await counted_by(counting, predicted_seconds=3600, threshold_percent=1)
    who, its_iccid, began = await using(usage, carrier)
    await usage.consume("records", report(its_iccid, 900, began + timedelta(minutes=20)))
    assert await burnt(usage, who) in (99, 100), "rounded down between two windows"
    assert predicted(usage, who) == []
    last = report(its_iccid, 100, began + timedelta(minutes=40))
    await usage.consume("records", last, last)
    assert await burnt(usage, who) in range(897, 901)
    assert predicted(usage, who) == [100]
    found = await usage.request("GET", f"/v1/subscriptions/{who}/forecast")
    assert found.body["exhausted_at"] is not None
    await usage.consume("records", last, report(its_iccid, 50, began + timedelta(minutes=30)))
    assert await burnt(usage, who) in range(897, 901), "the same again and an older one add nothing"


async def test_a_crossing_that_says_what_is_left_tells_how_fast_it_was_used(
    usage: Wired, counted_by: Any
) -> None:
    who, its_iccid, began = await using(usage, await counted_by("notifications", predicted_seconds=600))
    at = began + timedelta(minutes=30)
    await usage.consume("records", crossing(its_iccid, "threshold", at, 400))
    assert await burnt(usage, who) in (599, 600)


async def test_what_records_told_of_is_not_counted_twice_whichever_comes_first(
    usage: Wired, counted_by: Any
) -> None:
    who, its_iccid, began = await using(usage, await counted_by("snapshots"))
    minute = timedelta(minutes=1)
    # record() flows for some minutes: all of these lie between the top-up and the report.
    early = record(its_iccid, f"{who}-early", 100, started_at=began + minute)
    late = record(its_iccid, f"{who}-late", 200, started_at=began + 2 * minute)
    after = record(its_iccid, f"{who}-after", 70, started_at=began + 50 * minute)
    await usage.consume("records", early)
    assert await burnt(usage, who) == 100
    await usage.consume("records", report(its_iccid, 600, began + 40 * minute))
    assert await burnt(usage, who) in (398, 399, 400)
    await usage.consume("records", late)
    assert await burnt(usage, who) in (398, 399, 400), "it is in the report"
    await usage.consume("records", after)
    assert await burnt(usage, who) in (468, 469, 470)


async def test_what_a_top_up_brought_between_two_reports_is_no_negative_use(
    usage: Wired, counted_by: Any
) -> None:
    who, its_iccid, began = await using(usage, await counted_by("snapshots"))
    minute = timedelta(minutes=1)
    await usage.consume("records", report(its_iccid, 900, began + 10 * minute))
    second = top_up(who, 2, 1000).model_copy(
        update={"applied_at": began + 20 * minute, "expires_at": began + timedelta(days=60)}
    )
    await usage.consume("top-ups", second)
    await usage.consume("records", report(its_iccid, 1850, began + 30 * minute))
    assert await burnt(usage, who) in range(147, 151)


async def test_a_report_moves_the_expiry(usage: Wired, counted_by: Any) -> None:
    who, its_iccid = await known(usage, await counted_by("records"))
    sooner = LATER - timedelta(days=3)
    await usage.consume("records", report(its_iccid, 1000, T0 + HOUR, sooner))
    (bucket,) = (await usage.request("GET", f"/v1/subscriptions/{who}/buckets")).body["buckets"]
    assert datetime.fromisoformat(bucket["expires_at"]) == sooner


async def test_a_report_around_a_top_up_may_or_may_not_have_it_and_is_passed_over(
    usage: Wired, counted_by: Any
) -> None:
    who, its_iccid = await known(usage, await counted_by("snapshots"))
    await usage.consume("records", report(its_iccid, 0, T0 + timedelta(seconds=5)))
    assert (await left(usage, who), said(usage, who)) == (1000, [])


async def test_a_report_of_nobodys_iccid_is_kept_and_harms_nobody(usage: Wired) -> None:
    _, its_iccid = someone()
    await usage.consume("records", report(its_iccid, 5, T0))
    assert await usage.pool.fetchval("select count(*) from balance_reports where iccid = $1", its_iccid) == 1


async def test_reports_of_days_that_are_over_are_forgotten(usage: Wired) -> None:
    _, its_iccid = someone()
    await usage.consume("records", report(its_iccid, 5, T0 - timedelta(days=40)), report(its_iccid, 6, T0))
    await usage.transactions.run(Days(usage.transactions, 35).step)
    kept = await usage.pool.fetch("select remaining_bytes from balance_reports where iccid = $1", its_iccid)
    assert [row["remaining_bytes"] for row in kept] == [6]


async def test_reports_take_the_same_statements_for_one_subscription_and_for_100(
    usage: Wired, counted_by: Any
) -> None:
    carrier = await counted_by("snapshots")
    numbers = []
    for size in (1, 100):
        people = [await known(usage, carrier) for _ in range(size)]
        await usage.consume(
            "records",
            *(record(its_iccid, f"{who}-a", 10) for who, its_iccid in people),
            *(report(its_iccid, 0, T0 + HOUR) for _, its_iccid in people),
        )
        # Settings are read now and then only, whatever the batch.
        numbers.append(len([each for each in usage.statements if "from carriers" not in each]))
    assert numbers[0] == numbers[1] <= 14


async def test_a_crossing_is_said_once_where_the_carriers_system_counts(
    usage: Wired, counted_by: Any
) -> None:
    who, its_iccid = await known(usage, await counted_by("notifications"))
    await usage.consume(
        "records", record(its_iccid, f"{who}-a", 999), crossing(its_iccid, "threshold", T0 + HOUR)
    )
    await usage.consume("records", crossing(its_iccid, "threshold", T0 + 2 * HOUR))
    assert said(usage, who) == [("QuotaThresholdReached", 1, 100)]
    await usage.consume("records", crossing(its_iccid, "exhausted", T0 + 3 * HOUR))
    assert said(usage, who) == [("QuotaThresholdReached", 1, 100), ("QuotaExhausted", 1, 0)]
    assert await left(usage, who) == 0


async def test_a_crossing_that_says_what_is_left_is_believed(usage: Wired, counted_by: Any) -> None:
    who, its_iccid = await known(usage, await counted_by("notifications"))
    await usage.consume("records", crossing(its_iccid, "threshold", T0 + HOUR, 120))
    assert (await left(usage, who), said(usage, who)) == (120, [("QuotaThresholdReached", 1, 120)])


async def test_a_crossing_of_a_cycle_that_is_over_is_ignored(usage: Wired, counted_by: Any) -> None:
    who, its_iccid = await known(usage, await counted_by("notifications"))
    await usage.consume("records", crossing(its_iccid, "exhausted", T0 - HOUR))
    assert said(usage, who) == []


async def test_a_crossing_changes_nothing_where_we_count(usage: Wired, counted_by: Any) -> None:
    who, its_iccid = await known(usage, await counted_by("records"))
    await usage.consume("records", crossing(its_iccid, "exhausted", T0 + HOUR))
    assert (said(usage, who), await left(usage, who)) == ([], 1000)


async def test_reports_records_and_top_ups_at_once_leave_no_byte_unexplained(
    usage: Wired, counted_by: Any
) -> None:
    carrier = await counted_by("records")
    people = [await known(usage, carrier) for _ in range(8)]

    async def happens(number: int) -> None:
        # Each in another order of people: who locks in the order of the batch would meet the others.
        order = people[number:] + people[:number]
        await usage.consume(
            "records",
            *(record(i, f"{who}-{number}", 40, started_at=T0 + number * HOUR) for who, i in order),
            *(report(i, 900 - 60 * number, T0 + number * HOUR + HOUR / 2) for _, i in order),
        )
        await usage.consume("top-ups", *(top_up(who, number + 2, 100, "queue") for who, _ in order))

    await asyncio.gather(*(happens(number) for number in range(1, 6)))
    for who, _ in people:
        shown = (await usage.request("GET", f"/v1/subscriptions/{who}/buckets")).body["buckets"]
        assert len(shown) >= 5
        for bucket in shown:
            path = f"/v1/subscriptions/{who}/buckets/{bucket['bucket_id']}/history"
            history = (await usage.request("GET", path)).body
            assert history["unexplained_bytes"] == 0
            assert history["remaining_bytes"] == bucket["remaining_bytes"]


async def test_a_replay_with_reports_and_crossings_changes_nothing(usage: Wired, counted_by: Any) -> None:
    for counting in ("records", "notifications"):
        who, its_iccid = await known(usage, await counted_by(counting))
        history = [
            record(its_iccid, f"{who}-1", 100, started_at=T0 + HOUR),
            report(its_iccid, 880, T0 + 2 * HOUR),
            record(its_iccid, f"{who}-2", 500, started_at=T0 + 3 * HOUR),
            report(its_iccid, 390, T0 + 4 * HOUR),
            crossing(its_iccid, "threshold", T0 + 5 * HOUR, 90),
        ]
        for message in history:
            await usage.consume("records", message)
        path = f"/v1/subscriptions/{who}/buckets"
        before, told = (await usage.request("GET", path)).body, said(usage, who)
        for message in history:
            await usage.consume("records", message)
        await usage.consume("records", *history)
        assert (await usage.request("GET", path)).body == before
        assert said(usage, who) == told
