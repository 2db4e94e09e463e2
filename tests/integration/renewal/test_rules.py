"""Rules in full over HTTP and Kafka: which triggers, how much, when, and on whose consent.

Longer than others: every limit of a rule is tried by the same few helpers, on one started service.
"""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.renewal import archive
from services.renewal.domain.policy import POLICY
from services.renewal.operators.charges import KeptTriggers
from shared.clock import utc_now
from shared.contracts.quotas import BucketExpiring, QuotaExhaustionPredicted, QuotaThresholdReached
from shared.contracts.renewal_rules import RenewalRuleChanged
from shared.contracts.renewals import ConsentRequired, RenewalAnnounced, RenewalRequested
from tests.integration.archived import places, walk
from tests.integration.renewal.conftest import (
    OFFERING,
    PRICE,
    About,
    Subscriber,
    known,
    offering,
    row,
)
from tests.integration.wired import Reply, Wired

DAY = timedelta(days=1)


async def set_rule(renewal: Wired, one: Subscriber, **different: Any) -> Reply:
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    return await renewal.request("PUT", path, one.rule(**different))


async def ruled(renewal: Wired, **different: Any) -> Subscriber:
    """Somebody with a rule."""
    [one] = await known(renewal)
    reply = await set_rule(renewal, one, **different)
    assert reply.status == 200, reply
    return one


async def record(renewal: Wired, one: Subscriber, mandate_id: str = "m-1", **different: Any) -> Reply:
    path = f"/v1/subscriptions/{one.subscription_id}/mandates/{mandate_id}"
    return await renewal.request("PUT", path, one.mandate(**different))


def requested(renewal: Wired, one: Subscriber) -> list[RenewalRequested]:
    return [said for said in renewal.said(RenewalRequested) if said.subscription_id == one.subscription_id]


async def decisions(renewal: Wired, one: Subscriber) -> list[dict[str, Any]]:
    reply = await renewal.request("GET", f"/v1/subscriptions/{one.subscription_id}/renewal-decisions")
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = reply.body["items"]
    return found


async def completed(renewal: Wired, one: Subscriber, cycle: int) -> About:
    """The rule's renewal of that cycle, begun and brought to its end."""
    await renewal.consume("admission", one.exhausted(cycle))
    about = About(requested(renewal, one)[-1])
    await renewal.consume("saga", about.priced(), about.captured(), about.applied(cycle=cycle + 1))
    return about


async def look(renewal: Wired, ahead: timedelta) -> int:
    """What the loop of kept triggers does, so much later."""
    kept = KeptTriggers(renewal.transactions, POLICY)
    async with renewal.transactions.begin() as transaction:
        transaction.now += ahead
        return await kept.look(transaction)


# -- the device -----------------------------------------------------------------------------------------


async def test_a_trigger_of_data_used_in_another_device_charges_nothing_though_nobody_else_knows_yet(
    renewal: Wired,
) -> None:
    one = await ruled(renewal, triggers=["threshold", "exhausted"])
    mine = one.subscription().bound_imei
    first = QuotaThresholdReached(
        subscription_id=one.subscription_id,
        cycle=0,
        remaining_bytes=50,
        threshold_bytes=100,
        offended_imei=mine,
        occurred_at=utc_now(),
    )
    await renewal.consume("admission", first)
    assert requested(renewal, one) == []
    [decision] = await decisions(renewal, one)
    assert (decision["outcome"], decision["reason"]) == ("refused", "device_changed")
    # Meanwhile the other one is bound; usage has not heard of it.
    await renewal.consume("projections", one.subscription(2, bound_imei="490154203237518"))
    await renewal.consume("admission", one.exhausted().model_copy(update={"offended_imei": mine}))
    assert len(requested(renewal, one)) == 1


