"""What only a person can finish is found, wherever the renewal stands: no statement on a table is needed."""

from typing import Any
from urllib.parse import urlencode

import pytest

from services.renewal.operators import search
from services.renewal.operators.domain.filter import CaseName
from shared.contracts.payment_commands import ResolvePayment
from shared.contracts.payments import PaymentCancelled
from tests.integration.renewal.conftest import About
from tests.integration.renewal.operating import Operator, of_a_new_brand
from tests.integration.wired import Wired


def unlearned(about: About) -> PaymentCancelled:
    """Payment gives up asking whether money was taken."""
    return about.payment_cancelled().model_copy(update={"unresolved": True})


async def with_each_case(renewal: Wired) -> tuple[str, dict[str, str]]:
    """A brand with a renewal of each case, one without any, and by the case's name the id of its own."""
    brand, _people, abouts = await of_a_new_brand(renewal, 4)
    failed, returned, broken, happy = abouts
    await renewal.consume("saga", failed.priced(), unlearned(failed))
    await renewal.consume("saga", returned.priced(), returned.captured(), returned.top_up_rejected())
    await renewal.consume("saga", returned.refunded(), returned.refund_rejected())
    await renewal.consume("saga", broken.priced(), broken.payment_cancelled(), broken.captured())
    await renewal.consume("saga", happy.priced(), happy.captured(), happy.applied())
    names = ("unresolved", "refund_returned", "promise_broken")
    return brand, {name: str(about.renewal_id) for name, about in zip(names, abouts, strict=False)}


async def found(renewal: Wired, **filters: Any) -> list[dict[str, Any]]:
    reply = await Operator(renewal).get(f"/v1/operator/renewals?{urlencode(filters, doseq=True)}")
    assert reply.status == 200, reply
    items: list[dict[str, Any]] = reply.body["items"]
    return items


async def ids_of(renewal: Wired, **filters: Any) -> list[str]:
    return [one["renewal_id"] for one in await found(renewal, **filters)]


async def test_each_case_is_found_by_its_name_though_its_renewal_is_closed(renewal: Wired) -> None:
    brand, ids = await with_each_case(renewal)
    for name, id_ in ids.items():
        [one] = await found(renewal, case=name, brand=brand)
        assert (one["renewal_id"], one["cases"]) == (id_, [name])
        assert one["state"] in ("failed", "refunded")
        about = {"case": name, "brand": brand}
        assert await ids_of(renewal, **about, open="false") == [id_]
        assert await ids_of(renewal, **about, open="true") == []
        assert await ids_of(renewal, **about, state=one["state"], older_than_seconds=0) == [id_]
        assert await ids_of(renewal, **about, state="completed") == []
        assert await ids_of(renewal, case=name, subscription_id=one["subscription_id"]) == [id_]
        assert await ids_of(renewal, case=name, subscription_id="somebody-else") == []


async def test_cases_come_in_pages_newest_first(renewal: Wired) -> None:
    brand, _people, abouts = await of_a_new_brand(renewal, 3)
    for about in abouts:
        await renewal.consume("saga", about.priced(), unlearned(about))
    path = f"/v1/operator/renewals?case=unresolved&brand={brand}&limit=2"
    first = (await Operator(renewal).get(path)).body
    rest = (await Operator(renewal).get(f"{path}&cursor={first['next_cursor']}")).body
    listed = [one["renewal_id"] for one in (*first["items"], *rest["items"])]
    assert sorted(listed) == sorted(str(about.renewal_id) for about in abouts)
    asked = [one["requested_at"] for one in (*first["items"], *rest["items"])]
    assert asked == sorted(asked, reverse=True)
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unresolved", "an operator: whether money was taken"),
        ("refund_returned", "an operator: another way to pay back"),
        ("promise_broken", "an operator: what two authorities contradict"),
    ],
)
async def test_the_timeline_says_what_is_to_be_looked_into(
    renewal: Wired, name: CaseName, words: str
) -> None:
    _brand, ids = await with_each_case(renewal)
    told = (await Operator(renewal).get(f"/v1/renewals/{ids[name]}/operator/timeline")).body
    assert told["cases"] == [name]
    assert told["waits_for"].startswith(words)


async def test_cases_are_read_from_their_index_however_many_renewals_are_closed(renewal: Wired) -> None:
    async with renewal.pool.acquire() as connection, connection.transaction():
        await connection.execute("set local enable_seqscan = off")
        values = [None, None, None, None, None, None, None, 50, "unresolved", None, None]
        lines = await connection.fetch(f"explain {search.SQL['search_cases']}", *values)
    plan = "\n".join(line[0] for line in lines)
    assert "renewals_with_a_case" in plan


async def test_a_case_that_there_is_not_is_refused_with_those_that_there_are(renewal: Wired) -> None:
    reply = await Operator(renewal).get("/v1/operator/renewals?case=lost")
    assert (reply.status, reply.problem) == (422, "invalid-request")
    assert "refund_returned" in str(reply.body["errors"])


async def two(renewal: Wired, about: str, how: str, **body: Any) -> dict[str, Any]:
    """Ana proposes it, ben approves it: the renewal as it is then."""
    ana, ben = Operator(renewal, "ana"), Operator(renewal, "ben")
    version = (await renewal.request("GET", f"/v1/renewals/{about}")).body["version"]
    path = f"/v1/renewals/{about}/operator/{how}"
    proposal = await ana.post(path, version=version, why="the PSP's portal says so", **body)
    assert proposal.status == 202, proposal
    approved = await ben.approve(proposal)
    assert approved.status == 202, approved
    shown: dict[str, Any] = approved.body
    return shown


@pytest.mark.parametrize("finding", ["captured", "not_captured"])
async def test_two_operators_find_out_what_payment_could_not_and_payment_s_fact_settles_it(
    renewal: Wired, finding: str
) -> None:
    brand, _people, [about] = await of_a_new_brand(renewal)
    await renewal.consume("saga", about.priced(), unlearned(about))
    id_ = str(about.renewal_id)
    told = (await Operator(renewal).get(f"/v1/renewals/{id_}/operator/timeline")).body
    assert (told["allowed"], told["choices"]) == (["resolve"], {"resolve": ["captured", "not_captured"]})

    shown = await two(renewal, id_, "resolve", found=finding)
    assert (shown["state"], shown["flags"]) == ("failed", ["unresolved"])
    [command] = [one for one in renewal.said(ResolvePayment) if one.renewal_id == about.renewal_id]
    assert (command.decision, command.decided_by) == (finding, "ana:ben")

    fact = about.surplus_refunded(1) if finding == "captured" else about.payment_cancelled()
    await renewal.consume("saga", fact)
    assert await found(renewal, case="unresolved", brand=brand) == []
    deeds = (await Operator(renewal).get(f"/v1/operator/audit?renewal_id={id_}")).body["items"]
    assert [(deed["operator"], deed["step"]) for deed in deeds] == [("ben", "approved"), ("ana", "proposed")]


async def test_a_case_of_a_closed_renewal_is_settled_by_two_and_looked_into_no_more(renewal: Wired) -> None:
    brand, ids = await with_each_case(renewal)
    for name, state in (("refund_returned", "refunded"), ("promise_broken", "failed")):
        shown = await two(renewal, ids[name], "release", outcome=state)
        assert shown["state"] == state
        assert await found(renewal, case=name, brand=brand) == []
