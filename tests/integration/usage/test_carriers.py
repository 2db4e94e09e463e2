"""Carriers' settings: replaced as a whole, each version kept with who set it."""

from itertools import count

import pytest

from shared.contracts.quotas import QuotaThresholdReached
from tests.integration.usage.conftest import record, someone, subscription, top_up
from tests.integration.wired import Wired

_numbers = count(1)
BODY = {"counting": "records", "threshold_percent": 20, "version": 0}
ALICE, BOB = {"Recarga-Caller": "alice"}, {"Recarga-Caller": "bob"}


def path() -> str:
    """A carrier that no other test sets."""
    return f"/v1/carriers/settings-{next(_numbers)}"


async def test_settings_are_kept_as_they_were_set(usage: Wired) -> None:
    carrier = path()
    wanted = {
        "counting": "snapshots",
        "overrun": "next_bucket",
        "threshold_percent": 5,
        "threshold_bytes": 1000,
        "predicted_seconds": 600,
        "expiring_seconds": 3600,
        "poll_seconds": 60,
    }
    put = await usage.request("PUT", carrier, {**wanted, "version": 0}, ALICE)
    assert put.status == 200, put
    assert put.body.items() >= {**wanted, "version": 1, "set_by": "alice", "tolerance_bytes": 0}.items()
    assert (await usage.request("GET", carrier)).body == put.body


async def test_the_same_again_changes_nothing_whoever_says_it(usage: Wired) -> None:
    carrier = path()
    first = await usage.request("PUT", carrier, BODY, ALICE)
    assert (await usage.request("PUT", carrier, BODY, BOB)).body == first.body


async def test_who_has_not_read_the_newest_version_is_told_so(usage: Wired) -> None:
    carrier = path()
    await usage.request("PUT", carrier, BODY, ALICE)
    other = {**BODY, "threshold_percent": 30}
    refused = await usage.request("PUT", carrier, other, BOB)
    assert (refused.status, refused.problem, refused.body["version"]) == (409, "carrier-changed", 1)
    assert (await usage.request("PUT", carrier, {**other, "version": 1}, BOB)).body["set_by"] == "bob"


async def test_every_version_says_who_set_what(usage: Wired) -> None:
    carrier = path()
    await usage.request("PUT", carrier, BODY, ALICE)
    await usage.request("PUT", carrier, {**BODY, "threshold_percent": None, "version": 1}, BOB)
    page = await usage.request("GET", f"{carrier}/versions?limit=1")
    (newest,) = page.body["items"]
    assert (newest["version"], newest["set_by"], newest["settings"]["threshold_percent"]) == (2, "bob", None)
    rest = await usage.request("GET", f"{carrier}/versions?limit=1&cursor={page.body['next_cursor']}")
    assert [(each["version"], each["set_by"]) for each in rest.body["items"]] == [(1, "alice")]


@pytest.mark.parametrize(
    "change",
    [
        {"counting": "guesses"},
        {"threshold_percent": 101},
        {"predicted_seconds": 0},
        {"poll_seconds": 60},
        {"counting": "snapshots", "tolerance_bytes": 5},
        {"counting": "snapshots", "poll_seconds": 1},
        {"surprise": 1},
    ],
)
async def test_settings_that_cannot_work_are_refused(usage: Wired, change: dict[str, object]) -> None:
    carrier = path()
    assert (await usage.request("PUT", carrier, {**BODY, **change})).status == 422
    assert (await usage.request("GET", carrier)).problem == "carrier-not-found"
    assert (await usage.request("GET", f"{carrier}/versions")).problem == "carrier-not-found"


async def test_the_next_batch_goes_by_what_was_set(usage: Wired) -> None:
    carrier = path()
    who, its_iccid = someone()
    name = carrier.rpartition("/")[2]
    await usage.consume("subscriptions", subscription(who, its_iccid).model_copy(update={"carrier": name}))
    await usage.consume("top-ups", top_up(who, 1, 1000))
    await usage.consume("records", record(its_iccid, f"{who}-a", 800))
    assert not [each for each in usage.said(QuotaThresholdReached) if each.subscription_id == who]
    await usage.request("PUT", carrier, BODY)
    await usage.consume("records", record(its_iccid, f"{who}-b", 1))
    assert [each for each in usage.said(QuotaThresholdReached) if each.subscription_id == who]


async def test_pushed_reports_are_answered_one_by_one(usage: Wired) -> None:
    _, its_iccid = someone()
    good = {
        "source": "ocs",
        "report_id": "pushed-1",
        "iccid": its_iccid,
        "remaining_bytes": 5,
        "reported_at": "2026-11-22T08:00:00Z",
    }
    reply = await usage.request(
        "POST", "/v1/balance-reports/bulk", {"items": [{**good, "remaining_bytes": -1}, good]}
    )
    assert (reply.body["accepted"], [each["index"] for each in reply.body["refused"]]) == (1, [0])
    assert reply.body["results"] == [{"index": 1, "result": "unknown_iccid"}]
    none = await usage.request("POST", "/v1/balance-reports/bulk", {"items": [{}]})
    assert (none.status, none.body["accepted"], none.body["results"]) == (200, 0, [])


async def test_a_drift_is_shown_once_there_is_one(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    await usage.consume("top-ups", top_up(who, 1, 1000))
    assert (await usage.request("GET", f"/v1/subscriptions/{who}/drift")).problem == "drift-not-found"
    item = {
        "source": "ocs",
        "report_id": f"{who}-1",
        "iccid": its_iccid,
        "remaining_bytes": 400,
        "reported_at": (await usage.request("GET", f"/v1/subscriptions/{who}/buckets"))
        .body["buckets"][0]["created_at"]
        .replace("T08:00:00", "T09:00:00"),
    }
    reply = await usage.request("POST", "/v1/balance-reports/bulk", {"items": [item]})
    assert reply.body["results"] == [{"index": 0, "result": "taken_over"}]
    shown = (await usage.request("GET", f"/v1/subscriptions/{who}/drift")).body
    assert (shown["theirs_bytes"], shown["ours_bytes"], shown["drift_bytes"], shown["corrected_bytes"]) == (
        400,
        1000,
        -600,
        -600,
    )
