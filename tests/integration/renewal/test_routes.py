"""Renewals and rules over HTTP."""

import asyncio
import json
from base64 import urlsafe_b64encode
from http.client import HTTPConnection
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment
from shared.contracts.renewals import RenewalRequested
from tests.integration.renewal.conftest import About, Subscriber, begun, known, offering, someone
from tests.integration.wired import Wired


async def post(
    renewal: Wired, path: str, body: Any = None, key: str | None = None, caller: str | None = None
) -> tuple[int, Any, dict[str, str]]:
    """POST with an Idempotency-Key; (status, body, headers in lower case)."""

    def send() -> tuple[int, Any, dict[str, str]]:
        connection = HTTPConnection("127.0.0.1", renewal.port, timeout=20)
        headers = {"content-type": "application/json"}
        if key is not None:
            headers["idempotency-key"] = key
        if caller is not None:
            headers["recarga-caller"] = caller
        try:
            connection.request("POST", path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, json.loads(response.read()), found
        finally:
            connection.close()

    return await asyncio.to_thread(send)


async def created(renewal: Wired, one: Subscriber) -> tuple[dict[str, Any], About]:
    """A renewal asked for over HTTP: what was answered, and what its authorities would say."""
    status, body, _ = await post(renewal, "/v1/renewals", one.body(), f"key-{one.number}")
    assert status == 202, body
    said = next(said for said in renewal.said(RenewalRequested) if str(said.renewal_id) == body["renewal_id"])
    return body, About(said)


async def test_a_renewal_is_accepted_with_its_place_and_can_be_read_there(renewal: Wired) -> None:
    [one] = await known(renewal)
    status, body, headers = await post(renewal, "/v1/renewals", one.body(), "a")
    assert status == 202
    assert headers["location"] == f"/v1/renewals/{body['renewal_id']}"
    assert headers["etag"] == '"1"'
    reply = await renewal.request("GET", headers["location"])
    assert reply.status == 200
    assert reply.body == body
    assert body["state"] == "requested"
    assert [(step["name"], step["state"]) for step in body["steps"]] == [
        ("price", "pending"),
        ("payment", "not_begun"),
        ("top_up", "not_begun"),
    ]
    assert [(line["message"], line["to_state"]) for line in body["history"]] == [
        ("RequestRenewal", "requested")
    ]


async def test_the_same_key_and_body_is_the_same_renewal_and_another_body_is_refused(renewal: Wired) -> None:
    [one] = await known(renewal)
    _, first, _ = await post(renewal, "/v1/renewals", one.body(), "same")
    status, second, headers = await post(renewal, "/v1/renewals", one.body(), "same")
    assert (status, second["renewal_id"]) == (200, first["renewal_id"])
    assert headers["location"].endswith(first["renewal_id"])
    status, problem, _ = await post(renewal, "/v1/renewals", one.body(expected_amount_minor=5), "same")
    assert (status, problem["type"]) == (422, "urn:recarga:problem:idempotency-key-reused")


async def test_a_key_belongs_to_its_caller(renewal: Wired) -> None:
    one, other = await known(renewal, 2)
    status, first, _ = await post(renewal, "/v1/renewals", one.body(), "shared-key", "crm")
    assert status == 202
    status, second, _ = await post(renewal, "/v1/renewals", other.body(), "shared-key", "app")
    assert status == 202
    assert first["renewal_id"] != second["renewal_id"]


async def test_a_hundred_clicks_are_one_renewal(renewal: Wired) -> None:
    [one] = await known(renewal)
    answers = await asyncio.gather(*(post(renewal, "/v1/renewals", one.body(), "clicked") for _ in range(30)))
    assert {status for status, _, _ in answers} <= {200, 202}
    assert len({body["renewal_id"] for _, body, _ in answers}) == 1
    said = [said for said in renewal.said(RenewalRequested) if said.subscription_id == one.subscription_id]
    assert len(said) == 1


async def test_a_refusal_says_why_and_the_same_key_may_succeed_later(renewal: Wired) -> None:
    one = someone()
    status, problem, _ = await post(renewal, "/v1/renewals", one.body(), "later")
    assert (status, problem["reason"]) == (404, "subscription_unknown")
    told = (offering(), one.subscription(), one.customer(), one.card(0), one.card(1))
    await renewal.consume("projections", *told)
    status, _, _ = await post(renewal, "/v1/renewals", one.body(), "later")
    assert status == 202
    status, problem, _ = await post(renewal, "/v1/renewals", one.body(), "second")
    assert (status, problem["type"]) == (409, "urn:recarga:problem:slot-taken")


@pytest.mark.parametrize(
    "different",
    [
        {"expected_amount_minor": 0},
        {"expected_amount_minor": -5},
        {"expected_amount_minor": 10**15},
        {"expected_amount_minor": "900"},
        {"expected_amount_minor": 9.0},
        {"currency": "usd"},
        {"payment_method_ids": []},
        {"payment_method_ids": ["x"] * 9},
        {"subscription_id": "no spaces"},
        {"unknown": 1},
    ],
)
async def test_a_wrong_field_is_named(renewal: Wired, different: dict[str, Any]) -> None:
    status, problem, _ = await post(renewal, "/v1/renewals", someone().body(**different), "wrong")
    assert (status, problem["type"]) == (422, "urn:recarga:problem:invalid-request")
    assert problem["errors"][0]["pointer"].startswith("/" + next(iter(different)))


async def test_a_request_without_a_key_is_refused(renewal: Wired) -> None:
    status, problem, _ = await post(renewal, "/v1/renewals", someone().body())
    assert (status, problem["type"]) == (400, "urn:recarga:problem:idempotency-key-missing")


async def test_what_is_not_there_is_a_404(renewal: Wired) -> None:
    for method, path in (
        ("GET", f"/v1/renewals/{uuid4()}"),
        ("POST", f"/v1/renewals/{uuid4()}/cancel"),
        ("GET", "/v1/subscriptions/nobody/renewal-rule"),
    ):
        assert (await renewal.request(method, path)).status == 404


async def test_a_completed_renewal_shows_its_steps_with_attempts_and_times(renewal: Wired) -> None:
    [one] = await known(renewal)
    body, about = await created(renewal, one)
    await renewal.consume("saga", about.priced(), about.declined(), about.captured(), about.applied())
    reply = await renewal.request("GET", f"/v1/renewals/{body['renewal_id']}")
    assert reply.body["state"] == "completed"
    assert reply.body["amount_minor"] == 900
    price, payment, top_up = reply.body["steps"]
    assert (price["state"], payment["state"], top_up["state"]) == ("done", "done", "done")
    assert (payment["attempts"], top_up["attempts"]) == (2, 1)
    assert all(step["at"] for step in (price, payment, top_up))
    assert [line["message"] for line in reply.body["history"]] == [
        "RequestRenewal",
        "RenewalPriced",
        "PaymentDeclined",
        "PaymentCaptured",
        "TopUpApplied",
    ]
    assert reply.body["history"][2]["reason"] == "next_method"


async def test_renewals_are_listed_newest_first_by_subscription_and_state(renewal: Wired) -> None:
    [one] = await known(renewal)
    ids = []
    for number in range(3):
        await renewal.consume("admission", one.request(f"l-{number}"))
        said = [
            said for said in renewal.said(RenewalRequested) if said.subscription_id == one.subscription_id
        ]
        ids.append(str(said[-1].renewal_id))
        if number < 2:
            await renewal.consume("saga", About(said[-1]).applied(cycle=number + 1))
    path = f"/v1/renewals?subscription_id={one.subscription_id}"
    page = (await renewal.request("GET", f"{path}&limit=2")).body
    assert [item["renewal_id"] for item in page["items"]] == [ids[2], ids[1]]
    rest = (await renewal.request("GET", f"{path}&limit=2&cursor={page['next_cursor']}")).body
    assert [item["renewal_id"] for item in rest["items"]] == [ids[0]]
    assert rest["next_cursor"] is None
    closed = (await renewal.request("GET", f"{path}&state=completed")).body
    assert [item["renewal_id"] for item in closed["items"]] == [ids[1], ids[0]]
    for state in ("requested", "completed"):
        everywhere = (await renewal.request("GET", f"/v1/renewals?state={state}&limit=200")).body
        assert ids[2 if state == "requested" else 1] in [item["renewal_id"] for item in everywhere["items"]]
    assert (await renewal.request("GET", "/v1/renewals?state=nonsense")).problem == "invalid-request"
    assert (await renewal.request("GET", "/v1/renewals?cursor=nonsense")).problem == "invalid-cursor"


async def test_a_cursor_with_an_instant_that_no_column_can_hold_is_refused(renewal: Wired) -> None:
    place = b'["0001-01-01T00:00:00+14:00", "00000000-0000-0000-0000-000000000001"]'
    reply = await renewal.request("GET", f"/v1/renewals?cursor={urlsafe_b64encode(place).decode()}")
    assert (reply.status, reply.problem) == (400, "invalid-cursor")


async def test_a_customer_cancels_and_saying_it_twice_is_no_error(renewal: Wired) -> None:
    [one] = await known(renewal)
    body, about = await created(renewal, one)
    path = f"/v1/renewals/{body['renewal_id']}/cancel"
    first = await renewal.request("POST", path)
    assert (first.status, first.body["state"]) == (202, "cancelling_payment")
    again = await renewal.request("POST", path)
    assert (again.status, again.body["version"]) == (202, first.body["version"])
    commands = [c for c in renewal.said(CancelPayment) if c.renewal_id == about.renewal_id]
    assert [command.reason for command in commands] == ["customer_cancelled"]
    await renewal.consume("saga", about.payment_cancelled())
    ended = await renewal.request("POST", path)
    assert (ended.status, ended.body["state"]) == (202, "cancelled")


async def test_what_is_parked_is_called_off_for_the_operator_who_decides(renewal: Wired) -> None:
    [one] = await known(renewal)
    body, about = await created(renewal, one)
    await renewal.consume("saga", about.priced(), about.captured(), about.undetermined())
    path = f"/v1/renewals/{body['renewal_id']}/cancel"
    first, again = await renewal.request("POST", path), await renewal.request("POST", path)
    assert (first.status, first.body["state"], first.body["reason"]) == (202, "parked", "customer_cancelled")
    assert first.body["history"][-1]["message"] == "CustomerCancels"
    assert (again.status, again.body["version"]) == (202, first.body["version"])
    await renewal.consume("saga", about.top_up_rejected())
    assert [c.reason for c in renewal.said(RefundPayment) if c.renewal_id == about.renewal_id] == [
        "customer_cancelled"
    ]


async def test_what_can_no_longer_be_cancelled_says_what_is_possible(renewal: Wired) -> None:
    [one] = await known(renewal)
    body, about = await created(renewal, one)
    await renewal.consume("saga", about.applied())
    reply = await renewal.request("POST", f"/v1/renewals/{body['renewal_id']}/cancel")
    assert (reply.status, reply.problem) == (409, "not-possible-now")
    assert reply.body["state"] == "completed"
    assert reply.body["allowed"] == []


async def test_a_payer_chooses_another_method_when_asked(renewal: Wired) -> None:
    [one] = await known(renewal)
    body, about = await created(renewal, one)
    path = f"/v1/renewals/{body['renewal_id']}/pay"
    early = await renewal.request("POST", path, {"payment_method_id": one.cards[1]})
    assert (early.status, early.body["allowed"]) == (409, ["cancel"])
    declined = about.declined().model_copy(update={"decline_class": "needs_customer"})
    await renewal.consume("saga", about.priced(), declined)
    waiting = await renewal.request("GET", f"/v1/renewals/{body['renewal_id']}")
    assert waiting.body["customer_action"] == "choose_payment_method"
    stolen = await renewal.request("POST", path, {"payment_method_id": "somebody-elses"})
    assert (stolen.status, stolen.problem) == (422, "payment-method-unknown")
    paid = await renewal.request("POST", path, {"payment_method_id": one.cards[1]})
    assert (paid.status, paid.body["state"]) == (202, "priced")
    commands = [c for c in renewal.said(CapturePayment) if c.renewal_id == about.renewal_id]
    assert [(c.payment_method_id, c.attempt) for c in commands] == [(one.cards[1], 2)]


async def test_many_renewals_are_judged_each_by_itself(renewal: Wired) -> None:
    one, two, three = await known(renewal, 3)
    stranger = someone()
    items = [
        one.body(request_id="b1"),
        stranger.body(request_id="b2"),
        two.body(request_id="b3", currency="nonsense"),
        three.body(request_id="b4"),
        one.body(request_id="b1"),
    ]
    status, answer, _ = await post(renewal, "/v1/renewals/bulk", {"items": items})
    assert status == 200
    assert answer["accepted"] == 3
    assert [(each["index"], each["problem"]["status"]) for each in answer["refused"]] == [(1, 404), (2, 422)]


async def test_a_rule_is_set_read_and_replaced(renewal: Wired) -> None:
    [one] = await known(renewal)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    first = await renewal.request("PUT", path, one.rule())
    assert (first.status, first.body["version"]) == (200, 1)
    assert (await renewal.request("PUT", path, one.rule())).body["version"] == 1
    second = await renewal.request("PUT", path, one.rule(cap_amount_minor=700, enabled=False))
    assert second.body["version"] == 2
    assert (await renewal.request("GET", path)).body == second.body


@pytest.mark.parametrize(
    ("different", "status", "problem"),
    [
        ({"offering_id": "no-such"}, 422, "offering-unknown"),
        ({"payment_method_ids": ["no-such"]}, 422, "payment-method-unknown"),
        ({"triggers": []}, 422, "invalid-request"),
        ({"triggers": ["sometimes"]}, 422, "invalid-request"),
        ({"cap_amount_minor": 0}, 422, "invalid-request"),
    ],
)
async def test_a_rule_that_cannot_work_is_refused_where_it_is_made(
    renewal: Wired, different: dict[str, Any], status: int, problem: str
) -> None:
    [one] = await known(renewal)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    reply = await renewal.request("PUT", path, one.rule(**different))
    assert (reply.status, reply.problem) == (status, problem)


async def test_many_rules_are_set_at_once(renewal: Wired) -> None:
    people = await known(renewal, 3)
    stranger = someone()
    items = [one.rule(subscription_id=one.subscription_id) for one in (*people, stranger)]
    reply = await renewal.request("POST", "/v1/renewal-rules/bulk", {"items": items})
    assert reply.body["accepted"] == 3
    assert [each["index"] for each in reply.body["refused"]] == [3]
    for one in people:
        await renewal.consume("admission", one.exhausted())
    wanted = {one.subscription_id for one in people}
    assert wanted <= {said.subscription_id for said in renewal.said(RenewalRequested)}


async def test_only_what_is_asked_for_one_by_one_goes_with_people_at_the_gateways(renewal: Wired) -> None:
    alone, in_bulk, over_kafka, by_rule = people = await known(renewal, 4)
    await renewal.request("POST", "/v1/renewals", alone.body(), {"idempotency-key": "in-person"})
    await post(renewal, "/v1/renewals/bulk", {"items": [in_bulk.body(request_id="in-bulk")]})
    await renewal.consume("admission", over_kafka.request())
    path = f"/v1/subscriptions/{by_rule.subscription_id}/renewal-rule"
    await renewal.request("PUT", path, by_rule.rule())
    await renewal.consume("admission", by_rule.exhausted())
    terms = {said.subscription_id: said.terms for said in renewal.said(RenewalRequested)}
    assert [terms[one.subscription_id].is_awaited for one in people] == [True, False, False, False]
    assert [terms[one.subscription_id].origin for one in people] == ["customer"] * 3 + ["rule"]


async def test_the_bulk_way_and_kafka_share_one_identity(renewal: Wired) -> None:
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    item = one.body(request_id=one.request().request_id)
    status, answer, _ = await post(renewal, "/v1/renewals/bulk", {"items": [item]}, caller="crm")
    assert (status, answer["accepted"]) == (200, 1)
    said = [said for said in renewal.said(RenewalRequested) if said.subscription_id == one.subscription_id]
    assert [said[0].renewal_id, len(said)] == [about.renewal_id, 1]
