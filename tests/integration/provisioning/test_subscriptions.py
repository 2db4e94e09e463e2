"""Subscriptions over HTTP, single and in bulk, and what others are told of them."""

from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts.checks import luhn_digit
from shared.contracts.subscriptions import SubscriptionChanged
from tests.integration.paging import all_of
from tests.integration.provisioning.conftest import Subscribe, body_of, iccid
from tests.integration.wired import Wired

_imeis = count(35_000_000_000_000)


def imei() -> str:
    digits = str(next(_imeis))
    return digits + luhn_digit(digits)


def told(provisioning: Wired, subscription_id: str) -> list[SubscriptionChanged]:
    changes = provisioning.said(SubscriptionChanged)
    return [change for change in changes if change.subscription_id == subscription_id]


async def test_a_new_subscription_is_created_shown_and_published(provisioning: Wired) -> None:
    body = body_of(iccid(), bound_imei=imei())
    reply = await provisioning.request("PUT", "/v1/subscriptions/sub-new", body)

    assert reply.status == 201
    assert reply.body.items() >= (body | {"status": "active", "top_ups": 0, "version": 1}).items()
    shown = await provisioning.request("GET", "/v1/subscriptions/sub-new")
    assert (shown.status, shown.body) == (200, reply.body)
    [change] = told(provisioning, "sub-new")
    assert (change.version, change.iccid, change.bound_imei) == (1, body["iccid"], body["bound_imei"])


async def test_the_same_body_again_changes_and_publishes_nothing(provisioning: Wired) -> None:
    body = body_of(iccid())
    await provisioning.request("PUT", "/v1/subscriptions/sub-same", body)
    again = await provisioning.request("PUT", "/v1/subscriptions/sub-same", body)

    assert (again.status, again.body["version"]) == (200, 1)
    assert len(told(provisioning, "sub-same")) == 1


async def test_every_change_is_a_new_version(provisioning: Wired) -> None:
    body = body_of(iccid())
    await provisioning.request("PUT", "/v1/subscriptions/sub-moving", body)
    moved = body | {"iccid": iccid(), "owner_id": "owner-2"}
    assert (await provisioning.request("PUT", "/v1/subscriptions/sub-moving", moved)).status == 200
    status = await provisioning.request("PATCH", "/v1/subscriptions/sub-moving", {"status": "suspended"})

    assert (status.body["status"], status.body["version"], status.body["owner_id"]) == (
        "suspended",
        3,
        "owner-2",
    )
    assert [change.version for change in told(provisioning, "sub-moving")] == [1, 2, 3]


async def test_a_number_may_be_of_several_subscriptions_and_moves(provisioning: Wired) -> None:
    number = "+5350001234"
    first, second = body_of(iccid(), msisdn=number), body_of(iccid(), msisdn=number)
    assert (await provisioning.request("PUT", "/v1/subscriptions/sub-had-it", first)).status == 201
    assert (await provisioning.request("PUT", "/v1/subscriptions/sub-has-it", second)).status == 201
    moved = await provisioning.request("PUT", "/v1/subscriptions/sub-had-it", first | {"msisdn": None})

    assert (moved.body["msisdn"], moved.body["version"]) == (None, 2)
    await provisioning.request("PATCH", "/v1/subscriptions/sub-has-it", {"status": "suspended"})
    shown = await provisioning.request("GET", "/v1/subscriptions/sub-has-it")
    assert (shown.body["msisdn"], shown.body["version"]) == (number, 2)
    assert [change.msisdn for change in told(provisioning, "sub-had-it")] == [number, None]
    assert [change.msisdn for change in told(provisioning, "sub-has-it")] == [number, number]


async def test_an_iccid_has_one_subscription(provisioning: Wired, subscribe: Subscribe) -> None:
    owner = await subscribe()
    created = await provisioning.request("PUT", "/v1/subscriptions/sub-second", body_of(owner.iccid))
    assert (created.status, created.problem) == (409, "iccid-taken")

    other = await subscribe()
    revised = await provisioning.request(
        "PUT", f"/v1/subscriptions/{other.subscription_id}", body_of(owner.iccid)
    )
    assert (revised.status, revised.problem) == (409, "iccid-taken")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("iccid", "8999990000000000000"),
        ("iccid", "1234"),
        ("eid", "8" * 32),
        ("bound_imei", "350000000000001"),
        ("status", "asleep"),
        ("msisdn", "5350001234"),
        ("msisdn", "+0350001234"),
        ("msisdn", "+5350001234567890"),
        ("owner_id", ""),
        ("brand", 7),
        ("unknown", "field"),
    ],
)
async def test_a_wrong_field_is_refused_with_a_reason(provisioning: Wired, field: str, value: object) -> None:
    good = iccid()
    wrong = (
        good[:-1] + str((int(good[-1]) + 1) % 10)
        if (field, value) == ("iccid", "8999990000000000000")
        else value
    )
    body = body_of(good) | {field: wrong}
    reply = await provisioning.request("PUT", "/v1/subscriptions/sub-wrong", body)

    assert (reply.status, reply.problem) == (422, "invalid-request")
    assert reply.body["errors"][0]["pointer"] == f"/{field}"
    assert str(wrong) not in str(reply.body) or len(str(wrong)) < 13


