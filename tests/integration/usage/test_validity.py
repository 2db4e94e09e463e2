"""A top-up lasts as sold: after all that is left, unless it replaces that or the carrier states its end."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations

import pytest

from shared.contracts.fields import Stacking
from shared.contracts.quotas import BucketExpiring
from shared.contracts.topups import TopUpApplied
from tests.integration.usage.conftest import T0, record, sold, someone, subscription, top_up
from tests.integration.wired import Wired

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def ends(usage: Wired, who: str) -> dict[str, datetime]:
    body = (await usage.request("GET", f"/v1/subscriptions/{who}/buckets")).body
    return {each["bucket_id"]: datetime.fromisoformat(each["expires_at"]) for each in body["buckets"]}


@pytest.mark.parametrize(
    ("stacking", "expected"),
    [
        ("extend", {"top-up-1": T0 + 40 * DAY, "top-up-2": T0 + 40 * DAY}),
        ("queue", {"top-up-1": T0 + 10 * DAY, "top-up-2": T0 + 40 * DAY}),
        ("replace", {"top-up-2": T0 + HOUR + 30 * DAY}),
    ],
)
async def test_what_was_sold_lasts_after_what_is_left_by_its_stacking_rule(
    usage: Wired, stacking: Stacking, expected: dict[str, datetime]
) -> None:
    who, _ = someone()
    await usage.consume("top-ups", sold(who, 1, "extend", 10 * DAY))
    await usage.consume("top-ups", sold(who, 2, stacking, 30 * DAY, T0 + HOUR))
    assert await ends(usage, who) == expected


async def test_where_nothing_is_left_it_lasts_from_when_it_was_applied(usage: Wired) -> None:
    who, its_iccid = someone()
    await usage.consume("subscriptions", subscription(who, its_iccid))
    await usage.consume("top-ups", sold(who, 1, "extend", 10 * DAY))
    await usage.consume("records", record(its_iccid, f"{who}-all", 1_000))
    await usage.consume("top-ups", sold(who, 2, "extend", 30 * DAY, T0 + HOUR))
    assert await ends(usage, who) == {"top-up-2": T0 + HOUR + 30 * DAY}


async def test_it_lasts_after_data_from_before_recarga_too(usage: Wired) -> None:
    who, _ = someone()
    until = T0 + 5 * DAY
    bucket = {"granted_bytes": 9, "remaining_bytes": 1, "expires_at": until.isoformat()}
    await usage.request("PUT", f"/v1/subscriptions/{who}/buckets/old", bucket)
    await usage.consume("top-ups", sold(who, 1, "queue", 30 * DAY))
    assert await ends(usage, who) == {"old": until, "top-up-1": until + 30 * DAY}
    # And once it is closed, it ends as it did.
    again = await usage.request("PUT", f"/v1/subscriptions/{who}/buckets/old", bucket)
    assert (again.status, datetime.fromisoformat(again.body["expires_at"])) == (200, until)


async def test_an_end_that_the_carrier_states_wins(usage: Wired) -> None:
    who, _ = someone()
    await usage.consume("top-ups", sold(who, 1, "extend", 10 * DAY))
    await usage.consume("top-ups", top_up(who, 2, 1_000, "queue", T0 + 12 * DAY))
    assert await ends(usage, who) == {"top-up-1": T0 + 10 * DAY, "top-up-2": T0 + 12 * DAY}


async def test_a_message_of_the_version_before_states_its_end(usage: Wired) -> None:
    who, _ = someone()
    told = top_up(who, 2, 1_000, "extend", T0 + 3 * DAY).model_dump(mode="json", exclude={"expiry_stated"})
    await usage.consume("top-ups", sold(who, 1, "extend", 2 * DAY))
    await usage.consume("top-ups", TopUpApplied.model_validate(told, strict=False))
    assert await ends(usage, who) == {"top-up-1": T0 + 3 * DAY, "top-up-2": T0 + 3 * DAY}


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_it_lasts_as_long_in_whatever_order_and_however_often_top_ups_are_told(
    usage: Wired, order: Sequence[int]
) -> None:
    who, _ = someone()
    told = [
        sold(who, 1, "extend", 10 * DAY),
        sold(who, 2, "queue", 20 * DAY, T0 + HOUR),
        sold(who, 3, "extend", 30 * DAY, T0 + 2 * HOUR),
    ]
    for place in order:
        await usage.consume("top-ups", told[place])
    at_the_end = {"top-up-1": T0 + 60 * DAY, "top-up-2": T0 + 60 * DAY, "top-up-3": T0 + 60 * DAY}
    assert await ends(usage, who) == at_the_end
    await usage.consume("top-ups", *told)
    assert await ends(usage, who) == at_the_end


async def test_a_top_up_that_comes_after_those_it_was_before_moves_their_end_and_it_is_noted(
    usage: Wired,
) -> None:
    who, _ = someone()
    await usage.consume("top-ups", sold(who, 1, "extend", 10 * DAY), sold(who, 3, "extend", 30 * DAY))
    assert await ends(usage, who) == {"top-up-1": T0 + 40 * DAY, "top-up-3": T0 + 40 * DAY}
    await usage.consume("top-ups", sold(who, 2, "replace", DAY))
    assert await ends(usage, who) == {"top-up-2": T0 + 31 * DAY, "top-up-3": T0 + 31 * DAY}
    history = await usage.request("GET", f"/v1/subscriptions/{who}/buckets/top-up-3/history?by=day")
    assert [each["kind"] for each in history.body["items"]] == ["granted", "shortened"]
    assert not [each for each in usage.said(BucketExpiring) if each.subscription_id == who]
