"""Payment's HTTP API: methods, wallets, payments, the books; and what it refuses."""

import json
from uuid import uuid4

import pytest

from shared.contracts.payment_methods import PaymentMethodChanged
from shared.contracts.payments import PaymentCaptured
from tests.integration.paging import all_of
from tests.integration.payment.conftest import PRICE, Renewal, Subscribe, call, hear, pay_in
from tests.integration.wired import Reply, Wired

CARD = {"payer_id": "payer-1", "kind": "card", "token": "tok_ok"}


async def put(payment: Wired, method: str, body: object) -> Reply:
    return await payment.request("PUT", f"/v1/payment-methods/{method}", body)


def changes(payment: Wired, method: str) -> list[PaymentMethodChanged]:
    return [told for told in payment.said(PaymentMethodChanged) if told.payment_method_id == method]


async def test_a_method_is_written_told_and_shown_without_its_token(payment: Wired) -> None:
    method = f"card-{uuid4().hex}"
    reply = await put(payment, method, CARD)
    assert reply.status == 200
    assert reply.body == {
        "payment_method_id": method,
        "payer_id": "payer-1",
        "kind": "card",
        "status": "active",
        "gateway": "sandbox",
        "network": None,
        "version": 1,
    }
    assert (await payment.request("GET", f"/v1/payment-methods/{method}")).body == reply.body
    assert [(told.version, told.status) for told in changes(payment, method)] == [(1, "active")]
    assert not any(b"tok_ok" in envelope.payload for envelope in payment.outbox.committed)


async def test_the_same_method_again_changes_nothing_and_another_token_does(payment: Wired) -> None:
    method = f"card-{uuid4().hex}"
    for token in ("tok_ok", "tok_ok", "tok_ok_new"):
        assert (await put(payment, method, CARD | {"token": token})).status == 200
    assert [told.version for told in changes(payment, method)] == [1, 2]


async def test_a_removed_method_is_told_and_pays_nothing_more(payment: Wired, payer: Subscribe) -> None:
    renewal = await payer()
    method = renewal.methods[0]
    removed = await payment.request("DELETE", f"/v1/payment-methods/{method}")
    again = await payment.request("DELETE", f"/v1/payment-methods/{method}")
    assert removed.body == again.body
    assert removed.body["status"] == "removed"
    assert [told.status for told in changes(payment, method)] == ["active", "removed"]
    token = await payment.pool.fetchval(
        "select token from payment_methods where payment_method_id = $1", method
    )
    assert token is None


async def test_all_methods_are_listed_once_by_their_ids_and_without_their_tokens(payment: Wired) -> None:
    mark = uuid4().hex
    names = [f"card-{mark}-{n}" for n in range(5)]
    for name in names:
        assert (await put(payment, name, CARD | {"token": f"tok_ok_{mark}"})).status == 200
    await payment.request("DELETE", f"/v1/payment-methods/{names[0]}")

    listed = await all_of(payment, "/v1/payment-methods")
    ours = [one for one in listed if one["payment_method_id"] in names]
    assert [one["payment_method_id"] for one in ours] == names
    assert [one["status"] for one in ours] == ["removed", *["active"] * 4]
    assert f"tok_ok_{mark}" not in json.dumps(listed)
    refused = await payment.request("GET", "/v1/payment-methods?cursor=nonsense")
    assert (refused.status, refused.problem) == (400, "invalid-cursor")


async def test_a_method_does_not_change_hands(payment: Wired) -> None:
    method = f"card-{uuid4().hex}"
    await put(payment, method, CARD)
    reply = await put(payment, method, CARD | {"payer_id": "payer-2"})
    assert (reply.status, reply.problem) == (409, "payment-method-of-another-payer")


@pytest.mark.parametrize(
    "body",
    [
        CARD | {"token": "4111111111111111"},
        CARD | {"token": None},
        CARD | {"token": "has a space"},
        CARD | {"kind": "wallet"},
        CARD | {"kind": "cheque"},
        CARD | {"gateway": "unheard-of"},
        CARD | {"gateway": "wallet"},
        CARD | {"iban": "DE00"},
        {"kind": "card", "token": "tok_ok"},
        [],
    ],
)
async def test_a_method_that_makes_no_sense_is_refused_without_showing_it(
    payment: Wired, body: object
) -> None:
    reply = await put(payment, "card-x", body)
    assert (reply.status, reply.problem) == (422, "invalid-request")
    assert "4111111111111111" not in json.dumps(reply.body)


async def test_many_methods_are_judged_one_by_one(payment: Wired) -> None:
    names = [f"card-{uuid4().hex}" for _ in range(3)]
    await put(payment, names[0], CARD | {"payer_id": "somebody-else"})
    items = [CARD | {"payment_method_id": name} for name in names] + [{"payment_method_id": "bad id"}]
    reply = await payment.request("POST", "/v1/payment-methods/bulk", {"items": items})
    assert (reply.status, reply.body["accepted"]) == (200, 2)
    assert [refused["index"] for refused in reply.body["refused"]] == [0, 3]
    assert (await payment.request("GET", f"/v1/payment-methods/{names[2]}")).status == 200


async def test_an_unknown_method_wallet_or_payment_is_a_clear_404(payment: Wired) -> None:
    for path, problem in [
        ("/v1/payment-methods/nobody", "payment-method-not-found"),
        ("/v1/wallets/nobody/USD", "wallet-not-found"),
        (f"/v1/payments/{uuid4()}", "payment-not-found"),
    ]:
        reply = await payment.request("GET", path)
        assert (reply.status, reply.problem) == (404, problem)
    assert (await payment.request("DELETE", "/v1/payment-methods/nobody")).status == 404


