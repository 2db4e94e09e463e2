"""A price above the consent: the payer is asked once, and their answer lets the kept trigger go on, once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.renewal.domain.policy import POLICY
from services.renewal.operators.charges import KeptTriggers
from shared.clock import utc_now
from shared.contracts.renewals import ConsentRequired
from tests.integration.renewal.conftest import OFFERING, About, Subscriber
from tests.integration.renewal.test_rules import decisions, look, record, requested, ruled, set_rule
from tests.integration.wired import Wired

SECOND = timedelta(seconds=1)
NEW_PRICE = 1200


async def asked(renewal: Wired, **different: Any) -> Subscriber:
    """Somebody whose rule may charge 2000, on a consent to 950, and whose plan costs 1200 by now."""
    one = await ruled(renewal)
    assert (await record(renewal, one, max_amount_minor=950)).status == 201
    reply = await set_rule(renewal, one, **{"mandate_id": "m-1", "cap_amount_minor": 2000} | different)
    assert reply.status == 200, reply
    await too_dear(renewal, one)
    return one


async def too_dear(renewal: Wired, one: Subscriber, price: int = NEW_PRICE) -> None:
    """The data runs out, and the catalog refuses what the rule may pay."""
    await renewal.consume("admission", one.exhausted())
    about = About(requested(renewal, one)[-1])
    await renewal.consume("saga", about.rejected(price))
    await renewal.consume("saga", about.payment_cancelled())


def questions(renewal: Wired, one: Subscriber) -> list[ConsentRequired]:
    return [said for said in renewal.said(ConsentRequired) if said.subscription_id == one.subscription_id]


async def test_the_payer_is_asked_once_and_the_decision_tells_price_and_consent(renewal: Wired) -> None:
    one = await asked(renewal)
    [question] = questions(renewal, one)
    assert (question.reason, question.amount_minor, question.max_amount_minor) == (
        "price_above_consent",
        NEW_PRICE,
        950,
    )
    waiting, ended = await decisions(renewal, one)
    assert (ended["outcome"], ended["reason"], ended["dunning_try"]) == ("asked", "price_above_consent", 1)
    assert f"{OFFERING} costs 1200 USD in minor units; mandate m-1 allows 950" in ended["detail"]
    assert "Record a mandate for 1200 or more" in ended["detail"]
    assert (waiting["outcome"], waiting["reason"], waiting["dunning_try"]) == (
        "waiting",
        "price_above_consent",
        2,
    )
    await renewal.consume("admission", one.exhausted())
    await look(renewal, 100 * SECOND)
    assert (len(requested(renewal, one)), len(questions(renewal, one))) == (1, 1)


async def test_a_new_consent_lets_it_go_on_by_itself_once(renewal: Wired) -> None:
    one = await asked(renewal)
    assert (await record(renewal, one, "m-low", max_amount_minor=NEW_PRICE - 1)).status == 201
    assert await look(renewal, SECOND) == 0
    for _ in range(2):
        assert (await record(renewal, one, "m-2", max_amount_minor=1300)).status in (200, 201)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    assert (await renewal.request("GET", path)).body["mandate_id"] == "m-2"
    assert await look(renewal, SECOND) == 1
    assert await look(renewal, SECOND) == 0
    first, second = requested(renewal, one)
    assert (first.terms.max_amount_minor, second.terms.max_amount_minor) == (950, 1300)
    assert (first.renewal_id == second.renewal_id, second.cycle) == (False, first.cycle)
    begun = (await decisions(renewal, one))[0]
    assert (begun["outcome"], begun["mandate_id"], begun["dunning_try"]) == ("renewed", "m-2", 2)
    about = About(second)
    await renewal.consume("saga", about.priced(), about.captured(), about.applied(cycle=1))
    assert len(questions(renewal, one)) == 1
    [audited] = await renewal.pool.fetch(
        "select action from operator_audit where choice = $1", one.subscription_id
    )
    assert audited["action"] == "take mandate"


async def test_where_the_rule_allows_less_than_the_consent_setting_it_is_the_answer(renewal: Wired) -> None:
    one = await asked(renewal, cap_amount_minor=940)
    [question] = questions(renewal, one)
    assert (question.reason, question.max_amount_minor) == ("cap_charge", 940)
    await record(renewal, one, "m-2", max_amount_minor=1500)
    assert await look(renewal, SECOND) == 1
    assert (await decisions(renewal, one))[0]["reason"] == "cap_charge"
    assert len(requested(renewal, one)) == 1
    await set_rule(renewal, one, mandate_id="m-2", cap_amount_minor=NEW_PRICE)
    assert await look(renewal, SECOND) == 1
    assert [said.terms.max_amount_minor for said in requested(renewal, one)] == [940, NEW_PRICE]
    assert len(questions(renewal, one)) == 1


@pytest.mark.parametrize(
    "different", [{"payer_id": "somebody-else"}, {"currency": "EUR"}, {"valid_until": "2026-11-02T00:00:00Z"}]
)
async def test_a_consent_that_is_no_answer_moves_nothing(renewal: Wired, different: dict[str, Any]) -> None:
    one = await asked(renewal)
    reply = await record(renewal, one, "m-2", **{"max_amount_minor": 1500} | different)
    assert reply.status == 201
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    assert (await renewal.request("GET", path)).body["mandate_id"] == "m-1"
    assert await look(renewal, SECOND) == 0
    assert len(requested(renewal, one)) == 1


async def test_without_an_answer_it_waits_until_its_cycle_is_over(renewal: Wired) -> None:
    one = await asked(renewal)
    await renewal.consume("admission", one.exhausted(cycle=1))
    assert len(requested(renewal, one)) == 2
    await record(renewal, one, "m-2", max_amount_minor=1500)
    about = About(requested(renewal, one)[-1])
    await renewal.consume("saga", about.priced(), about.captured(), about.applied(cycle=2))
    await look(renewal, SECOND)
    assert len(requested(renewal, one)) == 2


async def test_a_price_that_rose_again_is_asked_about_again(renewal: Wired) -> None:
    one = await asked(renewal)
    await record(renewal, one, "m-2", max_amount_minor=1300)
    await look(renewal, SECOND)
    about = About(requested(renewal, one)[-1])
    await renewal.consume("saga", about.rejected(1400))
    await renewal.consume("saga", about.payment_cancelled())
    assert [question.amount_minor for question in questions(renewal, one)] == [NEW_PRICE, 1400]
    await record(renewal, one, "m-3", max_amount_minor=1400)
    await look(renewal, SECOND)
    assert [said.terms.max_amount_minor for said in requested(renewal, one)] == [950, 1300, 1400]


async def test_many_answers_at_once_begin_one_renewal_and_end(renewal: Wired) -> None:
    one = await asked(renewal)
    replies = await asyncio.gather(
        *(record(renewal, one, f"m-{most}", max_amount_minor=most) for most in (1199, 1200, 1300, 1400)),
        set_rule(renewal, one, cap_amount_minor=2500),
    )
    assert [reply.status for reply in replies] == [201] * 4 + [200], replies
    await look(renewal, SECOND)
    assert len(requested(renewal, one)) == 2
    assert await look(renewal, SECOND) == 0


async def test_an_answer_that_came_as_the_question_was_kept_is_found_by_the_sweep(renewal: Wired) -> None:
    answered, unanswered = await ruled(renewal), await ruled(renewal)
    await set_rule(renewal, answered, cap_amount_minor=NEW_PRICE)
    async with renewal.transactions.begin() as transaction:
        await transaction.connection.executemany(
            "insert into kept_triggers (subscription_id, cycle, kind, dunning_try, held_by, asked, kept_at) "
            "values ($1, 0, 'exhausted', 2, 'time', $2, $3)",
            [
                (one.subscription_id, f"{OFFERING} {NEW_PRICE} USD", utc_now() - timedelta(minutes=1))
                for one in (answered, unanswered)
            ],
        )
        await KeptTriggers(renewal.transactions, POLICY).sweep(transaction)
    assert (len(requested(renewal, answered)), len(requested(renewal, unanswered))) == (1, 0)