async def test_a_trigger_that_was_kept_still_knows_of_the_other_device(renewal: Wired) -> None:
    one = await ruled(renewal)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    paused = await renewal.request("POST", f"{path}/pause", {"why": "Travelling."})
    assert paused.status == 200, paused
    told = one.exhausted().model_copy(update={"offended_imei": one.subscription().bound_imei})
    await renewal.consume("admission", told)
    assert (await renewal.request("POST", f"{path}/resume", {"why": "Back."})).status == 200
    await look(renewal, timedelta(seconds=30))
    assert requested(renewal, one) == []
    assert (await decisions(renewal, one))[0]["reason"] == "device_changed"


# -- what a rule says -----------------------------------------------------------------------------------

NOT_SAID = ("subscription_id", "version", "paused", "opted_out")
IN_FULL: dict[str, Any] = {
    "triggers": [
        "exhausted",
        {"kind": "threshold", "percent": 10, "bytes": 1000},
        {"kind": "expiring", "within_seconds": 7200},
        {"kind": "predicted", "within_seconds": 600},
    ],
    "cap_day_minor": 3000,
    "cap_period_minor": 9000,
    "period_days": 30,
    "max_renewals": 40,
    "cool_down_seconds": 60,
    "quiet_hours": {"from_hour": 22, "to_hour": 7, "zone": "America/Havana"},
    "valid_until": "2036-01-01T00:00:00Z",
    "notice_seconds": 3600,
}


async def test_what_a_rule_says_is_shown_and_may_be_sent_back_as_it_is(renewal: Wired) -> None:
    [one] = await known(renewal)
    offerings = {"same": OFFERING, "up": OFFERING, "down": OFFERING}
    reply = await set_rule(renewal, one, **IN_FULL, offerings=offerings)
    assert reply.status == 200, reply
    shown = reply.body
    for name, value in IN_FULL.items():
        expected = sorted(value, key=str) if name == "triggers" else value
        assert (sorted(shown[name], key=str) if name == "triggers" else shown[name]) == expected, name
    assert shown["offerings"] == offerings | {"up_within_percent": 50, "down_unused_percent": 50}
    again = {name: shown[name] for name in shown if name not in NOT_SAID}
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    assert (await renewal.request("PUT", path, again)).body == shown


@pytest.mark.parametrize(
    "wrong",
    [
        {"triggers": ["running_low"]},
        {"triggers": [{"kind": "exhausted", "percent": 5}]},
        {"triggers": ["threshold", {"kind": "threshold", "percent": 5}]},
        {"triggers": [{"kind": "threshold", "per_cent": 5}]},
        {"offerings": {"same": "other"}},
        {"offering_id": None},
        {"quiet_hours": {"from_hour": 7, "to_hour": 7, "zone": "UTC"}},
        {"quiet_hours": {"from_hour": 22, "to_hour": 7, "zone": "Mars/Olympus"}},
        {"cap_day_minor": 0},
        {"period_days": 0},
    ],
)
async def test_a_rule_that_says_two_things_or_none_is_refused(renewal: Wired, wrong: dict[str, Any]) -> None:
    [one] = await known(renewal)
    reply = await set_rule(renewal, one, **wrong)
    assert (reply.status, reply.problem) == (422, "invalid-request")


async def test_whoever_counts_is_told_what_a_rule_wants_and_nothing_about_money(renewal: Wired) -> None:
    one = await ruled(renewal, **IN_FULL)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    await renewal.request("POST", f"{path}/pause", {"why": "Travelling."})
    first, second = [
        said for said in renewal.said(RenewalRuleChanged) if said.subscription_id == one.subscription_id
    ]
    assert (first.version, first.enabled, first.paused) == (1, True, False)
    assert (first.threshold_percent, first.threshold_bytes) == (10, 1000)
    assert (first.predicted_seconds, first.expiring_seconds) == (600, 7200)
    assert first.lead_seconds == 3600 + 9 * 3600, "an hour of notice, and the night in which it may end"
    assert (second.version, second.paused) == (2, True)


