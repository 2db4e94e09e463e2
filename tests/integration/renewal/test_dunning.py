"""Dunning: a failed payment is tried anew as a renewal of its own, asks for another card, ends in a pause."""

from datetime import datetime, timedelta
from typing import Any

from shared.clock import utc_now
from shared.contracts.payments import PaymentDeclined
from shared.contracts.renewal_rules import RenewalRuleChanged
from shared.contracts.renewals import PaymentMethodRequired
from tests.integration.renewal.conftest import About, Subscriber, known, row
from tests.integration.renewal.test_rules import decisions, look, requested, ruled, set_rule
from tests.integration.wired import Wired

DAY = timedelta(days=1)
SCHEDULE = {
    "soft_after_seconds": [86_400, 2 * 86_400],
    "hard_after_seconds": [86_400, 86_400],
    "needs_customer_after_seconds": [],
}


async def declined(renewal: Wired, one: Subscriber, decline_class: str) -> About:
    """The subscriber's newest renewal, whose payment every card declines so."""
    about = About(requested(renewal, one)[-1])
    await renewal.consume("saga", about.priced())
    while (found := await row(renewal, about.renewal_id))["state"] != "cancelling_payment":
        await renewal.consume("saga", _decline(about, decline_class, found["payment_attempt"]))
    await renewal.consume("saga", about.payment_cancelled())
    return about


def _decline(about: About, decline_class: str, attempt: int) -> PaymentDeclined:
    return about.declined(attempt).model_copy(update={"decline_class": decline_class})


async def failed(renewal: Wired, decline_class: str = "soft", **different: Any) -> Subscriber:
    """Somebody whose rule's first try has failed."""
    one = await ruled(renewal, dunning=SCHEDULE, **different)
    await renewal.consume("admission", one.exhausted())
    await declined(renewal, one, decline_class)
    return one


async def tries(renewal: Wired, one: Subscriber) -> dict[int, dict[str, Any]]:
    return {each["dunning_try"]: each for each in await decisions(renewal, one)}


async def is_paused(renewal: Wired, one: Subscriber) -> dict[str, Any] | None:
    reply = await renewal.request("GET", f"/v1/subscriptions/{one.subscription_id}/renewal-rule")
    found: dict[str, Any] | None = reply.body["paused"]
    return found


async def test_a_schedule_is_shown_and_the_house_has_one(renewal: Wired) -> None:
    one = await ruled(renewal)
    reply = await renewal.request("GET", f"/v1/subscriptions/{one.subscription_id}/renewal-rule")
    assert reply.body["dunning"] is None
    assert (await set_rule(renewal, one, dunning=SCHEDULE)).body["dunning"] == SCHEDULE
    for wrong in ({"soft_after_seconds": [0]}, {"soft_after_seconds": [60] * 10}, {"soft": [60]}):
        assert (await set_rule(renewal, one, dunning=wrong)).status == 422, wrong


async def test_a_failed_payment_is_tried_anew_when_it_is_due_as_a_renewal_of_its_own(renewal: Wired) -> None:
    one = await failed(renewal)
    told = await tries(renewal, one)
    assert (told[1]["outcome"], told[1]["reason"]) == ("refused", "declined")
    assert (told[2]["outcome"], told[2]["reason"]) == ("waiting", "dunning")
    assert told[1]["next_try_at"] == told[2]["next_try_at"]
    due = datetime.fromisoformat(told[2]["next_try_at"]) - utc_now()
    assert DAY - timedelta(minutes=1) < due <= DAY

    await look(renewal, DAY - timedelta(hours=1))
    assert len(requested(renewal, one)) == 1
    await look(renewal, DAY)
    first, second = requested(renewal, one)
    assert first.renewal_id != second.renewal_id
    begun = await row(renewal, second.renewal_id)
    assert (begun["dunning_try"], begun["cycle"], begun["request_id"]) == (
        2,
        0,
        f"{one.subscription_id}:0:2",
    )
    assert (await tries(renewal, one))[2]["outcome"] == "renewed"


async def test_another_trigger_of_the_cycle_does_not_come_before_the_next_try(renewal: Wired) -> None:
    one = await failed(renewal, triggers=["exhausted", "threshold"])
    await renewal.consume("admission", one.exhausted())
    assert len(requested(renewal, one)) == 1


async def test_a_top_up_meanwhile_ends_it(renewal: Wired) -> None:
    one = await failed(renewal)
    await renewal.consume("projections", one.subscription(2, top_ups=1))
    await look(renewal, DAY)
    assert len(requested(renewal, one)) == 1
    assert (await tries(renewal, one))[2]["reason"] == "cycle_over"


