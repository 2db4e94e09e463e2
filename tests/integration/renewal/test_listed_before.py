"""A subscription's list has what was asked for and has not begun: it waits for a slot, or for a person."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.renewal import store
from tests.integration.paging import all_of
from tests.integration.renewal.conftest import About, Subscriber
from tests.integration.renewal.test_acceptance import payer, put
from tests.integration.renewal.test_reviews import ask, automatic, begun_for, in_review, triggered
from tests.integration.renewal.test_waiting import begun_by_rule
from tests.integration.wired import Wired


@pytest.fixture(autouse=True)
async def the_policy_is_empty_again(renewal: Wired) -> AsyncIterator[None]:
    yield
    await renewal.pool.execute("delete from acceptance_entries")
    await renewal.pool.execute("delete from acceptance_reviews")


async def listed(renewal: Wired, one: Subscriber, wanted: str = "") -> list[dict[str, Any]]:
    page = await renewal.request("GET", f"/v1/renewals?subscription_id={one.subscription_id}{wanted}")
    assert page.status == 200, page
    items: list[dict[str, Any]] = page.body["items"]
    return items


async def test_what_waits_for_a_slot_is_listed_as_it_is_shown_before_what_gives_way(renewal: Wired) -> None:
    one, automatic = await begun_by_rule(renewal)
    reply = await ask(renewal, one)
    waits, gives_way = await listed(renewal, one)
    assert (waits["state"], gives_way["renewal_id"]) == ("waiting", str(automatic.renewal_id))
    assert waits["gives_way"] == gives_way["renewal_id"]
    assert waits == {name: reply.body[name] for name in waits}
    assert await listed(renewal, one, "&state=waiting") == [waits]
    assert await listed(renewal, one, "&state=in_review") == []

    await renewal.consume("saga", automatic.payment_cancelled())
    begun, _ = await listed(renewal, one)
    assert (begun["renewal_id"], begun["state"]) == (reply.body["renewal_id"], "requested")


async def test_what_a_person_decides_about_is_listed_as_it_is_shown_until_then(renewal: Wired) -> None:
    one, reply = await in_review(renewal)
    [item] = await listed(renewal, one)
    assert item["state"] == "in_review"
    assert item == {name: reply.body[name] for name in item}
    assert await listed(renewal, one, "&state=in_review") == [item]
    assert await listed(renewal, one, "&state=requested") == []

    await renewal.request("POST", f"/v1/renewals/{reply.body['renewal_id']}/cancel")
    assert await listed(renewal, one) == []


async def test_a_rules_trigger_that_is_in_review_is_listed_too(renewal: Wired) -> None:
    one = await triggered(renewal)
    [item] = await listed(renewal, one)
    assert (item["renewal_id"], item["state"], item["origin"]) == (str(automatic(one)), "in_review", "rule")


async def test_all_of_a_subscription_is_read_once_page_by_page_whatever_has_begun(renewal: Wired) -> None:
    one = await payer(renewal)
    await put(renewal, "CU/US/*", "allow")
    ids = []
    for number in range(3):
        ids.append((await ask(renewal, one, f"b-{number}")).body["renewal_id"])
        await renewal.consume("saga", About(begun_for(renewal, one)[-1]).applied(cycle=number + 1))
    await put(renewal, "CU/US/*", "review")
    ids.append((await ask(renewal, one, "reviewed")).body["renewal_id"])
    everything = f"/v1/renewals?subscription_id={one.subscription_id}"
    for limit in (1, 2, 4, 5):
        items = await all_of(renewal, everything, limit)
        assert [item["renewal_id"] for item in items] == ids[::-1]


async def test_no_more_is_read_than_is_asked_for(renewal: Wired) -> None:
    one = await triggered(renewal)
    async with renewal.transactions.begin() as transaction:
        for limit in (0, 1):
            found = await store.list_without_slot(
                transaction.connection, one.subscription_id, None, None, limit
            )
            assert len(found) == limit


async def test_others_are_not_listed_with_them(renewal: Wired) -> None:
    _, reply = await in_review(renewal)
    other = await payer(renewal)
    assert await listed(renewal, other) == []
    everywhere = await renewal.request("GET", "/v1/renewals?limit=200")
    assert reply.body["renewal_id"] not in [item["renewal_id"] for item in everywhere.body["items"]]
    for state in ("waiting", "in_review"):
        refused = await renewal.request("GET", f"/v1/renewals?state={state}")
        assert (refused.status, refused.problem) == (422, "subscription-needed")