async def test_setting_the_same_rule_again_says_nothing(renewal: Wired) -> None:
    one = await ruled(renewal)
    before = len(renewal.said(RenewalRuleChanged))
    assert (await set_rule(renewal, one)).body["version"] == 1
    assert len(renewal.said(RenewalRuleChanged)) == before
    assert (
        await renewal.pool.fetchval(
            "select count(*) from mandates where subscription_id = $1", one.subscription_id
        )
        == 1
    )


async def test_all_four_kinds_of_triggers_renew(renewal: Wired) -> None:
    now = utc_now()
    for kind, message, more in (
        ("threshold", QuotaThresholdReached, {"threshold_bytes": 10}),
        ("expiring", BucketExpiring, {"expires_at": now + timedelta(hours=1)}),
        ("predicted", QuotaExhaustionPredicted, {"exhausted_at": now + timedelta(hours=1)}),
    ):
        one = await ruled(renewal, triggers=[kind])
        told = message(
            subscription_id=one.subscription_id, cycle=0, remaining_bytes=5, occurred_at=now, **more
        )
        await renewal.consume("admission", told)
        assert len(requested(renewal, one)) == 1, kind
        [decision] = await decisions(renewal, one)
        assert (decision["trigger"], decision["outcome"]) == (kind, "renewed")


async def test_data_that_ran_out_early_is_followed_by_the_next_tier(renewal: Wired) -> None:
    await renewal.consume("projections", offering("cuba-5gb"))
    await renewal.consume("offering-terms", offering("cuba-5gb"), offering())
    early, late = [
        await ruled(renewal, offerings={"same": OFFERING, "up": "cuba-5gb"}, offering_id=OFFERING)
        for _ in range(2)
    ]
    now = utc_now()
    for one, began in ((early, now - timedelta(hours=11)), (late, now - timedelta(hours=13))):
        exhausted = one.exhausted().model_copy(update={"cycle_began_at": began, "granted_bytes": 10**9})
        await renewal.consume("admission", exhausted)
    assert [requested(renewal, one)[0].terms.offering_id for one in (early, late)] == ["cuba-5gb", OFFERING]


# -- caps -----------------------------------------------------------------------------------------------


async def test_the_day_counts_what_was_charged_and_what_is_under_way(renewal: Wired) -> None:
    one = await ruled(renewal, cap_day_minor=PRICE + 100)
    await completed(renewal, one, 0)
    await renewal.consume("admission", one.exhausted(1))
    second = requested(renewal, one)[-1]
    assert second.terms.max_amount_minor == 100
    about = About(second)
    await renewal.consume("saga", about.rejected(), about.payment_cancelled())
    assert [
        said.reason for said in renewal.said(ConsentRequired) if said.subscription_id == one.subscription_id
    ] == []
    latest = (await decisions(renewal, one))[0]
    assert (latest["outcome"], latest["reason"], latest["cycle"]) == ("refused", "cap_day", 1)


async def test_what_is_archived_counts_in_its_period(renewal: Wired) -> None:
    one = await ruled(renewal, cap_period_minor=PRICE + 50, period_days=200)
    about = await completed(renewal, one, 0)
    async with renewal.transactions.begin() as transaction:
        await transaction.connection.execute(
            "update renewals set requested_at = $2, closed_at = $2 where renewal_id = $1",
            about.renewal_id,
            transaction.now - 90 * DAY,
        )
    await walk(renewal, archive.REMOVAL)
    assert await places(renewal, archive.REMOVAL, about.renewal_id) == [
        "archived_renewals",
        "archive_register",
    ]
    await renewal.consume("admission", one.exhausted(1))
    assert requested(renewal, one)[-1].terms.max_amount_minor == 50


async def test_a_used_up_day_waits_until_it_is_past(renewal: Wired) -> None:
    one = await ruled(renewal, cap_day_minor=PRICE)
    await completed(renewal, one, 0)
    await renewal.consume("admission", one.exhausted(1))
    assert len(requested(renewal, one)) == 1
    [waiting, _] = await decisions(renewal, one)
    assert (waiting["outcome"], waiting["reason"]) == ("waiting", "cap_day")
    assert await look(renewal, timedelta(hours=23)) == 0
    assert await look(renewal, timedelta(hours=25)) == 1
    assert len(requested(renewal, one)) == 2


