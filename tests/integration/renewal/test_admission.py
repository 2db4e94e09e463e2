"""Who may renew: over Kafka, by rule, and once only, however many ask at the same time."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from shared.clock import utc_now
from shared.contracts.quotas import QuotaThresholdReached
from shared.contracts.renewals import RenewalRefused, RenewalRequested
from tests.integration.renewal.conftest import (
    OFFERING,
    About,
    Subscriber,
    begun,
    known,
    offering,
    row,
    someone,
)
from tests.integration.wired import Wired


def requested(renewal: Wired, one: Subscriber) -> list[RenewalRequested]:
    return [said for said in renewal.said(RenewalRequested) if said.subscription_id == one.subscription_id]


def refused(renewal: Wired, one: Subscriber) -> list[RenewalRefused]:
    return [said for said in renewal.said(RenewalRefused) if said.subscription_id == one.subscription_id]


async def ruled(renewal: Wired, **different: Any) -> Subscriber:
    """Somebody with a rule."""
    [one] = await known(renewal)
    reply = await renewal.request(
        "PUT", f"/v1/subscriptions/{one.subscription_id}/renewal-rule", one.rule(**different)
    )
    assert reply.status == 200, reply
    return one


# -- requests of other systems --------------------------------------------------------------------------


async def test_a_request_of_another_system_is_admitted_once_however_often_it_comes(renewal: Wired) -> None:
    [one] = await known(renewal)
    request = one.request()
    await renewal.consume("admission", request, request)
    await renewal.consume("admission", request)
    [said] = requested(renewal, one)
    assert said.terms.max_amount_minor == 1000
    assert said.terms.payer_id == one.owner_id
    assert refused(renewal, one) == []
    found = await row(renewal, said.renewal_id)
    assert (found["state"], found["version"], found["caller"]) == ("requested", 1, "crm")


async def test_a_request_id_with_other_contents_is_refused(renewal: Wired) -> None:
    [one] = await known(renewal)
    await renewal.consume("admission", one.request())
    await renewal.consume("admission", one.request(expected_amount_minor=2000))
    assert [said.reason for said in refused(renewal, one)] == ["idempotency_key_reused"]


async def test_a_refused_request_gets_the_same_answer_when_it_comes_again(renewal: Wired) -> None:
    one = someone()
    request = one.request()
    await renewal.consume("admission", request)
    await renewal.consume(
        "projections", offering(), one.subscription(), one.customer(), one.card(0), one.card(1)
    )
    await renewal.consume("admission", request)
    first, second = refused(renewal, one)
    assert first.reason == second.reason == "subscription_unknown"
    assert first.event_id == second.event_id
    assert requested(renewal, one) == []
    await renewal.consume("admission", one.request("r-2"))
    assert len(requested(renewal, one)) == 1


REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # reason, what is different about the subscription, the first card, the request
    ("device_changed", {"device_matches": False}, {}, {}),
    ("device_not_bound", {"bound_imei": None}, {}, {}),
    ("status_not_eligible", {"status": "terminated"}, {}, {}),
    ("offering_unknown", {}, {}, {"offering_id": "no-such"}),
    ("offering_withdrawn", {}, {}, {"offering_id": "withdrawn"}),
    ("brand_not_eligible", {}, {}, {"offering_id": "other-brand"}),
    ("carrier_not_eligible", {}, {}, {"offering_id": "other-carrier"}),
    ("payment_method_unknown", {}, {}, {"payment_method_ids": ("no-such",)}),
    ("payment_method_unknown", {}, {"payer_id": "somebody-else"}, {}),
    ("payment_method_unknown", {}, {}, {"payer_id": "somebody-else"}),
    ("payment_method_inactive", {}, {"status": "expired"}, {}),
    ("too_late", {}, {}, {"act_before": utc_now() - timedelta(seconds=1)}),
]


@pytest.mark.parametrize(("reason", "subscription", "card", "request_"), REFUSALS)
async def test_a_request_is_refused_with_a_reason_and_a_way_out(
    renewal: Wired, reason: str, subscription: Any, card: Any, request_: Any
) -> None:
    one = someone()
    await renewal.consume(
        "projections",
        offering(),
        offering("withdrawn", status="withdrawn"),
        offering("other-brand", brands=("zeta",)),
        offering("other-carrier", carriers=("zeta",)),
        one.subscription(**subscription),
        one.customer(),
        one.card(0, **card),
        one.card(1),
    )
    await renewal.consume("admission", one.request(**request_))
    [said] = refused(renewal, one)
    assert said.reason == reason
    assert len(said.detail.split()) > 5
    assert requested(renewal, one) == []


async def test_an_owner_without_verified_identity_is_refused_until_verified(renewal: Wired) -> None:
    one = someone()
    await renewal.consume(
        "projections", offering(), one.subscription(), one.customer(verified=False), one.card(0), one.card(1)
    )
    await renewal.consume("admission", one.request())
    assert [said.reason for said in refused(renewal, one)] == ["identity_not_verified"]
    await renewal.consume("projections", one.customer(2))
    await renewal.consume("admission", one.request("r-2"))
    assert len(requested(renewal, one)) == 1


async def test_another_payer_pays_with_their_own_methods(renewal: Wired) -> None:
    one, payer = await known(renewal, 2)
    await renewal.consume(
        "admission", one.request(payer_id=payer.owner_id, payment_method_ids=(payer.cards[0],))
    )
    [said] = requested(renewal, one)
    assert said.terms.payer_id == payer.owner_id


async def test_an_older_version_of_a_projection_replaces_nothing(renewal: Wired) -> None:
    [one] = await known(renewal)
    await renewal.consume(
        "projections", one.subscription(3), one.subscription(5, status="terminated"), one.subscription(4)
    )
    await renewal.consume("projections", one.subscription(4))
    await renewal.consume("admission", one.request())
    assert [said.reason for said in refused(renewal, one)] == ["status_not_eligible"]


# -- the slot -------------------------------------------------------------------------------------------


async def test_a_subscription_has_one_open_renewal_at_a_time(renewal: Wired) -> None:
    [one] = await known(renewal)
    await renewal.consume("admission", one.request("r-1"), one.request("r-2"))
    assert len(requested(renewal, one)) == 1
    assert [said.reason for said in refused(renewal, one)] == ["slot_taken"]
    about = About(requested(renewal, one)[0])
    await renewal.consume("saga", about.applied())
    await renewal.consume("admission", one.request("r-3"))
    assert len(requested(renewal, one)) == 2


async def test_of_many_who_ask_at_the_same_time_one_gets_the_slot(renewal: Wired) -> None:
    people = await known(renewal, 20)
    waves = [[one.request(f"w-{wave}") for one in people] for wave in range(6)]
    batches = [[renewal.received(request) for request in wave] for wave in waves]
    handle = renewal.consumer("admission").handle
    await asyncio.gather(
        *(
            renewal.transactions.run(lambda transaction, batch=batch: handle(transaction, batch))  # type: ignore[misc, call-arg]
            for batch in batches
        )
    )
    for one in people:
        assert len(requested(renewal, one)) == 1
        assert [said.reason for said in refused(renewal, one)] == ["slot_taken"] * 5
    slots = await renewal.pool.fetchval(
        "select count(*) from renewals where subscription_id = any($1) and closed_at is null",
        [one.subscription_id for one in people],
    )
    assert slots == len(people)


async def test_a_parked_renewal_keeps_its_slot(renewal: Wired) -> None:
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("saga", about.priced(), about.captured(), about.undetermined())
    await renewal.consume("admission", one.request("r-2"))
    assert [said.reason for said in refused(renewal, one)] == ["slot_taken"]
    # And where two ask at the same time, so that neither sees what the other has begun, the database says no.
    with pytest.raises(asyncpg.UniqueViolationError, match="renewals_slot"):
        await renewal.pool.execute(
            """
            insert into renewals
            select (jsonb_populate_record(r, $2)).*
            from renewals as r
            where r.renewal_id = $1
            """,
            about.renewal_id,
            json.dumps({"renewal_id": str(uuid4()), "parked_from": None}),
        )


# -- rules ----------------------------------------------------------------------------------------------


async def test_exhausted_data_renews_by_rule_up_to_its_cap(renewal: Wired) -> None:
    one = await ruled(renewal)
    await renewal.consume("admission", one.exhausted())
    [said] = requested(renewal, one)
    assert (said.terms.origin, said.terms.max_amount_minor, said.cycle) == ("rule", 950, 0)
    assert said.terms.payment_method_ids == one.cards
    found = await row(renewal, said.renewal_id)
    assert (found["caller"], found["dunning_try"]) == ("rule", 1)


async def test_triggers_of_one_cycle_begin_one_renewal_even_after_it_failed(renewal: Wired) -> None:
    one = await ruled(renewal, triggers=["exhausted", "threshold"])
    low = QuotaThresholdReached(
        subscription_id=one.subscription_id,
        cycle=0,
        remaining_bytes=5,
        occurred_at=utc_now(),
        threshold_bytes=10,
    )
    await renewal.consume("admission", low, one.exhausted(), low)
    [said] = requested(renewal, one)
    about = About(said)
    await renewal.consume("saga", about.rejected(), about.payment_cancelled())
    assert (await row(renewal, about.renewal_id))["state"] == "failed"
    await renewal.consume("admission", one.exhausted(), low)
    assert len(requested(renewal, one)) == 1


@pytest.mark.parametrize("different", [{"enabled": False}, {"triggers": ["threshold"]}])
async def test_a_rule_that_does_not_ask_begins_nothing(renewal: Wired, different: dict[str, Any]) -> None:
    one = await ruled(renewal, **different)
    await renewal.consume("admission", one.exhausted())
    assert requested(renewal, one) == []
    assert refused(renewal, one) == []


async def test_without_a_rule_nothing_happens(renewal: Wired) -> None:
    [one] = await known(renewal)
    await renewal.consume("admission", one.exhausted())
    assert requested(renewal, one) == []


async def test_a_trigger_of_a_cycle_that_was_topped_up_is_refused_whoever_heard_of_it_first(
    renewal: Wired,
) -> None:
    one = await ruled(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("saga", about.applied(cycle=1))
    await renewal.consume("admission", one.exhausted(cycle=0))
    assert len(requested(renewal, one)) == 1, "our own completion counts before the projection hears of it"
    other = await ruled(renewal)
    await renewal.consume("projections", other.subscription(2, top_ups=4))
    await renewal.consume("admission", other.exhausted(cycle=3))
    assert requested(renewal, other) == []
    await renewal.consume("admission", other.exhausted(cycle=4))
    assert [said.cycle for said in requested(renewal, other)] == [4]


async def test_a_trigger_that_finds_the_slot_taken_is_looked_at_again_when_it_frees(renewal: Wired) -> None:
    one = await ruled(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("admission", one.exhausted())
    assert len(requested(renewal, one)) == 1
    await renewal.consume("saga", about.rejected(), about.payment_cancelled())
    manual, automatic = requested(renewal, one)
    assert automatic.terms.origin == "rule"
    assert manual.renewal_id != automatic.renewal_id
    kept = await renewal.pool.fetchval(
        "select count(*) from kept_triggers where subscription_id = $1", one.subscription_id
    )
    assert kept == 0


async def test_a_kept_trigger_begins_nothing_when_the_slot_frees_with_data(renewal: Wired) -> None:
    one = await ruled(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("admission", one.exhausted())
    await renewal.consume("saga", about.priced(), about.captured(), about.applied(cycle=1))
    assert len(requested(renewal, one)) == 1


async def test_a_rules_renewal_takes_the_offering_of_the_rule(renewal: Wired) -> None:
    one = await ruled(renewal)
    await renewal.consume("admission", one.exhausted())
    [said] = requested(renewal, one)
    assert said.terms.offering_id == OFFERING
    assert said.terms.currency == "USD"
