"""Who asks in person comes before a rule: its renewal is called off, and the request waits for the slot."""

from datetime import timedelta
from typing import Any

from services.renewal import waiting
from services.renewal.domain.policy import POLICY
from shared.contracts.message import deterministic_id
from shared.contracts.payment_commands import CancelPayment
from shared.contracts.renewals import RenewalRefused
from tests.integration.renewal.conftest import About, Subscriber, known, row
from tests.integration.renewal.test_rules import decisions, requested, ruled
from tests.integration.wired import Reply, Wired

DEADLINE = timedelta(seconds=POLICY.deadline_seconds["customer"])


async def begun_by_rule(renewal: Wired) -> tuple[Subscriber, About]:
    """Somebody whose rule has begun a renewal."""
    one = await ruled(renewal)
    await renewal.consume("admission", one.exhausted())
    return one, About(requested(renewal, one)[0])


async def ask(renewal: Wired, one: Subscriber, key: str = "k-1", **different: Any) -> Reply:
    headers = {"idempotency-key": f"{one.subscription_id}-{key}"}
    return await renewal.request("POST", "/v1/renewals", one.body(**different), headers=headers)


async def shown(renewal: Wired, reply: Reply) -> dict[str, Any]:
    found = await renewal.request("GET", f"/v1/renewals/{reply.body['renewal_id']}")
    assert found.status == 200, found
    body: dict[str, Any] = found.body
    return body


async def look(renewal: Wired, ahead: timedelta) -> None:
    """What the loop does, so much later."""
    loop = waiting.WaitingRequests(renewal.transactions, POLICY)
    async with renewal.transactions.begin() as transaction:
        transaction.now += ahead
        await loop.look(transaction)