async def test_two_triggers_at_once_cannot_spend_the_same_money_twice(renewal: Wired) -> None:
    """The slot lets one in; whoever comes second sees what is under way, and waits for the slot."""
    one = await ruled(renewal, cap_day_minor=1000, triggers=["exhausted", "threshold"])
    low = QuotaThresholdReached(
        subscription_id=one.subscription_id,
        cycle=1,
        remaining_bytes=1,
        occurred_at=utc_now(),
        threshold_bytes=9,
    )
    handle = renewal.consumer("admission").handle
    batches = [[renewal.received(each)] for each in (one.exhausted(0), low, one.exhausted(2))]
    await asyncio.gather(
        *(
            renewal.transactions.run(lambda transaction, batch=batch: handle(transaction, batch))  # type: ignore[misc, call-arg]
            for batch in batches
        )
    )
    assert len(requested(renewal, one)) == 1
    under_way = await renewal.pool.fetchval(
        "select sum((terms ->> 'max_amount_minor')::bigint) from renewals "
        "where subscription_id = $1 and closed_at is null",
        one.subscription_id,
    )
    assert under_way <= 1000


async def test_data_that_lapsed_mostly_unused_is_followed_by_less_however_long_its_trigger_waits(
    renewal: Wired,
) -> None:
    smaller = "cuba-half"
    await renewal.consume("projections", offering(smaller))
    await renewal.consume("offering-terms", offering(), offering(smaller))
    one = await ruled(renewal, offerings={"same": OFFERING, "down": smaller})
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    await renewal.request("POST", f"{path}/pause", {"why": "Travelling."})
    lapsed = {"granted_bytes": 1000, "lapsed_bytes": 900}
    await renewal.consume("admission", one.exhausted().model_copy(update=lapsed))
    await renewal.request("POST", f"{path}/resume", {"why": "Back."})
    await look(renewal, timedelta(seconds=30))
    assert [said.terms.offering_id for said in requested(renewal, one)] == [smaller]


async def test_a_rule_renews_so_often_and_no_more(renewal: Wired) -> None:
    one = await ruled(renewal, max_renewals=1)
    await completed(renewal, one, 0)
    await renewal.consume("admission", one.exhausted(1))
    assert len(requested(renewal, one)) == 1
    assert (await decisions(renewal, one))[0]["reason"] == "max_number"


async def test_a_cool_down_is_waited_out(renewal: Wired) -> None:
    one = await ruled(renewal, cool_down_seconds=7200)
    await completed(renewal, one, 0)
    await renewal.consume("admission", one.exhausted(1))
    assert len(requested(renewal, one)) == 1
    assert await look(renewal, timedelta(hours=3)) == 1
    assert len(requested(renewal, one)) == 2


# -- a price above the consent ---------------------------------------------------------------------------


async def test_a_price_above_the_consent_asks_instead_of_charging(renewal: Wired) -> None:
    one = await ruled(renewal)
    await renewal.consume("admission", one.exhausted())
    about = About(requested(renewal, one)[0])
    await renewal.consume("saga", about.rejected())
    await renewal.consume("saga", about.payment_cancelled(), about.payment_cancelled())
    assert (await row(renewal, about.renewal_id))["state"] == "failed"
    [asked] = [said for said in renewal.said(ConsentRequired) if said.subscription_id == one.subscription_id]
    assert (asked.reason, asked.max_amount_minor, asked.offering_id) == ("price_above_consent", 950, OFFERING)
    [decision] = await decisions(renewal, one)
    assert (decision["outcome"], decision["reason"]) == ("asked", "price_above_consent")
    assert decision["mandate_id"] == asked.mandate_id


