"""What the policy leaves to a person, on real servers: it waits, is decided by name, or refused in time.

Longer than others: one table of entries, and all that may become of what it leaves to a person.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from services.renewal.acceptance.reviews import Reviews
from services.renewal.domain.policy import POLICY
from services.renewal.operators.charges import KeptTriggers
from services.renewal.survey import Survey
from shared.clock import utc_now
from shared.contracts.message import deterministic_id
from shared.contracts.payments import PaymentActionRequired
from shared.contracts.renewals import RenewalRefused, RenewalRequested
from tests.integration.renewal.conftest import About, Subscriber, after, begun, row, signed_in
from tests.integration.renewal.operating import Operator
from tests.integration.renewal.test_acceptance import TABLE, payer, put, terms
from tests.integration.renewal.test_operator_cli import told
from tests.integration.renewal.test_rules import decisions
from tests.integration.renewal.test_survey import exported
from tests.integration.wired import Reply, Wired

REVIEWS = "/v1/operator/reviews"
DAY = timedelta(days=1)
WHY = "the acquirer agreed by telephone"


@pytest.fixture(autouse=True)
async def the_policy_is_empty_again(renewal: Wired) -> AsyncIterator[None]:
    yield
    await renewal.pool.execute("delete from acceptance_entries")
    await renewal.pool.execute("delete from acceptance_reviews")


async def ask(renewal: Wired, one: Subscriber, key: str = "k-1", **different: Any) -> Reply:
    headers = {"idempotency-key": f"{one.subscription_id}-{key}"}
    return await renewal.request("POST", "/v1/renewals", one.body(**different), headers=headers)


async def in_review(renewal: Wired) -> tuple[Subscriber, Reply]:
    """Somebody whose request a person has to decide about."""
    await put(renewal, "CU/US/*", "review")
    one = await payer(renewal)
    return one, await ask(renewal, one)


async def shown(renewal: Wired, reply: Reply) -> dict[str, Any]:
    body: dict[str, Any] = (await renewal.request("GET", f"/v1/renewals/{reply.body['renewal_id']}")).body
    return body


async def decide(renewal: Wired, renewal_id: object, how: str, version: int = 1, name: str = "uma") -> Reply:
    path = f"{REVIEWS}/{renewal_id}/{how}"
    return await Operator(renewal, name).post(path, version=version, why=WHY)


async def expire(renewal: Wired, ahead: timedelta = DAY) -> None:
    """What the loops do, so much later."""
    async with renewal.transactions.begin() as transaction:
        transaction.now += ahead
        await Reviews(renewal.transactions).look(transaction)
    async with renewal.transactions.begin() as transaction:
        transaction.now += ahead
        await KeptTriggers(renewal.transactions, POLICY).look(transaction)


async def triggered(renewal: Wired, verdict: str = "review", **rule: Any) -> Subscriber:
    """Somebody whose rule's trigger has come while the table says that of every way to pay."""
    await put(renewal, "CU/US/*", verdict)
    one = await payer(renewal)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    assert (await renewal.request("PUT", path, one.rule(**rule))).status == 200
    await renewal.consume("admission", one.exhausted())
    return one


def automatic(one: Subscriber, cycle: int = 0) -> object:
    return deterministic_id("rule", one.subscription_id, cycle, 1)


def said_to(renewal: Wired, one: Subscriber) -> list[RenewalRefused]:
    return [said for said in renewal.said(RenewalRefused) if said.subscription_id == one.subscription_id]


def begun_for(renewal: Wired, one: Subscriber) -> list[RenewalRequested]:
    return [said for said in renewal.said(RenewalRequested) if said.subscription_id == one.subscription_id]


async def test_a_request_waits_for_a_person_without_the_slot_and_says_where_to_look(renewal: Wired) -> None:
    one, reply = await in_review(renewal)
    assert (reply.status, reply.body["state"], reply.body["version"]) == (202, "in_review", 1), reply
    assert await shown(renewal, reply) == reply.body
    assert begun_for(renewal, one) == []
    slots = "select count(*) from renewals where subscription_id = $1"
    assert await renewal.pool.fetchval(slots, one.subscription_id) == 0

    page = (await Operator(renewal, "vera", "viewer").get(REVIEWS)).body
    [listed] = page["items"]
    assert (listed["renewal_id"], listed["caller"]) == (reply.body["renewal_id"], "local")
    assert (listed["destination"], listed["payer_country"]) == ("CU", "US")
    assert listed["kinds"] == ["card", "wallet"]
    assert listed["reviewed_method_ids"] == list(one.cards)
    assert (listed["payer_id"], listed["max_amount_minor"]) == (one.owner_id, 1000)
    assert listed["decide_before"] > listed["opened_at"]


