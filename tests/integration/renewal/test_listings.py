"""All rules and all mandates, read page by page by whoever needs every one of them."""

from typing import Any

import pytest

from tests.integration.paging import all_of
from tests.integration.renewal.conftest import Subscriber, known
from tests.integration.wired import Wired


async def with_two_mandates_and_a_rule(renewal: Wired, one: Subscriber) -> None:
    path = f"/v1/subscriptions/{one.subscription_id}"
    for name in ("m-1", "m-2"):
        assert (await renewal.request("PUT", f"{path}/mandates/{name}", one.mandate())).status == 201
    rule = one.rule(mandate_id="m-2")
    assert (await renewal.request("PUT", f"{path}/renewal-rule", rule)).status == 200


def of(people: list[Subscriber], items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = {one.subscription_id for one in people}
    return [item for item in items if item["subscription_id"] in ids]


async def test_every_rule_and_every_mandate_is_listed_once_by_its_key(renewal: Wired) -> None:
    people = await known(renewal, 5)
    for one in people:
        await with_two_mandates_and_a_rule(renewal, one)
    ids = sorted(one.subscription_id for one in people)

    rules = of(people, await all_of(renewal, "/v1/renewal-rules"))
    assert [rule["subscription_id"] for rule in rules] == ids
    mandates = of(people, await all_of(renewal, "/v1/mandates", limit=3))
    named = [(mandate["subscription_id"], mandate["mandate_id"]) for mandate in mandates]
    assert named == [(id_, name) for id_ in ids for name in ("m-1", "m-2")]


async def test_what_is_listed_is_what_is_shown_of_one(renewal: Wired) -> None:
    [one] = people = await known(renewal)
    await with_two_mandates_and_a_rule(renewal, one)
    path = f"/v1/subscriptions/{one.subscription_id}"
    why = {"why": "the payer asked for it"}
    assert (await renewal.request("POST", f"{path}/renewal-rule/pause", why)).status == 200
    assert (await renewal.request("POST", f"{path}/mandates/m-1/revoke", why)).status == 200

    [rule] = of(people, await all_of(renewal, "/v1/renewal-rules", limit=200))
    assert rule == (await renewal.request("GET", f"{path}/renewal-rule")).body
    assert rule["paused"]["why"] == why["why"]
    mandates = of(people, await all_of(renewal, "/v1/mandates", limit=200))
    assert mandates[0] == (await renewal.request("GET", f"{path}/mandates/m-1")).body
    assert mandates[0]["revoked_at"] is not None, "what was revoked is evidence, too"


@pytest.mark.parametrize("path", ["/v1/renewal-rules", "/v1/mandates"])
async def test_a_cursor_of_another_list_is_refused(renewal: Wired, path: str) -> None:
    other = {"/v1/renewal-rules": "WyJhIiwiYiJd", "/v1/mandates": "WyJhIl0"}[path]
    for cursor in (other, "nonsense"):
        refused = await renewal.request("GET", f"{path}?cursor={cursor}")
        assert (refused.status, refused.problem) == (400, "invalid-cursor")


@pytest.mark.parametrize("path", ["/v1/renewal-rules", "/v1/mandates"])
async def test_a_page_is_bounded(renewal: Wired, path: str) -> None:
    assert (await renewal.request("GET", f"{path}?limit=201")).status == 422
