"""Operators find renewals by what they know of them, and see one's past and future in one answer."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from services.renewal.archive import REMOVAL
from services.renewal.operators import search
from services.renewal.operators.domain.filter import Filter
from shared.clock import utc_now
from shared.contracts.payment_commands import RefundPayment
from tests.integration.archived import places, walk
from tests.integration.renewal.conftest import About
from tests.integration.renewal.operating import WHY, Operator, hanging, of_a_new_brand
from tests.integration.wired import Wired


async def found(renewal: Wired, **filters: Any) -> list[str]:
    reply = await Operator(renewal).get(f"/v1/operator/renewals?{urlencode(filters, doseq=True)}")
    assert reply.status == 200, reply
    return [one["renewal_id"] for one in reply.body["items"]]


def ids(abouts: list[About]) -> list[str]:
    return [str(about.renewal_id) for about in abouts]


async def test_renewals_are_found_by_brand_carrier_state_and_subscription(renewal: Wired) -> None:
    brand, people, abouts = await of_a_new_brand(renewal, 3)
    other = f"{brand}-other"
    await renewal.consume("saga", abouts[0].priced())
    first, second, third = ids(abouts)
    assert sorted(await found(renewal, brand=brand)) == sorted([first, second, third])
    assert await found(renewal, brand=other) == []
    assert await found(renewal, brand=brand, carrier="etecsa") == []
    assert await found(renewal, brand=brand, state="priced") == [first]
    assert sorted(await found(renewal, brand=brand, state=["priced", "requested"])) == sorted(
        [first, second, third]
    )
    assert await found(renewal, subscription_id=people[1].subscription_id) == [second]
    assert await found(renewal, subscription_id=people[1].subscription_id, brand=other) == []


async def test_open_and_closed_ones_are_told_apart(renewal: Wired) -> None:
    brand, _people, abouts = await of_a_new_brand(renewal, 2)
    await renewal.consume("saga", abouts[0].priced(), abouts[0].captured(), abouts[0].applied())
    closed, still_open = ids(abouts)
    assert await found(renewal, brand=brand, open="true") == [still_open]
    assert await found(renewal, brand=brand, open="false") == [closed]
    assert await found(renewal, brand=brand, state="completed") == [closed]
    assert await found(renewal, brand=brand, state="completed", open="true") == []


async def test_parked_ones_are_found_by_their_reason_and_age(renewal: Wired) -> None:
    brand, _people, [about, _other] = await of_a_new_brand(renewal, 2)
    await renewal.consume("saga", about.priced(), about.captured(), about.undetermined())
    parked = [str(about.renewal_id)]
    assert await found(renewal, brand=brand, reason="top_up_undetermined") == parked
    assert await found(renewal, brand=brand, reason="refund_rejected") == []
    await renewal.pool.execute(
        "update renewals set requested_at = requested_at - interval '1 hour' where renewal_id = $1",
        about.renewal_id,
    )
    assert await found(renewal, brand=brand, older_than_seconds=3000) == parked
    assert await found(renewal, brand=brand, older_than_seconds=7200) == []


async def test_a_search_comes_in_pages_without_gap_or_repeat(renewal: Wired) -> None:
    brand, _people, abouts = await of_a_new_brand(renewal, 5)
    for scope in ({"open": "true"}, {}):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            query = urlencode({"brand": brand, "limit": 2} | scope | cursor)
            page = (await Operator(renewal).get(f"/v1/operator/renewals?{query}")).body
            seen += [one["renewal_id"] for one in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert sorted(seen) == sorted(ids(abouts))


async def test_a_page_among_closed_ones_looks_at_a_stretch_and_goes_on_behind_it(renewal: Wired) -> None:
    brand, _people, abouts = await of_a_new_brand(renewal, 1)
    await of_a_new_brand(renewal, 4)
    wanted, pages = Filter(brand=brand, older_than_seconds=0), 0
    seen: list[UUID] = []
    place: search.Place | None = None
    async with renewal.pool.acquire() as connection:
        while not seen:
            page = await search.find(connection, wanted, utc_now(), place, 10, stretch=2)
            seen += [one.renewal.renewal_id for one in page.found]
            place, pages = page.after, pages + 1
            assert place is not None or seen
    assert seen == [abouts[0].renewal_id]
    assert pages == 3, "four others and itself, two at a time"


async def test_an_old_end_is_the_last_page(renewal: Wired) -> None:
    await of_a_new_brand(renewal, 1)
    async with renewal.pool.acquire() as connection:
        long_ago = datetime(2020, 1, 1, tzinfo=UTC), UUID(int=0)
        page = await search.find(connection, Filter(), utc_now(), long_ago, 10, stretch=2)
    assert page == search.FoundPage([], None)


@pytest.mark.parametrize("query", ["colour=red", "brand=ola&sate=parked"])
async def test_an_unknown_filter_is_refused_with_those_that_there_are(renewal: Wired, query: str) -> None:
    reply = await Operator(renewal).get(f"/v1/operator/renewals?{query}")
    assert (reply.status, reply.problem) == (422, "unknown-filter")
    assert reply.body["allowed"][0] == "state"
    assert "older_than_seconds" in reply.body["detail"]


@pytest.mark.parametrize(
    "query", ["state=lost", "open=perhaps", "older_than_seconds=-1", "brand=%20", "older_than_seconds=nan"]
)
async def test_a_filter_that_cannot_be_read_is_refused_by_name(renewal: Wired, query: str) -> None:
    reply = await Operator(renewal).get(f"/v1/operator/renewals?{query}")
    assert (reply.status, reply.problem) == (422, "invalid-request")
    assert reply.body["errors"][0]["name"].split(".")[0] == query.split("=")[0]


async def test_a_timeline_tells_what_happened_who_did_what_and_what_comes_next(renewal: Wired) -> None:
    about, seen = await hanging(renewal)
    ana, ben = Operator(renewal, "ana"), Operator(renewal, "ben")
    proposal = await ana.decide(about, "release", seen["version"], outcome="refunded")
    path = f"/v1/renewals/{about.renewal_id}/operator/timeline"
    parked = (await ben.get(path)).body
    assert [one["timer"] for one in parked["next"]] == ["DelayPromise"], (
        "time moves it no more, its customer is told"
    )
    assert parked["waits_for"] == "an operator: a decision"
    assert parked["allowed"] == ["retry", "refund", "resolve", "release"]
    assert parked["choices"] == {"resolve": ["refunded"], "release": ["refunded"]}
    assert parked["open_proposal"]["proposal_id"] == proposal.body["proposal_id"]
    assert parked["brand"] == "ola"

    await ben.reject(proposal)
    await ben.decide(about, "act", seen["version"], action="retry")
    told = (await ana.get(path)).body
    assert told["open_proposal"] is None
    assert [(line["kind"], line["what"], line["who"]) for line in told["events"]][-4:] == [
        ("operator", "proposed release refunded", "ana"),
        ("operator", "rejected release refunded", "ben"),
        ("history", "OperatorRetries", None),
        ("operator", "done retry", "ben"),
    ]
    assert told["events"][-1]["why"] == WHY
    first = told["next"][0]
    assert (first["timer"], first["says"]) == ("Silence", ["RefundPayment"])
    asked_at = datetime.fromisoformat(first["at"]) - utc_now()
    assert timedelta(0) < asked_at < timedelta(minutes=2)
    assert [one.attempt for one in renewal.said(RefundPayment) if one.renewal_id == about.renewal_id] == [
        1,
        2,
    ]


async def test_what_lies_in_the_archive_is_found_and_shown_like_everything_else(renewal: Wired) -> None:
    brand, people, [about, other] = await of_a_new_brand(renewal, 2)
    await renewal.consume("saga", about.rejected(), about.payment_cancelled())
    path = f"/v1/renewals/{about.renewal_id}/operator/timeline"
    before = (await Operator(renewal).get(path)).body
    await walk(renewal, REMOVAL)
    assert "archived_renewals" in await places(renewal, REMOVAL, about.renewal_id)
    [closed] = ids([about])
    assert sorted(await found(renewal, brand=brand)) == sorted(ids([about, other]))
    assert await found(renewal, brand=brand, open="false") == [closed]
    assert await found(renewal, brand=brand, reason=before["renewal"]["reason"]) == [closed]
    assert await found(renewal, subscription_id=people[0].subscription_id) == [closed]
    assert (await Operator(renewal).get(path)).body == before
    reply = await Operator(renewal).decide(about, "act", before["renewal"]["version"], action="retry")
    assert (reply.status, reply.problem, reply.body["allowed"]) == (409, "not-possible-now", [])


async def test_a_renewal_that_nobody_knows_has_no_timeline(renewal: Wired) -> None:
    reply = await Operator(renewal).get("/v1/renewals/01234567-89ab-7def-8123-456789abcdef/operator/timeline")
    assert (reply.status, reply.problem) == (404, "renewal-not-found")


async def test_looking_needs_a_token_too(renewal: Wired) -> None:
    assert (await renewal.request("GET", "/v1/operator/renewals")).problem == "operator-token-missing"
    assert (await Operator(renewal, "vera", "viewer").get("/v1/operator/renewals")).status == 200
