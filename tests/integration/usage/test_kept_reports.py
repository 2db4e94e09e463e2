"""What a carrier says of an ICCID that belongs to nobody yet is kept, and heard once somebody has it."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from services.usage import metrics
from services.usage.counting import Carriers
from services.usage.days import Days
from services.usage.domain.carrier import Carrier
from services.usage.domain.reconcile import Bounds
from services.usage.domain.triggers import Wants
from services.usage.kept_records import KeptRecords
from services.usage.reports import Reports
from shared.clock import utc_now
from shared.contracts.quotas import QuotaExhausted, QuotaMessage, QuotaThresholdReached
from shared.contracts.usage_records import ThresholdCrossed
from tests.integration.usage.conftest import T0, iccid, record, someone, subscription, top_up
from tests.integration.usage.test_reports import crossing, left, report
from tests.integration.wired import Wired

DEADLINE_SECONDS = 10.0
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CARRIER = "its-ocs-tells"
SETTINGS = {"counting": "notifications", "overrun": "written_off", "threshold_percent": 10, "version": 0}


async def appears(usage: Wired, who: str, its_iccid: str, version: int = 1) -> None:
    """Its subscription is known now, at a carrier that says itself when data runs out."""
    await usage.request("PUT", f"/v1/carriers/{CARRIER}", SETTINGS)
    it = subscription(who, its_iccid, version).model_copy(update={"carrier": CARRIER})
    await usage.consume("subscriptions", it)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not holds():
            await asyncio.sleep(0.02)


def said(usage: Wired, kind: type[QuotaMessage], who: str) -> list[tuple[int, int]]:
    """The cycle and what was left, of each."""
    return [(each.cycle, each.remaining_bytes) for each in usage.said(kind) if each.subscription_id == who]


async def kept(usage: Wired, its_iccid: str) -> list[tuple[str, datetime]]:
    rows = await usage.pool.fetch(
        "select kind, said_at from kept_reports where iccid = $1 order by kind", its_iccid
    )
    return [tuple(row) for row in rows]


async def test_what_the_carrier_announced_is_said_when_its_subscription_appears(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("top-ups", top_up(who, 1, 1000))
    threshold = crossing(its_iccid, "threshold", T0 + HOUR, 90)
    await usage.consume("records", threshold, crossing(its_iccid, "exhausted", T0 + 2 * HOUR))
    await usage.consume("records", threshold)
    assert said(usage, QuotaThresholdReached, who) == []
    await appears(usage, who, its_iccid)
    await until(lambda: bool(said(usage, QuotaExhausted, who)))
    assert (said(usage, QuotaThresholdReached, who), said(usage, QuotaExhausted, who)) == (
        [(1, 90)],
        [(1, 0)],
    )
    assert await kept(usage, its_iccid) == []
    # Nothing is said again, whoever reads the topic again.
    await usage.consume("records", threshold)
    assert len(said(usage, QuotaThresholdReached, who)) == 1


async def test_of_what_the_carrier_says_of_nobody_the_newest_of_each_kind_is_kept(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("top-ups", top_up(who, 1, 1000))
    await usage.consume("records", report(its_iccid, 700, T0 + HOUR), report(its_iccid, 400, T0 + 3 * HOUR))
    await usage.consume("records", report(its_iccid, 600, T0 + 2 * HOUR))
    await usage.consume("records", crossing(its_iccid, "exhausted", utc_now() + HOUR))
    assert await kept(usage, its_iccid) == [("balance", T0 + 3 * HOUR)]
    await appears(usage, who, its_iccid)
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await left(usage, who) != 400:
            await asyncio.sleep(0.02)
    assert said(usage, QuotaExhausted, who) == [], "of a moment that has not come"


async def test_what_was_kept_of_an_earlier_cycle_is_late(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("top-ups", top_up(who, 1, 1000))
    late = metrics._CROSSINGS("late")._value.get()
    await usage.consume("records", crossing(its_iccid, "exhausted", T0 - HOUR))
    await appears(usage, who, its_iccid)
    await until(lambda: metrics._CROSSINGS("late")._value.get() == late + 1)
    assert said(usage, QuotaExhausted, who) == []


async def test_what_was_kept_while_its_subscription_was_learnt_is_found_by_the_sweep(
    usage: Wired,
) -> None:
    who, its_iccid = someone()
    await usage.consume("top-ups", top_up(who, 1, 1000))
    await usage.consume("records", crossing(its_iccid, "threshold", T0 + HOUR, 90))
    # The subscription appears in another process: nobody tells this one.
    await usage.pool.execute("insert into iccids values ($1, $2, $3)", its_iccid, who, T0)
    carriers = Carriers(Carrier("notifications", "written_off", Wants(10)))
    reports = Reports(carriers, Bounds(timedelta(days=2), timedelta()), 1000)
    await KeptRecords(usage.transactions, carriers, reports, 1000).sweep()
    assert said(usage, QuotaThresholdReached, who) == [(1, 90)]


async def test_what_nobody_ever_had_is_forgotten_with_the_records_of_its_day(usage: Wired) -> None:
    (_, recent), (_, old) = someone(), someone()
    await usage.consume(
        "records", crossing(recent, "threshold", T0), crossing(old, "threshold", T0 - 40 * DAY)
    )
    await usage.transactions.run(Days(usage.transactions, 35).step)
    assert [len(await kept(usage, each)) for each in (recent, old)] == [1, 0]


async def test_beyond_the_bound_what_is_said_of_nobody_is_dropped_and_of_somebody_is_heard(
    usage: Wired,
) -> None:
    who, its_iccid = someone()
    await usage.consume("top-ups", top_up(who, 1, 1000))
    await appears(usage, who, its_iccid)
    await usage.pool.execute("delete from kept_reports")
    nobodys = [iccid(900_000 + number) for number in range(501)]
    much: list[ThresholdCrossed] = [crossing(each, "threshold", T0 + HOUR, 9) for each in nobodys]
    await usage.consume("records", *much[:500])
    dropped = metrics._CROSSINGS("dropped")._value.get()
    mine = crossing(its_iccid, "exhausted", T0 + HOUR)
    await usage.consume("records", much[500], mine, record(its_iccid, f"{who}-mine", 8))
    assert metrics._CROSSINGS("dropped")._value.get() == dropped + 1
    assert said(usage, QuotaExhausted, who) == [(1, 0)]
    assert await kept(usage, nobodys[500]) == []
    body = {
        "source": "ocs",
        "report_id": "of-nobody",
        "iccid": nobodys[500],
        "remaining_bytes": 5,
        "reported_at": (T0 + HOUR).isoformat(),
    }
    reply = await usage.request("POST", "/v1/balance-reports/bulk", {"items": [body]})
    assert [each["result"] for each in reply.body["results"]] == ["dropped"]
    # One of them gets a subscription: there is room again.
    heir, _ = someone()
    await appears(usage, heir, nobodys[0])
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await kept(usage, nobodys[0]):
            await asyncio.sleep(0.02)
    reply = await usage.request("POST", "/v1/balance-reports/bulk", {"items": [body]})
    assert [each["result"] for each in reply.body["results"]] == ["unknown_iccid"]