async def test_where_one_way_to_pay_is_allowed_it_is_used_at_once(renewal: Wired) -> None:
    await put(renewal, "CU/US/card", "review")
    one = await payer(renewal)
    await begun(renewal, one)
    assert terms(renewal, one).payment_method_ids == (one.cards[1],)


async def test_the_same_key_is_answered_alike_before_and_after_the_decision(renewal: Wired) -> None:
    one, first = await in_review(renewal)
    again = await ask(renewal, one)
    assert (again.status, again.body) == (200, first.body)
    assert (await ask(renewal, one, expected_amount_minor=1001)).status == 422
    await decide(renewal, first.body["renewal_id"], "refuse")
    await renewal.pool.execute("delete from acceptance_entries")
    later = await ask(renewal, one)
    assert (later.status, later.body["state"], later.body["reason"]) == (200, "refused", "not_accepted")
    assert begun_for(renewal, one) == []


async def test_an_approved_request_is_admitted_with_the_methods_that_were_reviewed(renewal: Wired) -> None:
    one, reply = await in_review(renewal)
    approved = await decide(renewal, reply.body["renewal_id"], "approve")
    assert (approved.status, approved.body["state"], approved.body["version"]) == (202, "approved", 2)
    found = await shown(renewal, reply)
    assert (found["state"], found["payment_method_ids"]) == ("requested", list(one.cards))
    [said] = begun_for(renewal, one)
    assert str(said.renewal_id) == reply.body["renewal_id"]
    assert (await ask(renewal, one)).body["state"] == "requested"
    assert (await Operator(renewal).get(REVIEWS)).body["items"] == []


async def test_everything_else_is_checked_when_it_is_approved(renewal: Wired) -> None:
    one, reply = await in_review(renewal)
    gone = [one.card(which, 2, status="expired") for which in (0, 1)]
    await renewal.consume("projections", *gone)
    approved = await decide(renewal, reply.body["renewal_id"], "approve")
    assert (approved.status, approved.body["state"]) == (202, "refused")
    assert approved.body["reason"] == "payment_method_inactive"
    refused = await shown(renewal, reply)
    assert (refused["state"], refused["reason"]) == ("refused", "payment_method_inactive")
    assert (await ask(renewal, one)).body["state"] == "refused"
    assert begun_for(renewal, one) == []


async def test_an_approval_leaves_refused_what_the_table_refuses_by_then(renewal: Wired) -> None:
    one, reply = await in_review(renewal)
    await put(renewal, "CU/US/*", "refuse")
    approved = await decide(renewal, reply.body["renewal_id"], "approve")
    assert (approved.body["state"], approved.body["reason"]) == ("refused", "not_accepted")
    assert begun_for(renewal, one) == []


async def test_over_kafka_it_waits_and_a_refusal_is_told_by_a_message(renewal: Wired) -> None:
    await put(renewal, "CU/US/*", "review")
    one, other = await payer(renewal), await payer(renewal)
    await renewal.consume("admission", one.request(), one.request(), other.request())
    assert (said_to(renewal, one), said_to(renewal, other)) == ([], [])
    renewal_id = deterministic_id("crm", one.request().request_id)
    refused = await decide(renewal, renewal_id, "refuse")
    assert (refused.status, refused.body["state"]) == (200, "refused")
    [told_of] = said_to(renewal, one)
    assert (told_of.caller, told_of.reason) == ("crm", "not_accepted")
    assert "no payment by card, wallet is taken" in told_of.detail
    await renewal.consume("admission", one.request())
    assert len(said_to(renewal, one)) == 1, "whoever sends it again is answered by the same row"

    approved = await decide(renewal, deterministic_id("crm", other.request().request_id), "approve")
    assert approved.body["state"] == "approved"
    assert len(begun_for(renewal, other)) == 1
    await renewal.consume("admission", other.request())
    assert len(begun_for(renewal, other)) == 1