async def test_a_deposit_under_one_key_is_made_once(payment: Wired) -> None:
    wallet = f"/v1/wallets/payer-{uuid4().hex}/EUR"
    assert (await payment.request("PUT", wallet)).body["balance_minor"] == 0
    key = str(uuid4())
    for _ in range(2):
        reply = await call(
            payment, "POST", f"{wallet}/deposits", b'{"amount_minor": 700}', Idempotency_Key=key
        )
        assert (reply.status, reply.body["balance_minor"]) == (201, 700)
    other = await call(payment, "POST", f"{wallet}/deposits", b'{"amount_minor": 701}', Idempotency_Key=key)
    assert (other.status, other.problem) == (422, "idempotency-key-reused")
    elsewhere = await call(
        payment,
        "POST",
        f"{wallet}/deposits",
        b'{"amount_minor": 1}',
        Idempotency_Key=key,
        Recarga_Caller="shop",
    )
    assert elsewhere.body["balance_minor"] == 701
    assert (await payment.request("PUT", wallet)).body["balance_minor"] == 701


@pytest.mark.parametrize("amount", [0, -1, 10**13, 1.5, "7", None, True])
async def test_a_deposit_of_an_absurd_amount_is_refused(payment: Wired, amount: object) -> None:
    wallet = f"/v1/wallets/payer-{uuid4().hex}/EUR"
    await payment.request("PUT", wallet)
    body = json.dumps({"amount_minor": amount}).encode()
    reply = await call(payment, "POST", f"{wallet}/deposits", body, Idempotency_Key=str(uuid4()))
    assert (reply.status, reply.problem) == (422, "invalid-request")
    assert (await payment.request("GET", wallet)).body["balance_minor"] == 0


async def test_a_deposit_needs_a_key_and_a_wallet(payment: Wired) -> None:
    path = f"/v1/wallets/payer-{uuid4().hex}/EUR/deposits"
    without = await call(payment, "POST", path, b'{"amount_minor": 5}')
    assert (without.status, without.problem) == (400, "idempotency-key-missing")
    nowhere = await call(payment, "POST", path, b'{"amount_minor": 5}', Idempotency_Key="k")
    assert (nowhere.status, nowhere.problem) == (404, "wallet-not-found")


async def test_many_wallets_are_opened_at_once(payment: Wired) -> None:
    payers = [f"payer-{uuid4().hex}" for _ in range(3)]
    items: list[object] = [{"payer_id": payer, "currency": "USD"} for payer in payers]
    reply = await payment.request("POST", "/v1/wallets/bulk", {"items": [*items, {"payer_id": "x"}]})
    assert (reply.body["accepted"], reply.body["refused"][0]["index"]) == (3, 3)
    assert (await payment.request("GET", f"/v1/wallets/{payers[2]}/USD")).status == 200


async def test_a_payment_shows_its_calls_and_ledger_lines(payment: Wired, payer: Subscribe) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    reply = await payment.request("GET", f"/v1/payments/{renewal.renewal_id}")
    assert reply.status == 200
    assert (reply.body["state"], reply.body["decision"]) == ("captured", "captured")
    [attempt] = reply.body["attempts"]
    assert (attempt["operation"], attempt["status"], attempt["ordinal"]) == ("capture", "succeeded", 1)
    [line] = reply.body["transfers"]
    assert (line["debit_account"], line["credit_account"], line["amount_minor"]) == (
        "psp:sandbox",
        "held",
        PRICE,
    )
    assert "tok_ok" not in json.dumps(reply.body)


async def test_the_payments_of_a_subscription_come_in_pages(payment: Wired, payer: Subscribe) -> None:
    first = await payer()
    batch = [first, *(Renewal(first.methods, first.payer_id) for _ in range(4))]
    subscription = f"sub-{uuid4().hex}"
    prices = [renewal.priced().model_copy(update={"subscription_id": subscription}) for renewal in batch]
    await payment.consume("commands", *prices)
    seen: list[str] = []
    cursor = ""
    while True:
        reply = await payment.request("GET", f"/v1/payments?subscription_id={subscription}&limit=2{cursor}")
        seen += [item["renewal_id"] for item in reply.body["items"]]
        if reply.body["next_cursor"] is None:
            break
        cursor = f"&cursor={reply.body['next_cursor']}"
    assert seen == sorted((str(renewal.renewal_id) for renewal in batch), reverse=True)


async def test_the_books_are_shown_with_their_proof(payment: Wired, payer: Subscribe) -> None:
    renewal = await payer("wallet")
    await pay_in(payment, renewal, PRICE)
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    reply = await payment.request("GET", "/v1/ledger/balances")
    assert reply.body["balanced"] is True
    [dollars] = [line for line in reply.body["currencies"] if line["currency"] == "USD"]
    assert dollars["captured_minor"] == (
        dollars["applied_minor"]
        + dollars["refunded_minor"]
        + dollars["held_minor"]
        + dollars["disputed_minor"]
    )
    assert {account["account"] for account in reply.body["accounts"]} >= {"held", "deposits"}


@pytest.mark.parametrize("currency", ["USD", "CHF"], ids=["of the ledger", "that the ledger has never seen"])
async def test_books_that_do_not_balance_say_so(payment: Wired, currency: str) -> None:
    payer_id = f"payer-{uuid4().hex}"
    assert (await payment.request("PUT", f"/v1/wallets/{payer_id}/{currency}")).status == 200
    change = "update wallets set balance_minor = balance_minor + $1 where payer_id = $2"
    await payment.pool.execute(change, 1, payer_id)
    reply = await payment.request("GET", "/v1/ledger/balances")
    await payment.pool.execute(change, -1, payer_id)
    assert reply.body["balanced"] is False