async def test_an_unknown_subscription_is_not_found(provisioning: Wired) -> None:
    for reply in (
        await provisioning.request("GET", "/v1/subscriptions/sub-nobody"),
        await provisioning.request("PATCH", "/v1/subscriptions/sub-nobody", {"status": "active"}),
    ):
        assert (reply.status, reply.problem) == (404, "subscription-not-found")


async def test_a_thousand_are_written_by_one_request_and_each_is_judged_by_itself(
    provisioning: Wired,
) -> None:
    owner = f"owner-{uuid4().hex[:8]}"
    items: list[dict[str, Any]] = [
        body_of(iccid(), owner_id=owner) | {"subscription_id": f"{owner}-{number:04d}"}
        for number in range(1_000)
    ]
    items[3]["iccid"] = "89"
    items[5]["iccid"] = items[4]["iccid"]
    items[7]["subscription_id"] = items[6]["subscription_id"]

    first = await provisioning.request("POST", "/v1/subscriptions/bulk", {"items": items})

    assert (first.status, first.body["accepted"]) == (200, 997)
    refused = {one["index"]: one["problem"]["type"].rsplit(":", 1)[1] for one in first.body["refused"]}
    assert refused == {3: "invalid-request", 5: "item-repeated", 7: "item-repeated"}

    items[8]["iccid"] = items[9]["iccid"]
    items[10]["status"] = "expired"
    del items[3], items[4], items[5]
    again = await provisioning.request("POST", "/v1/subscriptions/bulk", {"items": items})
    refused = {one["index"]: one["problem"]["type"].rsplit(":", 1)[1] for one in again.body["refused"]}
    assert refused == {5: "iccid-taken", 6: "item-repeated"}

    changes = [change for change in provisioning.said(SubscriptionChanged) if change.owner_id == owner]
    assert len(changes) == 998
    assert [change.subscription_id for change in changes if change.version == 2] == [f"{owner}-0010"]


async def test_an_owner_s_subscriptions_are_listed_in_pages(provisioning: Wired) -> None:
    owner = f"owner-{uuid4().hex[:8]}"
    items = [body_of(iccid(), owner_id=owner) | {"subscription_id": f"{owner}-{n}"} for n in range(5)]
    await provisioning.request("POST", "/v1/subscriptions/bulk", {"items": items})

    seen: list[str] = []
    cursor = ""
    while True:
        page = await provisioning.request("GET", f"/v1/subscriptions?owner_id={owner}&limit=2{cursor}")
        seen += [one["subscription_id"] for one in page.body["items"]]
        if page.body["next_cursor"] is None:
            break
        cursor = f"&cursor={page.body['next_cursor']}"
    assert seen == [f"{owner}-{n}" for n in range(5)]
    forged = await provisioning.request("GET", f"/v1/subscriptions?owner_id={owner}&cursor=nonsense")
    assert (forged.status, forged.problem) == (400, "invalid-cursor")


async def test_without_an_owner_all_subscriptions_are_listed_once_by_their_ids(provisioning: Wired) -> None:
    owners = [f"owner-{uuid4().hex[:8]}" for _ in range(2)]
    items = [
        body_of(iccid(), owner_id=owner) | {"subscription_id": f"{owner}-{n}"}
        for owner in owners
        for n in range(3)
    ]
    await provisioning.request("POST", "/v1/subscriptions/bulk", {"items": items})

    listed = await all_of(provisioning, "/v1/subscriptions", limit=100)
    ours = [one for one in listed if one["owner_id"] in owners]
    assert [one["subscription_id"] for one in ours] == sorted(str(item["subscription_id"]) for item in items)
    assert (
        ours[0] == (await provisioning.request("GET", f"/v1/subscriptions/{ours[0]['subscription_id']}")).body
    )
