"""What is not admitted is refused with a problem document that says what to do; no renewal begins."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.acceptance.office import Office
from tests.acceptance.subscribers import AMOUNT_MINOR, OFFERING

REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any], int, str]] = [
    ("nobody knows the subscription", {}, {"subscription_id": "acc-nobody"}, 404, "subscription-unknown"),
    ("the identity is not verified", {"is_verified": False}, {}, 422, "identity-not-verified"),
    ("the subscription is suspended", {"status": "suspended"}, {}, 422, "status-not-eligible"),
    ("the subscription is terminated", {"status": "terminated"}, {}, 422, "status-not-eligible"),
    ("no device is bound", {"is_bound": False}, {}, 422, "device-not-bound"),
    ("nobody sells the offering", {}, {"offering_id": "acc-nothing"}, 422, "offering-unknown"),
    ("the card is nobody's", {}, {"payment_method_ids": ["acc-no-card"]}, 422, "payment-method-unknown"),
    ("the payer is somebody else", {}, {"payer_id": "acc-stranger"}, 422, "payment-method-unknown"),
]


@pytest.mark.parametrize(
    ("traits", "wish", "status", "problem"),
    [row[1:] for row in REFUSALS],
    ids=[row[0].replace(" ", "-") for row in REFUSALS],
)
async def test_a_request_is_refused_where(
    office: Office, traits: dict[str, Any], wish: dict[str, Any], status: int, problem: str
) -> None:
    subscriber = await office.seeded(**traits)

    reply = await office.ask(subscriber, **wish)

    assert (reply.status, reply.problem) == (status, problem)
    assert reply.body["detail"].endswith("Nothing was done.")
    assert await office.renewals_of(subscriber) == []


async def test_a_request_for_a_withdrawn_offering_is_refused(office: Office) -> None:
    subscriber = await office.seeded()
    offering_id = f"acc-withdrawn-{subscriber.number}"
    await office.sell(offering_id)
    offering = (await office.ok("catalog", "GET", f"/v1/offerings/{offering_id}")).body
    names = ("name", "destination", "data_bytes", "validity_seconds", "product_code")
    withdrawn = {name: offering[name] for name in names} | {"status": "withdrawn"}
    await office.ok("catalog", "PUT", f"/v1/offerings/{offering_id}", withdrawn)

    async def refused() -> bool:
        reply = await office.ask(subscriber, offering_id=offering_id, expected_amount_minor=AMOUNT_MINOR)
        return reply.status == 422 and reply.problem == "offering-withdrawn"

    await office.until(refused, "renewal knows of the withdrawal")


async def test_a_card_that_was_removed_pays_nothing(office: Office) -> None:
    subscriber = await office.seeded()
    [method_id] = subscriber.payment_method_ids
    await office.ok("payment", "DELETE", f"/v1/payment-methods/{method_id}")

    async def removed() -> bool:
        status = await office.database.fetchval(
            "select status from renewal.payment_methods where payment_method_id = $1", method_id
        )
        return bool(status == "removed")

    await office.until(removed, "renewal knows of the removal")
    reply = await office.ask(subscriber)
    assert (reply.status, reply.problem) == (422, "payment-method-inactive")


@pytest.mark.parametrize(
    ("service", "path", "problem"),
    [
        ("renewal", f"/v1/renewals/{uuid.UUID(int=0)}", "renewal-not-found"),
        ("renewal", "/v1/subscriptions/acc-nobody/renewal-rule", "renewal-rule-not-found"),
        ("catalog", "/v1/offerings/acc-nothing", "offering-not-found"),
        ("catalog", "/v1/offerings?subscription_id=acc-nobody", "subscription-not-found"),
        ("payment", f"/v1/payments/{uuid.UUID(int=0)}", "payment-not-found"),
        ("payment", "/v1/payment-methods/acc-no-card", "payment-method-not-found"),
        ("payment", "/v1/wallets/acc-nobody/USD", "wallet-not-found"),
        ("provisioning", "/v1/subscriptions/acc-nobody", "subscription-not-found"),
        ("provisioning", f"/v1/top-ups/{uuid.UUID(int=0)}", "top-up-not-found"),
        ("usage", "/v1/subscriptions/acc-nobody/buckets", "subscription-not-found"),
        ("usage", "/v1/nothing-here", "not-found"),
    ],
)
async def test_what_nobody_knows_is_a_404_that_says_where_to_look(
    office: Office, service: str, path: str, problem: str
) -> None:
    reply = await office.http(service, "GET", path)

    assert (reply.status, reply.problem) == (404, problem)


async def test_a_rule_for_nobody_or_for_nothing_is_refused(office: Office) -> None:
    subscriber = await office.seeded()
    rule = subscriber.rule()

    unknown = await office.http("renewal", "PUT", "/v1/subscriptions/acc-nobody/renewal-rule", rule)
    address = f"/v1/subscriptions/{subscriber.subscription_id}/renewal-rule"
    unsold = await office.http("renewal", "PUT", address, rule | {"offering_id": f"{OFFERING}-not"})

    assert (unknown.status, unknown.problem) == (404, "subscription-unknown")
    assert (unsold.status, unsold.problem) == (422, "offering-unknown")
