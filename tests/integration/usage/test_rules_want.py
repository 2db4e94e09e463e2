"""A renewal rule says when it wants to hear that data runs out; without one the carrier's settings hold."""

from datetime import timedelta
from typing import Any

import pytest

from services.usage.counting import Carriers
from services.usage.domain.carrier import Carrier
from services.usage.domain.triggers import Wants
from services.usage.handlers import IMPORTED_WITHIN
from services.usage.lapses import Lapses
from shared.clock import utc_now
from shared.contracts.quotas import (
    BucketExpiring,
    QuotaExhausted,
    QuotaExhaustionPredicted,
    QuotaThresholdReached,
)
from shared.contracts.renewal_rules import RenewalRuleChanged
from tests.integration.usage.conftest import LATER, T0, record, someone, subscription, top_up
from tests.integration.usage.test_reports import crossing
from tests.integration.wired import Wired


def rule(subscription_id: str, version: int = 1, **different: Any) -> RenewalRuleChanged:
    return RenewalRuleChanged(
        subscription_id=subscription_id, version=version, enabled=True, paused=False
    ).model_copy(update=different)


async def topped_up(usage: Wired, **different: Any) -> tuple[str, str]:
    """Somebody with 1000 bytes."""
    who, iccid = someone()
    await usage.consume("subscriptions", subscription(who, iccid))
    await usage.consume("top-ups", top_up(who, 1, 1000, **different))
    return who, iccid


async def announced(usage: Wired, carrier: str) -> tuple[str, str]:
    """Somebody with 1000 bytes whose carrier's system announces that no more than a fifth is left."""
    settings = {"threshold_percent": 20, "counting": "notifications", "overrun": "written_off", "version": 0}
    assert (await usage.request("PUT", f"/v1/carriers/{carrier}", settings)).status == 200
    who, iccid = someone()
    known = subscription(who, iccid).model_copy(update={"carrier": carrier})
    await usage.consume("subscriptions", known)
    await usage.consume("top-ups", top_up(who, 1, 1000))
    return who, iccid


def thresholds(usage: Wired, who: str) -> list[tuple[int, int]]:
    """(left, threshold) of each that was said."""
    return [
        (said.remaining_bytes, said.threshold_bytes)
        for said in usage.said(QuotaThresholdReached)
        if said.subscription_id == who
    ]


async def test_the_rules_threshold_takes_the_place_of_the_carriers(usage: Wired) -> None:
    who, iccid = await topped_up(usage)
    await usage.consume("rules", rule(who, threshold_percent=50))
    await usage.consume("records", record(iccid, f"{who}-1", 499))
    assert thresholds(usage, who) == []
    await usage.consume("records", record(iccid, f"{who}-2", 1))
    assert thresholds(usage, who) == [(500, 500)]


async def test_what_holds_when_a_rule_is_set_is_said_at_once_and_an_older_version_undoes_nothing(
    usage: Wired,
) -> None:
    who, iccid = await topped_up(usage)
    await usage.consume("records", record(iccid, f"{who}-1", 400))
    await usage.consume("rules", rule(who, 2, threshold_bytes=700))
    assert thresholds(usage, who) == [(600, 700)]
    await usage.consume("rules", rule(who, 1, threshold_bytes=10), rule(who, 2, threshold_bytes=700))
    [wants] = await usage.pool.fetch(
        "select rule_version, rule_wants from balances where subscription_id = $1", who
    )
    assert tuple(wants) == (2, ",700,,")


async def test_a_lower_threshold_is_said_though_the_higher_one_was(usage: Wired) -> None:
    who, iccid = await topped_up(usage)
    await usage.consume("records", record(iccid, f"{who}-1", 950))
    before = thresholds(usage, who)
    assert len(before) == 1, "by the carrier's settings"
    await usage.consume("rules", rule(who, threshold_bytes=20))
    await usage.consume("records", record(iccid, f"{who}-2", 30))
    assert thresholds(usage, who) == [*before, (20, 20)]


async def test_a_rule_that_is_paused_or_off_leaves_all_to_the_carrier(usage: Wired) -> None:
    who, _ = await topped_up(usage)
    for version, different in enumerate(({}, {"paused": True}, {}, {"enabled": False})):
        await usage.consume("rules", rule(who, version, threshold_percent=5, **different))
        wants = await usage.pool.fetchval("select rule_wants from balances where subscription_id = $1", who)
        assert wants == (None if different else "5,,,")


async def test_a_rule_that_tells_its_payer_first_hears_so_much_earlier_that_data_will_be_used_up(
    usage: Wired,
) -> None:
    now = utc_now()
    people = [await topped_up(usage, expires_at=now + timedelta(days=30)) for _ in range(3)]
    [(plain, _), (patient, _), (named, _)] = people
    await usage.consume(
        "rules",
        rule(plain, threshold_percent=1),
        rule(patient, threshold_percent=1, lead_seconds=11 * 3600),
        rule(named, threshold_percent=1, lead_seconds=11 * 3600, predicted_seconds=60),
    )
    for who, iccid in people:
        # 500 bytes in three hours: the other 500 last about three hours more, 900 seconds are far from that.
        used = record(iccid, f"{who}-1", 500, started_at=now - timedelta(minutes=10))
        await usage.consume("records", used)
    said = {each.subscription_id for each in usage.said(QuotaExhaustionPredicted)}
    assert [who in said for who in (plain, patient, named)] == [False, True, False]