async def test_a_decline_is_told_by_the_trigger_that_led_to_it(renewal: Wired) -> None:
    one = await ruled(renewal)
    await renewal.consume("admission", one.exhausted())
    about = About(requested(renewal, one)[0])
    await renewal.consume("saga", about.priced(), about.declined())
    await renewal.consume("saga", about.declined(2), about.payment_cancelled())
    [decision] = [each for each in await decisions(renewal, one) if each["dunning_try"] == 1]
    assert (decision["outcome"], decision["reason"]) == ("refused", "declined")


# -- notice, night and pause -----------------------------------------------------------------------------


async def test_a_charge_is_announced_and_made_when_it_was_said(renewal: Wired) -> None:
    one = await ruled(renewal, notice_seconds=3600, triggers=["exhausted", "threshold"])
    low = QuotaThresholdReached(
        subscription_id=one.subscription_id,
        cycle=0,
        remaining_bytes=1,
        occurred_at=utc_now(),
        threshold_bytes=9,
    )
    await renewal.consume("admission", low)
    await renewal.consume("admission", one.exhausted())
    [told] = [said for said in renewal.said(RenewalAnnounced) if said.subscription_id == one.subscription_id]
    assert (told.max_amount_minor, told.offering_id) == (950, OFFERING)
    assert requested(renewal, one) == []
    assert {each["outcome"] for each in await decisions(renewal, one)} == {"announced"}
    assert await look(renewal, timedelta(minutes=59)) == 0
    assert await look(renewal, timedelta(minutes=61)) == 1
    [said] = requested(renewal, one)
    assert said.renewal_id == told.renewal_id


async def test_a_pause_calls_off_what_was_announced_and_resuming_announces_it_anew(renewal: Wired) -> None:
    one = await ruled(renewal, notice_seconds=3600)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    await renewal.consume("admission", one.exhausted())
    paused = await renewal.request("POST", f"{path}/pause", {"why": "Travelling."})
    assert (paused.body["paused"]["by"], paused.body["paused"]["why"]) == ("local", "Travelling.")
    assert await look(renewal, timedelta(hours=2)) == 1
    assert requested(renewal, one) == []
    [waiting] = await decisions(renewal, one)
    assert (waiting["outcome"], waiting["reason"], waiting["next_try_at"]) == ("waiting", "rule_paused", None)
    assert "Travelling." in waiting["detail"]
    resumed = await renewal.request("POST", f"{path}/resume", {"why": "Back."})
    assert resumed.body["paused"] is None
    told = [said for said in renewal.said(RenewalAnnounced) if said.subscription_id == one.subscription_id]
    assert len(told) == 2
    assert requested(renewal, one) == []


async def test_a_rule_that_goes_on_renews_what_ran_out_meanwhile(renewal: Wired) -> None:
    one = await ruled(renewal)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    await renewal.request("POST", f"{path}/pause", {"why": "Travelling."})
    await renewal.consume("admission", one.exhausted())
    assert requested(renewal, one) == []
    assert (await set_rule(renewal, one, cap_amount_minor=940)).body["paused"] is not None
    await renewal.request("POST", f"{path}/resume", {"why": "Back."})
    assert [said.terms.max_amount_minor for said in requested(renewal, one)] == [940]
    audit = await renewal.pool.fetch(
        "select action, why from operator_audit where choice = $1 order by audit_id", one.subscription_id
    )
    assert [tuple(line) for line in audit] == [("pause rule", "Travelling."), ("resume rule", "Back.")]


