"""Records of an ICCID that belongs to nobody yet are kept, and count once it belongs to somebody."""

import asyncio
from datetime import timedelta

from services.usage import metrics
from services.usage.counting import Carriers
from services.usage.domain.carrier import Carrier
from services.usage.domain.reconcile import Bounds
from services.usage.domain.triggers import Wants
from services.usage.kept_records import KeptRecords
from services.usage.reports import Reports
from shared.contracts.quotas import QuotaExhausted
from tests.integration.usage.conftest import T0, record, someone, subscription, top_up
from tests.integration.wired import Wired

DEADLINE_SECONDS = 10.0


async def used(usage: Wired, who: str) -> int:
    row = await usage.pool.fetchrow("select used_bytes from balances where subscription_id = $1", who)
    return row["used_bytes"] if row else 0


async def until_used(usage: Wired, who: str, size: int) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await used(usage, who) != size:
            await asyncio.sleep(0.02)


async def test_kept_records_count_when_their_subscription_appears(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("top-ups", top_up(who, 1, 1000))
    early = [record(its_iccid, f"{who}-{number}", 500) for number in range(3)]
    await usage.consume("records", *early)
    await usage.consume("records", *early)
    assert await used(usage, who) == 0
    await usage.consume("subscriptions", subscription(who, its_iccid))
    await until_used(usage, who, 1500)
    assert [each.cycle for each in usage.said(QuotaExhausted) if each.subscription_id == who] == [1]
    await usage.consume("records", *early)
    assert await used(usage, who) == 1500


async def test_a_record_kept_while_its_subscription_was_being_learnt_is_found_by_the_sweep(
    usage: Wired,
) -> None:
    who, its_iccid = someone()
    await usage.consume("records", record(its_iccid, f"{who}-1", 70))
    # The subscription appears in another process: nobody tells this one.
    await usage.pool.execute("insert into balances (subscription_id) values ($1)", who)
    await usage.pool.execute("insert into iccids values ($1, $2, $3)", its_iccid, who, T0)
    carriers = Carriers(Carrier("records", "written_off", Wants(10)))
    reports = Reports(carriers, Bounds(timedelta(days=2), timedelta()), 1000)
    await KeptRecords(usage.transactions, carriers, reports, 1000).sweep()
    assert await used(usage, who) == 70


async def test_a_record_of_a_replaced_esim_still_counts(usage: Wired) -> None:
    who, old_iccid = someone()
    _, new_iccid = someone()
    await usage.consume("subscriptions", subscription(who, old_iccid))
    await usage.consume("subscriptions", subscription(who, new_iccid, version=2))
    await usage.consume("records", record(old_iccid, f"{who}-1", 5), record(new_iccid, f"{who}-2", 6))
    assert await used(usage, who) == 11


async def test_an_iccid_that_went_to_another_subscription_stays_there(usage: Wired) -> None:
    first, its_iccid = someone()
    second, _ = someone()
    await usage.consume("subscriptions", subscription(second, its_iccid, version=9))
    await usage.consume("subscriptions", subscription(first, its_iccid, version=1))
    await usage.consume("records", record(its_iccid, f"{first}-1", 5))
    assert (await used(usage, first), await used(usage, second)) == (0, 5)


async def test_an_iccid_that_moves_takes_its_usage_along_and_back_again(usage: Wired) -> None:
    first, its_iccid = someone()
    second, _ = someone()
    for version, who in enumerate((first, second, first), start=1):
        await usage.consume("subscriptions", subscription(who, its_iccid, version=version))
        await usage.consume("records", record(its_iccid, f"{first}-{version}", 10**version))
    assert (await used(usage, first), await used(usage, second)) == (1010, 100)


async def test_no_balance_has_the_iccid_of_another(usage: Wired) -> None:
    people = [someone() for _ in range(3)]
    for version in range(1, 4):
        moved = [
            subscription(who, people[(place + version) % 3][1], version=version)
            for place, (who, _) in enumerate(people)
        ]
        await usage.consume("subscriptions", *moved)
        of_others = await usage.pool.fetchval(
            "select count(*) from balances join iccids using (iccid)"
            " where balances.subscription_id <> iccids.subscription_id"
        )
        theirs = await usage.pool.fetchval(
            "select count(iccid) from balances where subscription_id = any($1::text[])",
            [who for who, _ in people],
        )
        assert (of_others, theirs) == (0, 3)


async def test_beyond_the_bound_unknown_records_are_left_in_kafka_and_known_ones_count(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    _, nobodys = someone()
    much = [record(nobodys, f"{who}-{number}", 1) for number in range(500)]
    await usage.consume("records", *much)
    dropped = metrics._RECORDS("dropped")._value.get()
    late = record(nobodys, f"{who}-late", 1, started_at=T0 + timedelta(hours=1))
    await usage.consume("records", late, record(its_iccid, f"{who}-mine", 8))
    assert await used(usage, who) == 8
    assert metrics._RECORDS("dropped")._value.get() == dropped + 1
    heir, _ = someone()
    await usage.consume("subscriptions", subscription(heir, nobodys))
    await until_used(usage, heir, 500)
    await usage.consume("records", late)
    assert await used(usage, heir) == 501