async def test_a_rule_hears_in_time_that_data_lapses(usage: Wired) -> None:
    who, _ = await topped_up(usage, expires_at=utc_now() + timedelta(hours=30))
    await usage.consume("rules", rule(who, expiring_seconds=31 * 3600))
    said = [each for each in usage.said(BucketExpiring) if each.subscription_id == who]
    assert [each.remaining_bytes for each in said] == [1000]
    other, _ = await topped_up(usage, expires_at=utc_now() + timedelta(hours=30))
    await usage.consume("rules", rule(other, expiring_seconds=3600))
    due_at = await usage.pool.fetchval("select next_due_at from balances where subscription_id = $1", other)
    assert timedelta(hours=28) < due_at - utc_now() < timedelta(hours=29)


async def test_what_lapsed_unused_is_told_though_nothing_is_left(usage: Wired) -> None:
    who, iccid = await topped_up(usage, expires_at=utc_now() + timedelta(hours=30))
    await usage.consume("records", record(iccid, f"{who}-1", 100))
    await look(usage, timedelta(hours=31))
    [said] = [each for each in usage.said(QuotaExhausted) if each.subscription_id == who]
    assert (said.remaining_bytes, said.lapsed_bytes, said.granted_bytes) == (0, 900, 1000)


async def test_a_rule_that_takes_longer_to_charge_than_the_warning_hears_of_a_lapse_early_enough(
    usage: Wired,
) -> None:
    ends_at = utc_now() + timedelta(days=2)
    people = [await topped_up(usage, expires_at=ends_at) for _ in range(2)]
    [(short, _), (long, _)] = people
    await usage.consume("rules", rule(short, lead_seconds=3600), rule(long, lead_seconds=3 * 86_400))
    said = {each.subscription_id for each in usage.said(BucketExpiring)}
    assert [who in said for who in (short, long)] == [False, True]


async def test_the_rule_of_somebody_unknown_is_kept_for_when_they_come(usage: Wired) -> None:
    who, iccid = someone()
    await usage.consume("rules", rule(who, threshold_percent=50))
    await usage.consume("subscriptions", subscription(who, iccid))
    await usage.consume("top-ups", top_up(who, 1, 1000))
    await usage.consume("records", record(iccid, f"{who}-1", 500))
    assert thresholds(usage, who) == [(500, 500)]


@pytest.mark.parametrize(("percent", "told"), [(5, []), (50, [(200, 500)])])
async def test_a_crossing_without_a_number_is_of_the_carriers_threshold_and_not_of_the_rules(
    usage: Wired, percent: int, told: list[tuple[int, int]]
) -> None:
    who, iccid = await announced(usage, f"wordless-{percent}")
    await usage.consume("rules", rule(who, threshold_percent=percent))
    await usage.consume("records", crossing(iccid, "threshold", T0 + timedelta(hours=1)))
    assert thresholds(usage, who) == told


async def test_a_rule_hears_of_its_own_threshold_where_the_carriers_system_announces_higher_ones(
    usage: Wired,
) -> None:
    who, iccid = await announced(usage, "announcing")
    await usage.consume("rules", rule(who, threshold_percent=5))
    for hours, left in enumerate((200, 100, 40, 30), start=1):
        await usage.consume("records", crossing(iccid, "threshold", T0 + timedelta(hours=hours), left))
    assert thresholds(usage, who) == [(40, 50)]


async def look(usage: Wired, after: timedelta) -> None:
    """What is due so long from now is looked at."""
    lapses = Lapses(usage.transactions, Carriers(Carrier("records", "written_off", Wants(None))))
    async with usage.transactions.begin() as transaction:
        transaction.now += after
        await lapses.step(transaction)


def told_of(usage: Wired, *people: str) -> list[int]:
    """How often it was said of each that nothing is left."""
    said = [each.subscription_id for each in usage.said(QuotaExhausted)]
    return [said.count(who) for who in people]


async def test_what_an_import_says_is_used_up_is_said_to_a_rule_whichever_of_the_two_comes_first(
    usage: Wired,
) -> None:
    early, late, nobody = (someone()[0] for _ in range(3))
    bucket = {"granted_bytes": 1000, "remaining_bytes": 0, "expires_at": LATER.isoformat()}
    await usage.consume("rules", rule(early))
    for name in (early, late, nobody):
        assert (await usage.request("PUT", f"/v1/subscriptions/{name}/buckets/before", bucket)).status == 200
    await usage.consume("rules", rule(late))
    assert told_of(usage, early, late) == [0, 1]
    await look(usage, IMPORTED_WITHIN + timedelta(minutes=1))
    assert told_of(usage, early, late, nobody) == [1, 1, 0], "who has no rule yet is told to the rule to come"


async def test_of_one_imported_bucket_nothing_is_said_before_the_others_are_there(usage: Wired) -> None:
    who = someone()[0]
    await usage.consume("rules", rule(who))
    for bucket_id, left in (("empty", 0), ("full", 900)):
        body = {"granted_bytes": 1000, "remaining_bytes": left, "expires_at": LATER.isoformat()}
        await usage.request("PUT", f"/v1/subscriptions/{who}/buckets/{bucket_id}", body)
    await look(usage, IMPORTED_WITHIN + timedelta(minutes=1))
    assert told_of(usage, who) == [0]