async def test_a_refusal_of_what_was_approved_over_kafka_is_told_once(renewal: Wired) -> None:
    await put(renewal, "CU/US/*", "review")
    one = await payer(renewal)
    await renewal.consume("admission", one.request())
    await renewal.consume("projections", one.customer(2, verified=False))
    await decide(renewal, deterministic_id("crm", one.request().request_id), "approve")
    [told_of] = said_to(renewal, one)
    assert told_of.reason == "identity_not_verified"


async def test_what_nobody_decides_in_time_is_refused_and_told(renewal: Wired) -> None:
    one, reply = await in_review(renewal)
    await expire(renewal, timedelta(hours=23))
    assert (await shown(renewal, reply))["state"] == "in_review"
    await expire(renewal)
    refused = await shown(renewal, reply)
    assert (refused["state"], refused["reason"]) == ("refused", "review_expired")
    late = await decide(renewal, reply.body["renewal_id"], "approve", version=2)
    assert (late.status, late.problem) == (409, "review-not-open")
    assert begun_for(renewal, one) == []

    other = await payer(renewal)
    await renewal.consume("admission", other.request())
    await expire(renewal, timedelta(minutes=6))
    [told_of] = said_to(renewal, other)
    assert told_of.reason == "review_expired", "what is to be acted upon before an instant waits no longer"


async def test_a_decision_is_made_once_on_the_version_that_was_seen(renewal: Wired) -> None:
    _one, reply = await in_review(renewal)
    renewal_id = reply.body["renewal_id"]
    moved = await decide(renewal, renewal_id, "approve", version=7)
    assert (moved.status, moved.problem) == (409, "review-has-moved")
    assert (await decide(renewal, renewal_id, "refuse")).status == 200
    again = await decide(renewal, renewal_id, "approve")
    assert (again.status, again.problem, again.body["state"]) == (409, "review-not-open", "refused")
    unknown = await decide(renewal, deterministic_id("nobody"), "approve")
    assert (unknown.status, unknown.problem) == (404, "review-not-found")


async def test_who_decided_and_why_is_audited_with_before_and_after(renewal: Wired) -> None:
    _one, reply = await in_review(renewal)
    await decide(renewal, reply.body["renewal_id"], "approve")
    audit = f"/v1/operator/audit?renewal_id={reply.body['renewal_id']}"
    [line] = (await Operator(renewal).get(audit)).body["items"]
    assert (line["operator"], line["action"], line["why"]) == ("uma", "approve review", WHY)
    assert (line["before"]["state"], line["before"]["version"]) == ("in_review", 1)
    assert (line["after"]["state"], line["after"]["version"]) == ("approved", 2)


async def test_only_operators_who_may_act_decide(renewal: Wired) -> None:
    _one, reply = await in_review(renewal)
    path = f"{REVIEWS}/{reply.body['renewal_id']}/approve"
    body = {"version": 1, "why": WHY}
    assert (await renewal.request("POST", path, body)).status == 401
    viewer = await renewal.request("POST", path, body, signed_in("vera", "viewer"))
    assert viewer.problem == "role-not-sufficient"
    assert (await shown(renewal, reply))["state"] == "in_review"


async def test_what_people_ask_for_one_subscription_is_reviewed_one_at_a_time(renewal: Wired) -> None:
    one, first = await in_review(renewal)
    second = await ask(renewal, one, "k-2")
    assert (second.status, second.problem) == (409, "review-open")
    cancelled = await renewal.request("POST", f"/v1/renewals/{first.body['renewal_id']}/cancel")
    assert (cancelled.status, cancelled.body["state"]) == (202, "withdrawn")
    again = await renewal.request("POST", f"/v1/renewals/{first.body['renewal_id']}/cancel")
    assert (again.status, again.body["state"]) == (202, "withdrawn")
    assert (await ask(renewal, one, "k-2")).body["state"] == "in_review", "the key was used for nothing"


async def test_it_cannot_be_paid_while_it_is_reviewed(renewal: Wired) -> None:
    one, reply = await in_review(renewal)
    path = f"/v1/renewals/{reply.body['renewal_id']}/pay"
    paid = await renewal.request("POST", path, {"payment_method_id": one.cards[0]})
    assert (paid.status, paid.body["allowed"]) == (409, ["cancel"])