async def test_a_request_in_person_is_admitted_once_the_rules_renewal_is_cancelled(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    await renewal.consume("saga", automatic.priced())
    reply = await ask(renewal, one)
    assert (reply.status, reply.body["state"]) == (202, "waiting"), reply
    assert reply.body["gives_way"] == str(automatic.renewal_id)
    cancelled = await row(renewal, automatic.renewal_id)
    assert (cancelled["state"], cancelled["reason"]) == ("cancelling_payment", "customer_cancelled")
    assert [said.renewal_id for said in renewal.said(CancelPayment)][-1] == automatic.renewal_id
    assert await shown(renewal, reply) == reply.body

    await renewal.consume("saga", automatic.payment_cancelled())
    assert (await row(renewal, automatic.renewal_id))["state"] == "cancelled"
    admitted = await shown(renewal, reply)
    assert (admitted["state"], admitted["gives_way"], admitted["origin"]) == ("requested", None, "customer")
    assert str(requested(renewal, one)[-1].renewal_id) == admitted["renewal_id"]
    assert len(requested(renewal, one)) == 2
    assert (await decisions(renewal, one))[0]["outcome"] == "refused"


async def test_the_same_key_is_answered_alike_while_it_waits_and_afterwards(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    first = await ask(renewal, one)
    again = await ask(renewal, one)
    assert (again.status, again.body) == (200, first.body)
    assert (await ask(renewal, one, expected_amount_minor=1001)).status == 422
    await renewal.consume("saga", automatic.payment_cancelled())
    later = await ask(renewal, one)
    assert (later.status, later.body["state"]) == (200, "requested")
    assert later.body["renewal_id"] == first.body["renewal_id"]


async def test_it_is_refused_where_the_rules_renewal_is_completed_after_all(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    reply = await ask(renewal, one)
    await renewal.consume("saga", automatic.priced(), automatic.captured(), automatic.applied())
    assert (await row(renewal, automatic.renewal_id))["state"] == "completed"
    refused = await shown(renewal, reply)
    assert (refused["state"], refused["reason"]) == ("refused", "automatic_completed")
    assert "the data is there" in refused["detail"]
    assert len(requested(renewal, one)) == 1
    again = await ask(renewal, one)
    assert (again.status, again.body["state"]) == (200, "refused")
    assert (await ask(renewal, one, "k-2")).body["state"] == "requested"


async def test_whoever_asked_over_kafka_is_told_that_it_was_refused(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    await renewal.consume("admission", one.request())
    told = [said for said in renewal.said(RenewalRefused) if said.subscription_id == one.subscription_id]
    assert told == []
    await renewal.consume("saga", automatic.priced(), automatic.captured(), automatic.applied())
    [refused] = [said for said in renewal.said(RenewalRefused) if said.subscription_id == one.subscription_id]
    assert (refused.caller, refused.reason) == ("crm", "automatic_completed")


async def test_over_kafka_it_waits_and_is_admitted_too(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    await renewal.consume("admission", one.request(), one.request())
    await renewal.consume("saga", automatic.payment_cancelled())
    renewal_id = deterministic_id("crm", one.request().request_id)
    assert (await row(renewal, renewal_id))["state"] == "requested"


async def test_a_capture_that_comes_too_late_is_given_back_and_the_request_admitted(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    reply = await ask(renewal, one)
    await renewal.consume("saga", automatic.priced(), automatic.captured())
    assert (await row(renewal, automatic.renewal_id))["state"] == "cancelling_top_up"
    assert (await shown(renewal, reply))["state"] == "waiting"
    await renewal.consume("saga", automatic.top_up_rejected())
    await renewal.consume("saga", automatic.refunded())
    assert (await shown(renewal, reply))["state"] == "requested"


async def test_what_was_paid_does_not_give_way(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    await renewal.consume("saga", automatic.priced(), automatic.captured())
    reply = await ask(renewal, one)
    assert (reply.status, reply.problem) == (409, "slot-taken")
    assert (await row(renewal, automatic.renewal_id))["state"] == "captured"


async def test_what_a_person_has_begun_gives_way_to_nobody(renewal: Wired) -> None:
    [one] = await known(renewal)
    first = await ask(renewal, one)
    assert (await ask(renewal, one, "k-2")).problem == "slot-taken"
    assert (await shown(renewal, first))["state"] == "requested"


async def test_one_waits_at_a_time(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    first = await ask(renewal, one)
    second = await ask(renewal, one, "k-2")
    assert (second.status, second.problem) == (409, "slot-taken")
    await renewal.consume("admission", one.request())
    [told] = [said for said in renewal.said(RenewalRefused) if said.subscription_id == one.subscription_id]
    assert told.reason == "slot_taken"
    await renewal.consume("saga", automatic.payment_cancelled())
    assert (await shown(renewal, first))["state"] == "requested"


async def test_it_is_judged_anew_when_the_slot_frees(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    reply = await ask(renewal, one)
    await renewal.consume("projections", one.card(0, 2, status="expired"))
    await renewal.consume("saga", automatic.payment_cancelled())
    refused = await shown(renewal, reply)
    assert (refused["state"], refused["reason"]) == ("refused", "payment_method_inactive")


async def test_a_waiting_request_can_be_withdrawn(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    reply = await ask(renewal, one)
    path = f"/v1/renewals/{reply.body['renewal_id']}"
    paid = await renewal.request("POST", f"{path}/pay", {"payment_method_id": one.cards[0]})
    assert (paid.status, paid.body["allowed"]) == (409, ["cancel"])
    for _ in range(2):
        cancelled = await renewal.request("POST", f"{path}/cancel")
        assert (cancelled.status, cancelled.body["state"]) == (202, "withdrawn")
    await renewal.consume("saga", automatic.payment_cancelled())
    assert (await shown(renewal, reply))["state"] == "withdrawn"
    assert len(requested(renewal, one)) == 1


async def test_it_does_not_wait_for_ever(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    reply = await ask(renewal, one)
    await look(renewal, DEADLINE - timedelta(minutes=1))
    assert (await shown(renewal, reply))["state"] == "waiting"
    await look(renewal, DEADLINE + timedelta(minutes=1))
    refused = await shown(renewal, reply)
    assert (refused["state"], refused["reason"]) == ("refused", "waited_too_long")
    cancelled = await renewal.request("POST", f"/v1/renewals/{reply.body['renewal_id']}/cancel")
    assert (cancelled.status, cancelled.body["allowed"]) == (409, [])
    await renewal.consume("saga", automatic.payment_cancelled())
    assert len(requested(renewal, one)) == 1


async def test_a_slot_that_an_older_process_has_freed_is_found(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    reply = await ask(renewal, one)
    await renewal.pool.execute(
        "update renewals set state = 'cancelled', closed_at = now() where renewal_id = $1",
        automatic.renewal_id,
    )
    await look(renewal, timedelta(seconds=1))
    assert (await shown(renewal, reply))["state"] == "waiting"
    await look(renewal, timedelta(seconds=30))
    assert (await shown(renewal, reply))["state"] == "requested"


async def test_a_batch_of_requests_that_wait_takes_as_many_statements_as_one(renewal: Wired) -> None:
    counts = []
    for how_many in (1, 5):
        people = [await begun_by_rule(renewal) for _ in range(how_many)]
        await renewal.consume("admission", *(one.request() for one, _ in people))
        waits = len(renewal.statements)
        await renewal.consume("saga", *(automatic.payment_cancelled() for _, automatic in people))
        counts.append((waits, len(renewal.statements)))
        assert all(len(requested(renewal, one)) == 2 for one, _ in people)
    assert counts[0] == counts[1]
