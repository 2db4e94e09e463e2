"""Every byte of a bucket is explained, what was used is shown by hour and day, and what is to come."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.clock import utc_now
from shared.contracts.usage_records import BalanceReported
from tests.integration.usage.conftest import LATER, T0, record, someone, subscription, top_up
from tests.integration.wired import Wired

HOUR = timedelta(hours=1)


async def known(usage: Wired, granted: int = 1000) -> tuple[str, str]:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    await usage.consume("top-ups", top_up(who, 1, granted))
    return who, its_iccid


async def get(usage: Wired, who: str, path: str) -> Any:
    reply = await usage.request("GET", f"/v1/subscriptions/{who}/{path}")
    assert reply.status == 200, reply
    return reply.body


async def lines(usage: Wired, who: str, bucket: str, more: str = "") -> list[tuple[str, int]]:
    page = await get(usage, who, f"buckets/{bucket}/history?limit=200{more}")
    assert page["unexplained_bytes"] == page["forgotten_bytes"] == 0
    assert page["events_bytes"] - page["used_bytes"] == page["remaining_bytes"]
    assert sum(line["size_bytes"] for line in page["items"]) == page["remaining_bytes"]
    return [(line["kind"], line["size_bytes"]) for line in page["items"]]


async def test_a_buckets_history_adds_up_to_what_is_left(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    await usage.consume(
        "records",
        record(its_iccid, f"{who}-a", 100, started_at=T0 + HOUR),
        record(its_iccid, f"{who}-b", 50, started_at=T0 + HOUR + timedelta(minutes=20)),
        record(its_iccid, f"{who}-c", 30, started_at=T0 + 2 * HOUR),
    )
    report = BalanceReported(
        source="ocs",
        report_id=f"{who}-r",
        iccid=its_iccid,
        remaining_bytes=700,
        reported_at=T0 + 3 * HOUR,
    )
    await usage.consume("records", report)
    await usage.consume("records", record(its_iccid, f"{who}-d", 900, started_at=T0 + 4 * HOUR))
    await usage.consume("top-ups", top_up(who, 2, 500, "queue"))
    expected = {("granted", 1000), ("used", -150), ("used", -30), ("reconciled", -120), ("used", -700)}
    assert set(await lines(usage, who, "top-up-1", "&by=hour")) == expected | {("emptied", 0)}
    assert ("used", -880) in await lines(usage, who, "top-up-1")
    assert await lines(usage, who, "top-up-2") == [("granted", 500)]


async def test_what_is_replaced_or_pays_an_overrun_is_explained_too(usage: Wired) -> None:
    carrier = "pays-later"
    await usage.request(
        "PUT", f"/v1/carriers/{carrier}", {"counting": "records", "overrun": "next_bucket", "version": 0}
    )
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid).model_copy(update={"carrier": carrier}))
    await usage.consume("top-ups", top_up(who, 1, 1000))
    await usage.consume("records", record(its_iccid, f"{who}-a", 1200))
    await usage.consume("top-ups", top_up(who, 2, 500))
    await usage.consume("top-ups", top_up(who, 3, 70, "replace"))
    assert set(await lines(usage, who, "top-up-1")) == {("granted", 1000), ("used", -1000), ("emptied", 0)}
    assert await lines(usage, who, "top-up-2") == [
        ("granted", 500),
        ("paid_overrun", -200),
        ("replaced", -300),
    ]


async def test_a_history_is_read_page_by_page(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    for hours in range(5):
        await usage.consume("records", record(its_iccid, f"{who}-{hours}", 10, started_at=T0 + hours * HOUR))
    path, seen = "buckets/top-up-1/history?by=hour&limit=2", []
    page = await get(usage, who, path)
    while True:
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        page = await get(usage, who, f"{path}&cursor={page['next_cursor']}")
    assert sum(line["size_bytes"] for line in seen) == page["remaining_bytes"] == 950
    assert [line["at"] for line in seen] == sorted(line["at"] for line in seen)
    assert len(seen) == 6


async def test_bytes_of_records_that_are_no_longer_kept_are_told(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    await usage.consume("records", record(its_iccid, f"{who}-a", 100))
    await usage.pool.execute("delete from usage_records where subscription_id = $1", who)
    page = await get(usage, who, "buckets/top-up-1/history")
    assert (page["forgotten_bytes"], page["unexplained_bytes"]) == (0, 100)
    await usage.pool.execute(
        "update buckets set created_at = now() - interval '90 days' where subscription_id = $1", who
    )
    page = await get(usage, who, "buckets/top-up-1/history")
    assert (page["forgotten_bytes"], page["unexplained_bytes"]) == (100, 0)


async def test_a_bucket_that_never_was_is_not_found(usage: Wired) -> None:
    who, _ = await known(usage)
    reply = await usage.request("GET", f"/v1/subscriptions/{who}/buckets/top-up-9/history")
    assert (reply.status, reply.problem) == (404, "bucket-not-found")


def instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def test_usage_is_shown_by_the_hour_in_which_it_ended_with_gaps_as_zero(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    await usage.consume(
        "records",
        record(its_iccid, f"{who}-a", 100, started_at=T0 + HOUR),
        record(its_iccid, f"{who}-b", 50, started_at=T0 + HOUR + timedelta(minutes=57)),
        record(its_iccid, f"{who}-c", 30, started_at=T0 + 4 * HOUR),
    )
    period = f"from={instant(T0 + timedelta(minutes=9))}&to={instant(T0 + 4 * HOUR)}"
    shown = await get(usage, who, f"usage/by-hour?{period}")
    assert [
        (each["began_at"], each["bytes_up"] + each["bytes_down"], each["records"]) for each in shown["items"]
    ] == [
        (instant(T0), 0, 0),
        (instant(T0 + HOUR), 100, 1),
        (instant(T0 + 2 * HOUR), 50, 1),
        (instant(T0 + 3 * HOUR), 0, 0),
    ]


async def test_usage_is_shown_by_day(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    await usage.consume("records", record(its_iccid, f"{who}-a", 100), record(its_iccid, f"{who}-b", 20))
    shown = (await get(usage, who, "usage/by-day"))["items"]
    assert len(shown) == 31
    (used,) = [each for each in shown if each["records"]]
    assert (used["began_at"], used["bytes_up"], used["bytes_down"]) == (instant(T0.replace(hour=0)), 12, 108)


@pytest.mark.parametrize(
    ("page", "days"), [("by-hour", 31.05), ("by-day", 401), ("by-hour", 0), ("by-day", -1)]
)
async def test_a_period_that_is_empty_or_too_long_is_refused(usage: Wired, page: str, days: float) -> None:
    who, _ = await known(usage)
    first = T0.replace(hour=0)
    period = f"from={instant(first)}&to={instant(first + timedelta(days=days))}"
    reply = await usage.request("GET", f"/v1/subscriptions/{who}/usage/{page}?{period}")
    assert (reply.status, reply.problem) == (422, "invalid-period")


async def test_a_forecast_says_when_it_ends_and_what_is_said_next(usage: Wired) -> None:
    who, its_iccid = await known(usage, granted=10_000)
    calm = await get(usage, who, "forecast")
    assert (calm["burnt_bytes"], calm["exhausted_at"]) == (0, None)
    assert calm["next_trigger"]["kind"] == "expiring"
    now = utc_now()
    await usage.consume("records", record(its_iccid, f"{who}-a", 6000, started_at=now - timedelta(minutes=6)))
    seen = await get(usage, who, "forecast")
    assert (seen["remaining_bytes"], seen["expires_at"]) == (4000, instant(LATER))
    # 6,000 in three hours at most: the other 4,000 last two hours, and 3,000 until a tenth is left.
    ends_at = datetime.fromisoformat(seen["exhausted_at"])
    assert timedelta(hours=2) <= ends_at - now < timedelta(hours=4)
    assert seen["next_trigger"]["kind"] == "threshold_reached"
    assert datetime.fromisoformat(seen["next_trigger"]["at"]) < ends_at


async def test_a_session_of_a_day_told_at_its_end_predicts_nothing(usage: Wired) -> None:
    who, its_iccid = await known(usage, granted=10_000)
    now = utc_now()
    told = record(its_iccid, f"{who}-a", 8000, started_at=now - 24 * HOUR)
    await usage.consume("records", told.model_copy(update={"ended_at": now}))
    seen = await get(usage, who, "forecast")
    # 8,000 in a day: the other 2,000 last six hours, where all of it in the last three had them last one.
    ends_at = datetime.fromisoformat(seen["exhausted_at"])
    assert timedelta(hours=5.9) <= ends_at - now < timedelta(hours=6.1)


async def test_what_was_said_is_listed_newest_cycle_first(usage: Wired) -> None:
    who, its_iccid = await known(usage)
    await usage.consume("records", record(its_iccid, f"{who}-a", 1000))
    await usage.consume("top-ups", top_up(who, 2, 1000))
    await usage.consume("records", record(its_iccid, f"{who}-b", 950))
    first = await get(usage, who, "triggers?limit=2")
    assert [(each["cycle"], each["kind"]) for each in first["items"]] == [
        (2, "threshold_reached"),
        (1, "threshold_reached"),
    ]
    rest = await get(usage, who, f"triggers?cursor={first['next_cursor']}")
    assert [(each["cycle"], each["kind"]) for each in rest["items"]] == [(1, "exhausted")]


async def test_pages_about_nobody_say_so(usage: Wired) -> None:
    for page in ("usage/by-hour", "usage/by-day", "forecast", "triggers"):
        reply = await usage.request("GET", f"/v1/subscriptions/nobody/{page}")
        assert (reply.status, reply.problem) == (404, "subscription-not-found")