async def test_a_payer_cannot_choose_a_method_that_nobody_has_reviewed(renewal: Wired) -> None:
    one = await payer(renewal)
    [about] = await begun(renewal, one)
    asked = PaymentActionRequired(
        renewal_id=about.renewal_id,
        subscription_id=one.subscription_id,
        version=2,
        terms=about.terms,
        payment_method_id=one.cards[0],
        action_before=after(600),
    )
    await renewal.consume("saga", about.priced(), asked)
    await put(renewal, "CU/US/wallet", "review")
    chosen = {"payment_method_id": one.cards[1]}
    reply = await renewal.request("POST", f"/v1/renewals/{about.renewal_id}/pay", chosen)
    assert (reply.status, reply.problem) == (422, "not-accepted")


async def test_a_rules_trigger_waits_for_a_person_and_its_decision_says_so(renewal: Wired) -> None:
    one = await triggered(renewal)
    await renewal.consume("admission", one.exhausted())
    [decision] = await decisions(renewal, one)
    assert (decision["outcome"], decision["reason"]) == ("waiting", "in_review")
    explained = await told(renewal, "explain", one.subscription_id)
    assert "its decision says why" in explained
    assert "in_review" in explained
    [listed] = (await Operator(renewal).get(REVIEWS)).body["items"]
    assert (listed["origin"], listed["renewal_id"]) == ("rule", str(automatic(one)))
    assert decision["next_try_at"] == listed["decide_before"]
    found = await renewal.request("GET", f"/v1/renewals/{automatic(one)}")
    assert (found.status, found.body["state"], found.body["origin"]) == (200, "in_review", "rule")

    approved = await decide(renewal, automatic(one), "approve")
    assert approved.body["state"] == "approved"
    [said] = begun_for(renewal, one)
    assert (said.terms.origin, said.terms.payment_method_ids) == ("rule", one.cards)
    assert (await decisions(renewal, one))[0]["outcome"] == "renewed"
    await renewal.consume("admission", one.exhausted())
    assert len(begun_for(renewal, one)) == 1


async def test_a_rules_trigger_that_is_refused_has_its_decision(renewal: Wired) -> None:
    one = await triggered(renewal)
    await decide(renewal, automatic(one), "refuse")
    [decision] = await decisions(renewal, one)
    assert (decision["outcome"], decision["reason"]) == ("refused", "not_accepted")
    await renewal.consume("admission", one.exhausted())
    assert (await decisions(renewal, one))[0]["reason"] == "not_accepted", "the same cycle is not asked twice"
    assert begun_for(renewal, one) == []


async def test_a_rules_trigger_about_which_nobody_decides_is_refused_in_the_end(renewal: Wired) -> None:
    one = await triggered(renewal)
    await expire(renewal)
    [decision] = await decisions(renewal, one)
    assert (decision["outcome"], decision["reason"]) == ("refused", "review_expired")
    assert (await Operator(renewal).get(REVIEWS)).body["items"] == []


async def test_an_approval_outlives_what_else_the_trigger_waits_for(renewal: Wired) -> None:
    one = await triggered(renewal)
    rule = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    await renewal.request("POST", f"{rule}/pause", {"why": "on holiday"})
    await decide(renewal, automatic(one), "approve")
    [decision] = await decisions(renewal, one)
    assert (decision["outcome"], decision["reason"]) == ("waiting", "rule_paused")
    assert begun_for(renewal, one) == []
    await renewal.request("POST", f"{rule}/resume", {"why": "back"})
    assert len(begun_for(renewal, one)) == 1


async def test_what_is_renewed_by_hand_meanwhile_is_not_asked_about_any_more(renewal: Wired) -> None:
    one = await triggered(renewal)
    await put(renewal, "CU/US/*", "allow")
    reply = await ask(renewal, one)
    assert reply.body["state"] == "requested"
    about = About(begun_for(renewal, one)[-1])
    await renewal.consume("saga", about.priced(), about.captured(), about.applied())
    assert (await row(renewal, about.renewal_id))["state"] == "completed"
    assert (await Operator(renewal).get(REVIEWS)).body["items"] == []
    gone = await decide(renewal, automatic(one), "approve")
    assert (gone.status, gone.problem) == (404, "review-not-found")
    assert len(begun_for(renewal, one)) == 1


