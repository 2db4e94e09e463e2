"""The acceptance policy on a real server: its table over HTTP, what it leaves of requests and of rules."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.contracts.customers import CustomerChanged
from shared.contracts.payments import PaymentActionRequired
from shared.contracts.renewals import RenewalRefused, RenewalRequested
from tests.integration.renewal.conftest import Subscriber, after, begun, known, offering, signed_in
from tests.integration.renewal.operating import Operator
from tests.integration.wired import Reply, Wired

TABLE = "/v1/operator/acceptance"
WHY = "the card acquirer takes no payments for it"


async def put(renewal: Wired, place: str, verdict: str = "refuse") -> Reply:
    return await renewal.request("PUT", f"{TABLE}/{place}", {"verdict": verdict, "why": WHY}, signed_in())


@pytest.fixture(autouse=True)
async def the_table_is_empty_again(renewal: Wired) -> AsyncIterator[None]:
    yield
    await renewal.pool.execute("delete from acceptance_entries")


async def payer(renewal: Wired, country: str | None = "US") -> Subscriber:
    """Somebody from there, who pays by card first, then from a wallet."""
    [one] = await known(renewal)
    lives = CustomerChanged(customer_id=one.owner_id, version=1, identity_verified=True, country=country)
    wallet = one.card(1).model_copy(update={"kind": "wallet"})
    await renewal.consume("acceptance-facts", lives, one.card(0), wallet)
    await renewal.consume("offering-terms", offering())
    return one


def terms(renewal: Wired, one: Subscriber) -> Any:
    [said] = [said for said in renewal.said(RenewalRequested) if said.subscription_id == one.subscription_id]
    return said.terms


async def test_a_method_that_is_refused_is_left_out_of_the_terms(renewal: Wired) -> None:
    assert (await put(renewal, "CU/US/card")).status == 200
    one = await payer(renewal)
    await begun(renewal, one)
    assert terms(renewal, one).payment_method_ids == (one.cards[1],)


async def test_where_none_is_left_it_is_refused_in_words_over_http_and_to_systems(renewal: Wired) -> None:
    await put(renewal, "CU/US/*")
    one = await payer(renewal)
    reply = await renewal.request("POST", "/v1/renewals", one.body(), {"idempotency-key": "a-1"})
    assert (reply.status, reply.problem, reply.body["reason"]) == (422, "not-accepted", "not_accepted")
    assert "For CU no payment by card, wallet is taken from a payer in US." in reply.body["detail"]
    await renewal.consume("admission", one.request())
    [said] = [said for said in renewal.said(RenewalRefused) if said.subscription_id == one.subscription_id]
    assert said.reason == "not_accepted"


async def test_the_payers_country_counts_and_an_unknown_one_is_not_meant(renewal: Wired) -> None:
    await put(renewal, "CU/US/*")
    abroad, nowhere = await payer(renewal, "ES"), await payer(renewal, None)
    await begun(renewal, abroad, nowhere)
    assert terms(renewal, abroad).payment_method_ids == abroad.cards
    assert terms(renewal, nowhere).payment_method_ids == nowhere.cards


async def test_a_rules_trigger_is_refused_with_its_decision(renewal: Wired) -> None:
    await put(renewal, "*/*/*")
    one = await payer(renewal)
    path = f"/v1/subscriptions/{one.subscription_id}"
    assert (await renewal.request("PUT", f"{path}/renewal-rule", one.rule())).status == 200
    await renewal.consume("admission", one.exhausted())
    [decision] = (await renewal.request("GET", f"{path}/renewal-decisions")).body["items"]
    assert (decision["outcome"], decision["reason"]) == ("refused", "not_accepted")


async def test_a_payer_cannot_choose_a_method_that_is_refused(renewal: Wired) -> None:
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
    await put(renewal, "CU/US/wallet")
    chosen = {"payment_method_id": one.cards[1]}
    reply = await renewal.request("POST", f"/v1/renewals/{about.renewal_id}/pay", chosen)
    assert (reply.status, reply.problem) == (422, "not-accepted")


async def test_an_empty_table_is_not_asked(renewal: Wired) -> None:
    one = await payer(renewal)
    await begun(renewal, one)
    assert not any("What the table says" in statement for statement in renewal.statements)


async def test_entries_are_set_listed_and_removed_and_each_change_is_audited(renewal: Wired) -> None:
    uma = Operator(renewal, "uma")
    items = [
        {"destination": "CU", "payer_country": "US", "method_kind": "card", "verdict": "refuse", "why": WHY},
        {"destination": "*", "payer_country": "*", "method_kind": "paypal", "verdict": "refuse", "why": WHY},
        {"destination": "Cuba", "payer_country": "*", "method_kind": "*", "verdict": "refuse", "why": WHY},
    ]
    reply = await renewal.request("POST", f"{TABLE}/bulk", {"items": items}, signed_in("uma"))
    assert (reply.status, reply.body["accepted"], reply.body["refused"][0]["index"]) == (200, 2, 2)
    assert (await put(renewal, "CU/US/card", "allow")).body["verdict"] == "allow"
    first = (await uma.get(f"{TABLE}?limit=1")).body
    second = (await uma.get(f"{TABLE}?limit=1&cursor={first['next_cursor']}")).body
    assert [entry["destination"] for entry in (*first["items"], *second["items"])] == ["*", "CU"]
    assert (second["items"][0]["verdict"], second["next_cursor"]) == ("allow", None)

    gone = await renewal.request("DELETE", f"{TABLE}/CU/US/card?why=it+was+wrong", headers=signed_in("uma"))
    assert (gone.status, gone.body["verdict"]) == (200, "allow")
    again = await renewal.request("DELETE", f"{TABLE}/CU/US/card?why=it+was+wrong", headers=signed_in("uma"))
    assert (again.status, again.problem) == (404, "acceptance-entry-not-found")
    audit = (await uma.get("/v1/operator/audit?operator=uma&limit=3")).body["items"]
    assert [deed["action"] for deed in audit] == ["remove acceptance", "set acceptance", "set acceptance"]
    told = [(deed["before"], deed["after"]) for deed in audit if deed["choice"] == "CU US card"]
    assert told == [
        ({"verdict": "allow"}, {"verdict": None}),
        ({"verdict": None}, {"verdict": "refuse"}),
    ]


async def test_the_audit_says_what_an_entry_was_before_and_that_there_was_none(renewal: Wired) -> None:
    """Of several that are set at once each has its own line."""
    una = Operator(renewal, "una")
    await put(renewal, "CU/US/card", "review")
    items = [
        {"destination": "CU", "payer_country": "US", "method_kind": kind, "verdict": "refuse", "why": WHY}
        for kind in ("card", "wallet")
    ]
    assert (await una.post(f"{TABLE}/bulk", items=items)).body["accepted"] == 2
    audit = (await una.get("/v1/operator/audit?operator=una&limit=2")).body["items"]
    assert {deed["choice"]: (deed["before"]["verdict"], deed["after"]["verdict"]) for deed in audit} == {
        "CU US card": ("review", "refuse"),
        "CU US wallet": (None, "refuse"),
    }


async def test_only_operators_may_touch_it(renewal: Wired) -> None:
    body = {"verdict": "refuse", "why": WHY}
    assert (await renewal.request("PUT", f"{TABLE}/CU/US/card", body)).status == 401
    viewer = await renewal.request("PUT", f"{TABLE}/CU/US/card", body, signed_in("vera", "viewer"))
    assert viewer.problem == "role-not-sufficient"
    assert (await put(renewal, "cuba/US/card")).status == 422
