"""Data from before Recarga is written over HTTP, each bucket once."""

from tests.integration.usage.conftest import LATER, T0, record, someone, subscription, top_up
from tests.integration.wired import Wired

BUCKET = {"granted_bytes": 1000, "remaining_bytes": 400, "expires_at": LATER.isoformat()}


async def test_a_bucket_from_before_is_consumed_and_the_same_put_does_not_fill_it_again(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    path = f"/v1/subscriptions/{who}/buckets/before"
    first = await usage.request("PUT", path, BUCKET)
    assert (first.status, first.body["remaining_bytes"]) == (200, 400)
    await usage.consume("records", record(its_iccid, f"{who}-1", 150))
    again = await usage.request("PUT", path, BUCKET)
    assert (again.status, again.body["remaining_bytes"]) == (200, 250)
    other = await usage.request("PUT", path, {**BUCKET, "granted_bytes": 2000})
    assert (other.status, other.problem) == (409, "bucket-exists")


async def test_buckets_in_bulk_are_judged_one_by_one(usage: Wired) -> None:
    one, _ = someone()
    two, _ = someone()
    items = [
        {**BUCKET, "subscription_id": one, "bucket_id": "a"},
        {**BUCKET, "subscription_id": one, "bucket_id": "a", "granted_bytes": 5000},
        {**BUCKET, "subscription_id": one, "bucket_id": "top-up-1"},
        {**BUCKET, "subscription_id": two, "bucket_id": "a", "remaining_bytes": 1001},
        {**BUCKET, "subscription_id": two, "bucket_id": "b"},
        {**BUCKET, "subscription_id": two, "bucket_id": "c", "granted_bytes": 2**60},
    ]
    reply = await usage.request("POST", "/v1/buckets/bulk", {"items": items})
    assert reply.status == 200
    assert reply.body["accepted"] == 2
    assert [each["index"] for each in reply.body["refused"]] == [1, 2, 3, 5]
    again = await usage.request("POST", "/v1/buckets/bulk", {"items": [items[0], items[4]]})
    assert again.body == {"accepted": 2, "refused": []}


async def test_a_bucket_from_before_belongs_to_the_cycle_it_names(usage: Wired) -> None:
    who, _ = someone()
    await usage.consume("top-ups", top_up(who, 4, 1, expires_at=T0))
    await usage.request("PUT", f"/v1/subscriptions/{who}/buckets/before", {**BUCKET, "cycle": 4})
    answer = await usage.request("GET", f"/v1/subscriptions/{who}/buckets")
    assert (answer.body["cycle"], answer.body["threshold_bytes"]) == (4, 100)
    await usage.consume("top-ups", top_up(who, 5, 10_000))
    answer = await usage.request("GET", f"/v1/subscriptions/{who}/buckets")
    assert (answer.body["cycle"], answer.body["threshold_bytes"]) == (5, 1000)
    assert answer.body["remaining_bytes"] == 10_400


async def test_a_bucket_of_a_cycle_that_has_not_begun_is_refused_or_top_ups_to_come_would_be_old_ones(
    usage: Wired,
) -> None:
    who, other = someone()[0], someone()[0]
    await usage.consume("top-ups", top_up(other, 1, 500))
    for name, cycle in ((who, 1), (other, 2)):
        path = f"/v1/subscriptions/{name}/buckets/before"
        reply = await usage.request("PUT", path, {**BUCKET, "cycle": cycle})
        assert (reply.status, reply.problem) == (409, "bucket-of-a-later-cycle")
    items = [
        {**BUCKET, "subscription_id": other, "bucket_id": bucket_id, "cycle": cycle}
        for bucket_id, cycle in (("a", 2), ("a", 1), ("b", 0), ("c", 3))
    ]
    reply = await usage.request("POST", "/v1/buckets/bulk", {"items": items})
    assert [each["index"] for each in reply.body["refused"]] == [0, 3]
    answer = await usage.request("GET", f"/v1/subscriptions/{other}/buckets")
    assert (answer.body["cycle"], answer.body["remaining_bytes"]) == (1, 1300)


async def test_what_lapsed_is_not_left(usage: Wired) -> None:
    who, _ = someone()
    await usage.request(
        "PUT", f"/v1/subscriptions/{who}/buckets/before", {**BUCKET, "expires_at": T0.isoformat()}
    )
    assert (await usage.request("GET", f"/v1/subscriptions/{who}/buckets")).body["remaining_bytes"] == 0


async def test_an_unknown_subscription_is_a_problem_that_says_what_to_do(usage: Wired) -> None:
    for page in ("buckets", "usage"):
        reply = await usage.request("GET", f"/v1/subscriptions/nobody/{page}")
        assert (reply.status, reply.problem) == (404, "subscription-not-found")
        assert "Compare the id" in reply.body["detail"]


async def test_a_cursor_that_is_not_ours_is_refused(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    reply = await usage.request("GET", f"/v1/subscriptions/{who}/usage?cursor=abc")
    assert (reply.status, reply.problem) == (400, "invalid-cursor")
