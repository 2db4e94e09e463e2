"""Offerings are written over HTTP, told on offerings.v1, and shown to whoever may buy them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.clock import utc_now
from shared.contracts.checks import eid_with_check, luhn_digit
from shared.contracts.offerings import OfferingChanged
from shared.contracts.subscriptions import SubscriptionChanged
from tests.integration.catalog.conftest import OFFERING, new_offering_id, price_body, sold
from tests.integration.wired import Wired


def changes(catalog: Wired, offering_id: str) -> list[OfferingChanged]:
    return [each for each in catalog.said(OfferingChanged) if each.offering_id == offering_id]


def subscription(subscription_id: str, version: int = 1, **changes: Any) -> SubscriptionChanged:
    whole: dict[str, Any] = {
        "subscription_id": subscription_id,
        "version": version,
        "brand": "ola",
        "carrier": "cubacel",
        "iccid": "895301000000000777" + luhn_digit("895301000000000777"),
        "eid": eid_with_check("890490320000000000000000000000"),
        "bound_imei": None,
        "owner_id": "owner-1",
        "status": "active",
        "top_ups": 0,
        "changed_at": datetime(2026, 11, 22, tzinfo=UTC),
    }
    return SubscriptionChanged(**(whole | changes))


async def test_every_change_of_an_offering_is_told_with_a_new_version_and_nothing_else_is(
    catalog: Wired,
) -> None:
    offering_id = new_offering_id()
    path = f"/v1/offerings/{offering_id}"
    first = await catalog.request("PUT", path, OFFERING)
    assert (first.status, first.body["version"]) == (200, 1)
    await catalog.request("PUT", path, OFFERING)
    second = await catalog.request("PUT", path, {**OFFERING, "status": "withdrawn"})
    assert second.body["version"] == 2
    told = changes(catalog, offering_id)
    assert [(each.version, each.status) for each in told] == [(1, "on_sale"), (2, "withdrawn")]
    assert told[0].data_bytes == 10**9


async def test_offerings_in_bulk_are_judged_one_by_one(catalog: Wired) -> None:
    ids = [new_offering_id() for _ in range(4)]
    items = [{**OFFERING, "offering_id": each} for each in ids]
    items[1]["data_bytes"] = 0
    items[2]["destination"] = "cuba"
    items.append({**OFFERING, "offering_id": ids[0], "name": "the last one wins"})
    reply = await catalog.request("POST", "/v1/offerings/bulk", {"items": items})
    assert reply.body["accepted"] == 3
    assert [each["index"] for each in reply.body["refused"]] == [1, 2]
    assert [each.name for each in changes(catalog, ids[0])] == ["the last one wins"]
    assert len(changes(catalog, ids[3])) == 1
    assert changes(catalog, ids[1]) == []


async def test_the_list_is_paged_by_destination_and_shows_the_prices_in_force(catalog: Wired) -> None:
    ids = sorted(new_offering_id() for _ in range(3))
    for offering_id in ids:
        await catalog.request("PUT", f"/v1/offerings/{offering_id}", {**OFFERING, "destination": "JM"})
    for price_id, begins in (("p-1", -1), ("p-2", 1)):
        body = price_body(100 + begins, utc_now() + timedelta(hours=begins))
        await catalog.request("PUT", f"/v1/offerings/{ids[0]}/prices/{price_id}", body)
    first = await catalog.request("GET", "/v1/offerings?destination=JM&limit=2")
    assert [each["offering_id"] for each in first.body["items"]] == ids[:2]
    assert [each["amount_minor"] for each in first.body["items"][0]["prices"]] == [99]
    rest = await catalog.request("GET", f"/v1/offerings?destination=JM&cursor={first.body['next_cursor']}")
    assert [each["offering_id"] for each in rest.body["items"]] == ids[2:]
    assert rest.body["next_cursor"] is None
    one = await catalog.request("GET", f"/v1/offerings/{ids[0]}")
    assert [each["amount_minor"] for each in one.body["schedule"]] == [99, 101]


@pytest.mark.parametrize(
    ("limits", "may_buy"),
    [
        ({}, True),
        ({"brands": ["ola", "luna"]}, True),
        ({"brands": ["luna"]}, False),
        ({"carriers": ["cubacel"]}, True),
        ({"carriers": ["etecsa"]}, False),
        ({"subscription_statuses": ["expired", "terminated"]}, False),
        ({"status": "withdrawn"}, False),
    ],
)
async def test_a_subscription_is_shown_only_what_it_may_buy(
    catalog: Wired, limits: dict[str, Any], may_buy: bool
) -> None:
    await catalog.consume("subscriptions", subscription("sub-buyer"))
    offering_id = new_offering_id()
    await catalog.request("PUT", f"/v1/offerings/{offering_id}", {**OFFERING, "destination": "HT", **limits})
    page = await catalog.request("GET", "/v1/offerings?destination=HT&subscription_id=sub-buyer&limit=200")
    assert (offering_id in [each["offering_id"] for each in page.body["items"]]) == may_buy


async def test_who_may_buy_follows_the_newest_version_of_the_subscription(catalog: Wired) -> None:
    offering_id = new_offering_id()
    await catalog.request(
        "PUT", f"/v1/offerings/{offering_id}", {**OFFERING, "destination": "DO", "brands": ["luna"]}
    )
    await catalog.consume(
        "subscriptions", subscription("sub-mover", 2, brand="luna"), subscription("sub-mover")
    )
    await catalog.consume("subscriptions", subscription("sub-mover", 1))
    page = await catalog.request("GET", "/v1/offerings?destination=DO&subscription_id=sub-mover")
    assert [each["offering_id"] for each in page.body["items"]] == [offering_id]


async def test_what_is_not_known_is_a_problem_that_says_what_to_do(catalog: Wired) -> None:
    for path, problem in (
        ("/v1/offerings/nothing", "offering-not-found"),
        ("/v1/offerings?subscription_id=nobody", "subscription-not-found"),
    ):
        reply = await catalog.request("GET", path)
        assert (reply.status, reply.problem) == (404, problem)
        assert "Compare the id" in reply.body["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"data_bytes": -1},
        {"data_bytes": "1"},
        {"data_bytes": 2**60},
        {"validity_seconds": 0},
        {"destination": "Cuba"},
        {"stacking": "pile"},
        {"subscription_statuses": []},
        {"colour": "blue"},
        {"name": ""},
    ],
)
async def test_a_wrong_offering_is_refused_and_nothing_is_told(
    catalog: Wired, change: dict[str, Any]
) -> None:
    offering_id = new_offering_id()
    reply = await catalog.request("PUT", f"/v1/offerings/{offering_id}", {**OFFERING, **change})
    assert (reply.status, reply.problem) == (422, "invalid-request")
    assert changes(catalog, offering_id) == []


async def test_prices_are_scheduled_ahead_and_refused_with_their_reason(catalog: Wired) -> None:
    offering_id = await sold(catalog)
    path = f"/v1/offerings/{offering_id}/prices"
    now = utc_now()
    cases = [
        ("p-2", price_body(900, now + timedelta(minutes=4)), 422, "price-too-soon"),
        ("p-1", price_body(900, now + timedelta(hours=1)), 409, "price-in-force"),
        ("p-3", price_body(900, now + timedelta(hours=1)), 200, ""),
        ("p-3", price_body(900, now + timedelta(hours=1)), 200, ""),
        ("p-3", price_body(950, now + timedelta(hours=2)), 200, ""),
        ("p-4", price_body(900, now + timedelta(hours=2)), 409, "price-overlaps"),
        ("p-4", price_body(0, now + timedelta(hours=3)), 422, "invalid-request"),
    ]
    for price_id, body, status, problem in cases:
        reply = await catalog.request("PUT", f"{path}/{price_id}", body)
        assert (reply.status, reply.problem if status >= 400 else "") == (status, problem), (price_id, body)
    reply = await catalog.request("PUT", "/v1/offerings/nothing/prices/p-1", price_body(1, now))
    assert (reply.status, reply.problem) == (404, "offering-not-found")
    reply = await catalog.request("POST", f"{path}/p-9/withdrawal")
    assert (reply.status, reply.problem) == (404, "price-not-found")


async def test_prices_in_bulk_build_upon_each_other(catalog: Wired) -> None:
    offering_id = new_offering_id()
    await catalog.request("PUT", f"/v1/offerings/{offering_id}", OFFERING)
    now = utc_now()
    items = [
        {"offering_id": offering_id, "price_id": "p-1", **price_body(1000, now)},
        {"offering_id": offering_id, "price_id": "p-2", **price_body(900, now + timedelta(minutes=1))},
        {"offering_id": offering_id, "price_id": "p-3", **price_body(900, now + timedelta(hours=1))},
        {"offering_id": "nothing", "price_id": "p-1", **price_body(1000, now)},
        {"offering_id": offering_id, "price_id": "p-4", "currency": "USD"},
    ]
    reply = await catalog.request("POST", "/v1/prices/bulk", {"items": items})
    assert reply.body["accepted"] == 2
    refused = {each["index"]: each["problem"]["type"].split(":")[-1] for each in reply.body["refused"]}
    assert refused == {1: "price-too-soon", 3: "offering-not-found", 4: "invalid-request"}
    again = await catalog.request("POST", "/v1/prices/bulk", {"items": [items[0], items[2]]})
    assert again.body == {"accepted": 2, "refused": []}