async def test_a_request_that_waited_for_a_slot_may_have_to_be_reviewed_then(renewal: Wired) -> None:
    one = await triggered(renewal, "allow")
    [rules] = begun_for(renewal, one)
    await renewal.consume("admission", one.request())
    await put(renewal, "CU/US/*", "review")
    await renewal.consume("saga", About(rules).payment_cancelled())
    renewal_id = deterministic_id("crm", one.request().request_id)
    assert (await renewal.request("GET", f"/v1/renewals/{renewal_id}")).body["state"] == "in_review"
    await decide(renewal, renewal_id, "refuse")
    [told_of] = said_to(renewal, one)
    assert told_of.reason == "not_accepted"


async def test_an_approved_request_comes_before_a_rules_renewal_as_any_other(renewal: Wired) -> None:
    one, reply = await in_review(renewal)
    await put(renewal, "CU/US/*", "allow")
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    await renewal.request("PUT", path, one.rule())
    await renewal.consume("admission", one.exhausted())
    [rules] = begun_for(renewal, one)
    assert (await decide(renewal, reply.body["renewal_id"], "approve")).body["state"] == "approved"
    waits = await shown(renewal, reply)
    assert (waits["state"], waits["gives_way"]) == ("waiting", str(rules.renewal_id))
    await renewal.consume("saga", About(rules).payment_cancelled())
    assert (await shown(renewal, reply))["state"] == "requested"


async def test_what_is_to_be_decided_is_listed_in_pages_the_oldest_first(renewal: Wired) -> None:
    await put(renewal, "CU/US/*", "review")
    people = [await payer(renewal) for _ in range(3)]
    for one in people:
        await ask(renewal, one)
    uma = Operator(renewal, "uma")
    first = (await uma.get(f"{REVIEWS}?limit=2")).body
    second = (await uma.get(f"{REVIEWS}?limit=2&cursor={first['next_cursor']}")).body
    assert [one["subscription_id"] for one in (*first["items"], *second["items"])] == [
        one.subscription_id for one in people
    ]
    assert second["next_cursor"] is None


async def test_a_batch_takes_as_many_statements_as_one(renewal: Wired) -> None:
    await put(renewal, "CU/US/*", "review")
    counts = []
    for how_many in (1, 5):
        people = [await payer(renewal) for _ in range(how_many)]
        await renewal.consume("admission", *(one.request() for one in people))
        counts.append(len(renewal.statements))
    assert counts[0] == counts[1]


async def test_the_gauges_tell_how_many_wait_how_long_and_which_must_be_decided_soon(renewal: Wired) -> None:
    await in_review(renewal)
    for ahead, near in ((17, 0), (19, 1)):
        moment = utc_now() + timedelta(hours=ahead)
        await Survey(renewal.pool, lambda moment=moment: moment).take()  # type: ignore[misc] # a clock
        assert exported("recarga_renewal_reviews_open") == 1
        assert exported("recarga_renewal_reviews_near_limit") == near
        assert 0 <= exported("recarga_renewal_reviews_oldest_seconds") - ahead * 3600 < 60
    await renewal.pool.execute("delete from acceptance_reviews")
    await Survey(renewal.pool, utc_now).take()
    assert exported("recarga_renewal_reviews_open") == 0
    assert exported("recarga_renewal_reviews_oldest_seconds") == 0


async def test_the_command_line_lists_and_decides(renewal: Wired) -> None:
    one, reply = await in_review(renewal)
    id_ = reply.body["renewal_id"]
    listed = await told(renewal, "reviews", "show")
    assert id_ in listed
    assert one.subscription_id in listed
    refused = await told(renewal, "reviews", "refuse", id_, "--version", "1", "--why", WHY)
    assert f"The review of {id_} is refused: not_accepted." in refused
    _other, again = await in_review(renewal)
    id_ = again.body["renewal_id"]
    approved = await told(renewal, "reviews", "approve", id_, "--version", "1", "--why", WHY)
    assert f"The review of {id_} is approved." in approved


async def test_a_verdict_that_is_none_is_refused(renewal: Wired) -> None:
    reply = await renewal.request(
        "PUT", f"{TABLE}/CU/US/card", {"verdict": "perhaps", "why": WHY}, signed_in()
    )
    assert reply.status == 422