async def test_a_trigger_that_was_kept_as_its_rule_went_on_is_found_by_the_sweep(renewal: Wired) -> None:
    one, paused = await ruled(renewal), await ruled(renewal)
    path = f"/v1/subscriptions/{paused.subscription_id}/renewal-rule"
    await renewal.request("POST", f"{path}/pause", {"why": "Travelling."})
    async with renewal.transactions.begin() as transaction:
        await transaction.connection.executemany(
            "insert into kept_triggers (subscription_id, cycle, kind, held_by, kept_at) "
            "values ($1, 0, 'exhausted', 'pause', $2)",
            [(each.subscription_id, utc_now() - timedelta(minutes=1)) for each in (one, paused)],
        )
        await KeptTriggers(renewal.transactions, POLICY).sweep(transaction)
    assert (len(requested(renewal, one)), len(requested(renewal, paused))) == (1, 0)


async def test_in_quiet_hours_a_trigger_waits_for_their_end(renewal: Wired) -> None:
    hour = utc_now().hour
    one = await ruled(renewal, quiet_hours={"from_hour": hour, "to_hour": (hour + 2) % 24, "zone": "UTC"})
    await renewal.consume("admission", one.exhausted())
    assert requested(renewal, one) == []
    [waiting] = await decisions(renewal, one)
    assert waiting["reason"] == "quiet_hours"
    assert waiting["next_try_at"] is not None
    await look(renewal, timedelta(hours=2))
    assert len(requested(renewal, one)) == 1


# -- mandates -------------------------------------------------------------------------------------------


async def test_evidence_is_recorded_once_and_never_changes(renewal: Wired) -> None:
    [one] = await known(renewal)
    first = await record(renewal, one)
    assert (first.status, first.body["text_sha256"], first.body["recorded_by"]) == (201, "ab" * 32, "local")
    again = await record(renewal, one)
    assert (again.status, again.body) == (200, first.body)
    other = await record(renewal, one, max_amount_minor=5000)
    assert (other.status, other.problem) == (409, "mandate-exists")
    early = await record(renewal, one, "m-0", given_at="2099-01-01T00:00:00Z")
    assert (early.status, early.problem) == (422, "mandate-of-the-future")
    path = f"/v1/subscriptions/{one.subscription_id}/mandates"
    assert (await renewal.request("GET", f"{path}/m-1")).body == first.body
    assert (await renewal.request("GET", path)).body["items"] == [first.body]
    assert (await renewal.request("GET", f"{path}/m-2")).problem == "mandate-not-found"


async def test_not_even_by_hand_is_evidence_changed(renewal: Wired) -> None:
    [one] = await known(renewal)
    await record(renewal, one)
    with pytest.raises(asyncpg.RaiseError, match="evidence"):
        await renewal.pool.execute(
            "update mandates set max_amount_minor = 9 where subscription_id = $1", one.subscription_id
        )


async def test_a_revoked_mandate_ends_charging_and_setting_the_rule_again_does_not_undo_it(
    renewal: Wired,
) -> None:
    [one] = await known(renewal)
    await record(renewal, one)
    assert (await set_rule(renewal, one, mandate_id="m-1")).body["mandate_id"] == "m-1"
    path = f"/v1/subscriptions/{one.subscription_id}/mandates/m-1/revoke"
    revoked = await renewal.request("POST", path, {"why": "The payer called."})
    assert revoked.body["revoked_why"] == "The payer called."
    assert (await renewal.request("POST", path, {"why": "Again."})).body == revoked.body
    await renewal.consume("admission", one.exhausted())
    assert requested(renewal, one) == []
    [decision] = await decisions(renewal, one)
    assert (decision["outcome"], decision["reason"]) == ("refused", "consent_revoked")
    assert (await set_rule(renewal, one)).status == 200, "nothing is different"
    assert (await set_rule(renewal, one, cap_amount_minor=100)).problem == "consent-revoked"
    assert (await set_rule(renewal, one, mandate_id="m-1")).problem == "consent-revoked"
    await record(renewal, one, "m-2")
    assert (await set_rule(renewal, one, mandate_id="m-2")).status == 200