async def test_a_renewal_by_hand_in_between_neither_loses_nor_hastens_it(renewal: Wired) -> None:
    one = await failed(renewal)
    due = (await tries(renewal, one))[2]["next_try_at"]
    await renewal.consume("admission", one.request())
    await declined(renewal, one, "soft")
    assert len(requested(renewal, one)) == 2
    told = (await tries(renewal, one))[2]
    assert (told["reason"], told["next_try_at"]) == ("dunning", due)
    await look(renewal, DAY)
    assert len(requested(renewal, one)) == 3


async def test_after_the_last_try_the_rule_is_paused(renewal: Wired) -> None:
    one = await failed(renewal)
    for days in (1, 2):
        assert await is_paused(renewal, one) is None
        await look(renewal, days * DAY)
        await declined(renewal, one, "soft")
    assert len(requested(renewal, one)) == 3
    paused = await is_paused(renewal, one)
    assert paused is not None
    assert paused["by"] == "dunning"
    told = await tries(renewal, one)
    assert sorted(told) == [1, 2, 3]
    assert told[3]["detail"].endswith("That was the last try.")
    assert told[3]["next_try_at"] is None
    audited = await renewal.pool.fetchrow(
        "select operator, action, why from operator_audit where choice = $1", one.subscription_id
    )
    assert audited is not None
    assert (audited["operator"], audited["action"]) == ("dunning", "pause rule")
    changed = [
        each for each in renewal.said(RenewalRuleChanged) if each.subscription_id == one.subscription_id
    ]
    assert changed[-1].paused
    await look(renewal, 30 * DAY)
    assert len(requested(renewal, one)) == 3


async def one_card_declined(renewal: Wired) -> Subscriber:
    """Somebody whose rule names one card, which never pays again."""
    [one] = await known(renewal)
    reply = await set_rule(renewal, one, dunning=SCHEDULE, payment_method_ids=[one.cards[0]])
    assert reply.status == 200, reply
    await renewal.consume("admission", one.exhausted())
    await declined(renewal, one, "hard")
    return one


async def test_a_card_that_never_pays_again_asks_for_another_one(renewal: Wired) -> None:
    one = await one_card_declined(renewal)
    [first] = requested(renewal, one)
    [asked] = [
        said for said in renewal.said(PaymentMethodRequired) if said.subscription_id == one.subscription_id
    ]
    assert (asked.renewal_id, asked.reason) == (first.renewal_id, "declined_hard")
    assert asked.payment_method_ids == (one.cards[0],)
    assert asked.next_try_at == asked.asked_at + DAY


async def test_another_card_is_tried_as_soon_as_the_rule_names_it(renewal: Wired) -> None:
    one = await one_card_declined(renewal)
    assert (await set_rule(renewal, one, dunning=SCHEDULE, payment_method_ids=list(one.cards))).status == 200
    await look(renewal, timedelta(seconds=1))
    assert [said.terms.payment_method_ids for said in requested(renewal, one)] == [
        (one.cards[0],),
        (one.cards[1],),
    ]


async def test_where_no_other_card_was_named_in_time_the_rule_is_paused(renewal: Wired) -> None:
    one = await one_card_declined(renewal)
    reply = await set_rule(renewal, one, dunning=SCHEDULE, payment_method_ids=[one.cards[0]], enabled=True)
    assert reply.status == 200
    await look(renewal, timedelta(hours=1))
    assert await is_paused(renewal, one) is None
    await look(renewal, DAY)
    assert len(requested(renewal, one)) == 1
    told = (await tries(renewal, one))[2]
    assert (told["outcome"], told["reason"]) == ("refused", "no_other_card")
    paused = await is_paused(renewal, one)
    assert paused is not None
    assert paused["by"] == "dunning"


async def test_a_batch_of_failures_takes_as_many_statements_as_one(renewal: Wired) -> None:
    counts = []
    for how_many in (1, 6):
        people = [await ruled(renewal, dunning=SCHEDULE) for _ in range(how_many)]
        await renewal.consume("admission", *(one.exhausted() for one in people))
        abouts = [About(requested(renewal, one)[0]) for one in people]
        await renewal.consume("saga", *(about.priced() for about in abouts))
        await renewal.consume("saga", *(about.declined() for about in abouts))
        await renewal.consume("saga", *(about.declined(2) for about in abouts))
        await renewal.consume("saga", *(about.payment_cancelled() for about in abouts))
        counts.append(len(renewal.statements))
    assert counts[0] == counts[1]