async def test_somebody_else_pays_only_on_a_mandate_of_theirs(renewal: Wired) -> None:
    one, payer = await known(renewal, 2)
    theirs: dict[str, Any] = {"payer_id": payer.owner_id, "payment_method_ids": [payer.cards[0]]}
    assert (await set_rule(renewal, one, **theirs)).problem == "consent-missing"
    await record(renewal, one, "m-owner")
    assert (await set_rule(renewal, one, **theirs, mandate_id="m-owner")).problem == "consent-missing"
    await record(renewal, one, "m-payer", payer_id=payer.owner_id)
    assert (await set_rule(renewal, one, **theirs, mandate_id="m-payer")).status == 200
    await renewal.consume("admission", one.exhausted())
    [said] = requested(renewal, one)
    assert said.terms.payer_id == payer.owner_id


async def test_the_short_form_leaves_evidence_of_whoever_set_it(renewal: Wired) -> None:
    one = await ruled(renewal)
    await set_rule(renewal, one, cap_amount_minor=960)
    path = f"/v1/subscriptions/{one.subscription_id}/mandates"
    newest, first = (await renewal.request("GET", path)).body["items"]
    assert [each["max_amount_minor"] for each in (first, newest)] == [950, 960]
    assert {each["text_version"] for each in (first, newest)} == {"before-mandates"}
    assert (first["channel"], first["recorded_by"], first["payer_id"]) == ("api", "local", one.owner_id)


async def test_a_rule_that_an_older_process_set_gets_its_evidence_when_it_first_asks(renewal: Wired) -> None:
    [one] = await known(renewal)
    await renewal.pool.execute(
        "insert into renewal_rules (subscription_id, version, triggers, offering_id, payment_method_ids,"
        " cap_amount_minor, currency, enabled, set_by, set_at)"
        " values ($1, 1, '{exhausted}', $2, $3, 950, 'USD', true, 'app', now())",
        one.subscription_id,
        OFFERING,
        list(one.cards),
    )
    await renewal.consume("admission", one.exhausted())
    assert len(requested(renewal, one)) == 1
    [decision] = await decisions(renewal, one)
    assert decision["mandate_id"] == "before-mandates"


async def test_what_an_older_process_writes_over_a_rule_is_what_holds(renewal: Wired) -> None:
    one = await ruled(renewal, cap_day_minor=100)
    stored = "select enabled from renewal_rules where subscription_id = $1"
    assert await renewal.pool.fetchval(stored, one.subscription_id) is False, "it would not heed the cap"
    await renewal.pool.execute(
        "update renewal_rules set version = version + 1, cap_amount_minor = 940, enabled = true"
        " where subscription_id = $1",
        one.subscription_id,
    )
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    shown = (await renewal.request("GET", path)).body
    assert (shown["cap_amount_minor"], shown["cap_day_minor"], shown["enabled"]) == (940, None, True)


# -- decisions ------------------------------------------------------------------------------------------


async def test_why_it_did_not_renew_is_told_page_by_page_newest_first(renewal: Wired) -> None:
    [one] = await known(renewal)
    for cycle in range(5):
        await renewal.consume("admission", one.exhausted(cycle))
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-decisions"
    first = (await renewal.request("GET", f"{path}?limit=3")).body
    rest = (await renewal.request("GET", f"{path}?limit=3&cursor={first['next_cursor']}")).body
    assert [each["cycle"] for each in first["items"] + rest["items"]] == [4, 3, 2, 1, 0]
    assert rest["next_cursor"] is None
    assert {each["reason"] for each in first["items"]} == {"rule_missing"}
    assert first["items"][0]["detail"] == "The subscription has no rule."


async def test_a_batch_of_triggers_takes_as_many_statements_as_one(renewal: Wired) -> None:
    one, *others = [await ruled(renewal) for _ in range(6)]
    await renewal.consume("admission", one.exhausted())
    of_one = list(renewal.statements)
    await renewal.consume("admission", *(other.exhausted() for other in others))
    assert renewal.statements == of_one
    assert len(of_one) == 8, (
        "what began lately, what rules say, who is live, how things stand, the renewals, what is settled by "
        "it, the decisions, and that one more began"
    )
