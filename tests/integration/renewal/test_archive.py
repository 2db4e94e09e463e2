"""Closed renewals lie in the archive, and everything that is heard or asked of them finds them there."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.renewal import store
from services.renewal.archive import REMOVAL, bring_back
from services.renewal.operators import search
from services.renewal.operators.domain.filter import Filter
from shared.clock import utc_now
from shared.contracts.renewals import (
    RenewalRefused,
    RenewalRequested,
)
from shared.database import Connection
from shared.messaging.transaction import Transaction
from tests.integration.archived import at_once, moving_between, places, walk
from tests.integration.renewal.conftest import About, Subscriber, begun, known, row
from tests.integration.renewal.operating import Operator
from tests.integration.renewal.test_routes import created, post
from tests.integration.sandboxed import until
from tests.integration.wired import Wired, noting

OPEN = ["renewals"]
ARCHIVED = ["archived_renewals", "archive_register"]
ENDS = ("completed", "refunded", "failed", "cancelled")


async def where(renewal: Wired, renewal_id: UUID) -> list[str]:
    return await places(renewal, REMOVAL, renewal_id)


async def archive(renewal: Wired, *abouts: About) -> None:
    """Move them, with all that is closed."""
    await walk(renewal, REMOVAL)
    for about in abouts:
        assert await where(renewal, about.renewal_id) == ARCHIVED


async def closed(renewal: Wired, end: str) -> tuple[Subscriber, About, list[Any]]:
    """A renewal that has come to this end, and all that was told of it, in order."""
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    told: list[Any] = [about.priced(), about.captured(), about.applied()]
    if end == "refunded":
        told[2:] = [about.top_up_rejected(), about.refund_rejected("unknown"), about.refunded()]
    elif end == "failed":
        told[1:] = [about.declined(), about.declined(2), about.payment_cancelled()]
    elif end == "cancelled":
        told[1:] = [about.payment_cancelled()]
    for message in told:
        if end == "cancelled" and message is told[-1]:
            await renewal.request("POST", f"/v1/renewals/{about.renewal_id}/cancel")
        await renewal.consume("saga", message)
    assert (await row(renewal, about.renewal_id))["state"] == end
    return one, about, told


async def count(renewal: Wired, table: str) -> int:
    return int(await renewal.pool.fetchval(f"select count(*) from {table}"))  # noqa: S608 - a name of ours


@pytest.mark.parametrize("end", ENDS)
async def test_all_that_was_told_of_an_archived_renewal_may_be_told_again(renewal: Wired, end: str) -> None:
    _, about, told = await closed(renewal, end)
    orphans = await count(renewal, "orphans")
    before = (await renewal.request("GET", f"/v1/renewals/{about.renewal_id}")).body
    await archive(renewal, about)
    said = len(renewal.outbox.committed)

    await renewal.consume("saga", *told)
    await renewal.consume("saga", *reversed(told))

    assert await where(renewal, about.renewal_id) == ARCHIVED
    assert await count(renewal, "orphans") == orphans
    assert len(renewal.outbox.committed) == said
    assert (await renewal.request("GET", f"/v1/renewals/{about.renewal_id}")).body == before


async def test_a_trigger_of_a_cycle_that_is_over_stays_refused_when_its_top_up_is_archived(
    renewal: Wired,
) -> None:
    one, about, _ = await closed(renewal, "completed")
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
    assert (await renewal.request("PUT", path, one.rule())).status == 200
    await renewal.consume("admission", one.exhausted(cycle=0))
    assert await requested(renewal, one) == [about.renewal_id]
    await archive(renewal, about)

    # The topic is read again from its beginning, and so is what was last told of the subscription.
    await renewal.consume("projections", one.subscription(version=2, owner_id=one.owner_id))
    await renewal.consume("admission", one.exhausted(cycle=0))
    assert await requested(renewal, one) == [about.renewal_id]
    await renewal.consume("admission", one.exhausted(cycle=1))
    assert len(await requested(renewal, one)) == 2


async def requested(renewal: Wired, one: Subscriber) -> list[UUID]:
    """The renewals of that subscription that were ever begun."""
    said = renewal.said(RenewalRequested)
    return [each.renewal_id for each in said if each.subscription_id == one.subscription_id]


async def test_what_a_person_must_look_into_is_not_archived(renewal: Wired) -> None:
    _, returned, _ = await closed(renewal, "refunded")
    await renewal.consume("saga", returned.refund_rejected())
    _, broken, _ = await closed(renewal, "cancelled")
    await renewal.consume("saga", broken.applied())
    [unresolved] = await begun(renewal, *await known(renewal))
    ended = unresolved.payment_cancelled().model_copy(update={"unresolved": True})
    await renewal.consume("saga", unresolved.priced(), ended)
    [waiting] = await begun(renewal, *await known(renewal))

    await walk(renewal, REMOVAL)

    for about in (returned, broken, unresolved, waiting):
        assert await where(renewal, about.renewal_id) == OPEN
    flags = [(await row(renewal, about.renewal_id))["flags"] for about in (returned, broken, unresolved)]
    assert flags == ["refund_failed_later", "promise_broken", "unresolved"]


async def test_a_dispute_after_months_is_noted_on_the_renewal_and_in_its_history(renewal: Wired) -> None:
    _, about, _ = await closed(renewal, "completed")
    before = await row(renewal, about.renewal_id)
    history = await lines(renewal, about)
    await archive(renewal, about)

    await renewal.consume("saga", about.disputed())

    assert await where(renewal, about.renewal_id) == OPEN
    now = await row(renewal, about.renewal_id)
    assert now == before | {"flags": "disputed", "version": before["version"] + 1}
    told = await lines(renewal, about)
    assert told[:-1] == history
    assert (told[-1]["message"], told[-1]["version"]) == ("PaymentDisputed", now["version"])
    await archive(renewal, about)


async def lines(renewal: Wired, about: About) -> list[Any]:
    """Its history as it is stored."""
    statement = "select * from renewal_history where renewal_id = $1 order by version"
    return [dict(line) for line in await renewal.pool.fetch(statement, about.renewal_id)]


async def test_two_facts_at_once_about_an_archived_renewal_are_both_noted(renewal: Wired) -> None:
    _, about, _ = await closed(renewal, "completed")
    await archive(renewal, about)

    async def told(message: Any) -> None:
        async def handle(transaction: Transaction) -> None:
            await renewal.consumer("saga").handle(transaction, [renewal.received(message)])  # type: ignore[arg-type, call-arg]

        await renewal.transactions.run(handle)

    await asyncio.gather(
        told(about.surplus_refunded(1)), told(about.surplus_refunded(2)), told(about.disputed())
    )

    flags = (await row(renewal, about.renewal_id))["flags"].split()
    assert sorted(flags) == ["disputed", "surplus_refunded_1", "surplus_refunded_2"]
    assert [line["version"] for line in await lines(renewal, about)] == list(range(1, 8))


async def test_the_same_request_after_months_is_the_same_renewal(renewal: Wired) -> None:
    [one] = await known(renewal)
    body, about = await created(renewal, one)
    await renewal.consume("saga", about.priced(), about.captured(), about.applied())
    await archive(renewal, about)
    key = f"key-{one.number}"

    status, again, _ = await post(renewal, "/v1/renewals", one.body(), key)
    assert (status, again["renewal_id"], again["state"]) == (200, body["renewal_id"], "completed")
    status, problem, _ = await post(renewal, "/v1/renewals", one.body(expected_amount_minor=5), key)
    assert (status, problem["type"]) == (422, "urn:recarga:problem:idempotency-key-reused")
    status, other, _ = await post(renewal, "/v1/renewals", one.body(), f"{key}-other")
    assert (status, other["state"]) == (202, "requested")


async def test_a_request_that_another_system_sends_again_after_months_begins_nothing(renewal: Wired) -> None:
    one, about, _ = await closed(renewal, "completed")
    await archive(renewal, about)
    announced, refused = len(renewal.said(RenewalRequested)), len(renewal.said(RenewalRefused))

    await renewal.consume("admission", one.request(), one.request())
    assert (len(renewal.said(RenewalRequested)), len(renewal.said(RenewalRefused))) == (announced, refused)
    await renewal.consume("admission", one.request(expected_amount_minor=5))
    assert renewal.said(RenewalRefused)[-1].reason == "idempotency_key_reused"


async def test_a_trigger_of_a_cycle_that_was_tried_and_failed_joins_it_after_months(renewal: Wired) -> None:
    [one] = await known(renewal)
    await renewal.request("PUT", f"/v1/subscriptions/{one.subscription_id}/renewal-rule", one.rule())
    await renewal.consume("admission", one.exhausted())
    about = About(renewal.said(RenewalRequested)[-1])
    await renewal.consume("saga", about.priced(), about.payment_cancelled())
    await archive(renewal, about)
    announced = len(renewal.said(RenewalRequested))

    await renewal.consume("admission", one.exhausted())
    assert len(renewal.said(RenewalRequested)) == announced
    await renewal.consume("admission", one.exhausted(cycle=1))
    assert len(renewal.said(RenewalRequested)) == announced + 1


async def test_the_api_shows_archived_renewals_as_before(renewal: Wired) -> None:
    [one] = await known(renewal)
    abouts = []
    for number in range(5):
        await renewal.consume("admission", one.request(f"r-{number}"))
        about = About(renewal.said(RenewalRequested)[-1])
        abouts.append(about)
        if number < 4:
            await renewal.consume("saga", about.priced(), about.captured(), about.applied(number + 1))
    paths = [f"/v1/renewals/{about.renewal_id}" for about in abouts]
    of_theirs = f"/v1/renewals?subscription_id={one.subscription_id}&limit=2"
    shown = [await renewal.request("GET", path) for path in paths]
    pages = await paged(renewal, of_theirs)
    all_completed = await paged(renewal, "/v1/renewals?state=completed&limit=50")
    await archive(renewal, *abouts[:4])

    assert [await renewal.request("GET", path) for path in paths] == shown
    assert await paged(renewal, of_theirs) == pages
    assert [item["state"] for item in pages] == ["requested"] + ["completed"] * 4
    assert await paged(renewal, "/v1/renewals?state=completed&limit=50") == all_completed
    missing = await renewal.request("GET", f"/v1/renewals/{uuid4()}")
    assert (missing.status, missing.problem) == (404, "renewal-not-found")


@pytest.mark.parametrize("begins_in_the_archive", [False, True])
async def test_who_reads_while_a_renewal_is_moved_finds_it_once(
    renewal: Wired, begins_in_the_archive: bool
) -> None:
    one, about, _ = await closed(renewal, "completed")
    renewal_id, subscription_id = about.renewal_id, one.subscription_id
    filtered = Filter(subscription_id=subscription_id)

    async def seen(connection: Connection) -> list[Any]:
        return [
            await store.read(connection, renewal_id),
            await store.read_history(connection, renewal_id),
            await store.list_renewals(connection, subscription_id, None, None, 10),
            await store.list_renewals(connection, None, "completed", None, 1),
            await search.read(connection, renewal_id),
            await search.find(connection, filtered, utc_now(), None, 10),
            await search.find(connection, Filter(state=("completed",)), utc_now(), None, 1),
        ]

    async with renewal.pool.acquire() as connection:
        shown = await seen(connection)
    if begins_in_the_archive:
        await archive(renewal, about)
    async with moving_between(renewal, REMOVAL, bring_back, renewal_id) as moving:
        assert await seen(moving) == shown


async def paged(renewal: Wired, path: str) -> list[Any]:
    """All the items of all pages."""
    items: list[Any] = []
    cursor = ""
    while True:
        body = (await renewal.request("GET", path + cursor)).body
        items += body["items"]
        if body["next_cursor"] is None:
            return items
        cursor = f"&cursor={body['next_cursor']}"


async def test_operators_find_archived_renewals_and_can_do_to_them_what_they_could(renewal: Wired) -> None:
    ana = Operator(renewal)
    one, about, _ = await closed(renewal, "failed")
    _, other, _ = await closed(renewal, "completed")
    path = f"/v1/operator/renewals?subscription_id={one.subscription_id}"
    by_reason = "/v1/operator/renewals?state=failed&reason=declined_hard&older_than_seconds=0&limit=1"
    timeline = f"/v1/renewals/{about.renewal_id}/operator/timeline"
    found = [await ana.get(path), await ana.get(f"{path}&open=false"), await ana.get(timeline)]
    refused = await ana.decide(about, "act", found[2].body["renewal"]["version"], action="retry")
    await archive(renewal, about, other)

    again = [await ana.get(path), await ana.get(f"{path}&open=false"), await ana.get(timeline)]
    assert [timeless(reply.body) for reply in again] == [timeless(reply.body) for reply in found]
    assert (await ana.get(f"{path}&open=true")).body["items"] == []
    version = found[2].body["renewal"]["version"]
    assert await ana.decide(about, "act", version, action="retry") == refused
    assert refused.status == 409
    # Among all renewals too, page by page.
    seen = [item["renewal_id"] for item in await searched(ana, by_reason)]
    assert seen.count(str(about.renewal_id)) == 1
    assert str(other.renewal_id) not in seen


async def searched(operator: Operator, path: str) -> list[Any]:
    """All the items of all pages of a search."""
    items: list[Any] = []
    cursor = ""
    while True:
        body = (await operator.get(path + cursor)).body
        items += body["items"]
        if body["next_cursor"] is None:
            return items
        cursor = f"&cursor={body['next_cursor']}"


def timeless(found: Any) -> Any:
    """An answer without what says how old things are now."""
    if isinstance(found, dict):
        return {name: timeless(value) for name, value in found.items() if not name.endswith("_seconds")}
    return [timeless(value) for value in found] if isinstance(found, list) else found


async def test_a_renewal_that_nobody_has_begun_is_still_an_orphan(renewal: Wired) -> None:
    orphans = await count(renewal, "orphans")
    [about] = await begun(renewal, *await known(renewal))
    await renewal.consume("saga", about.disputed().model_copy(update={"renewal_id": uuid4()}))
    assert await count(renewal, "orphans") == orphans + 1


async def test_a_fact_that_comes_while_its_renewal_is_moved_waits_and_finds_it(renewal: Wired) -> None:
    _, about, told = await closed(renewal, "completed")
    removal = at_once(renewal, REMOVAL)
    orphans = await count(renewal, "orphans")
    gone = "select not exists (select from renewals where renewal_id = $1)"

    async def waited_for() -> bool:
        async with renewal.transactions.begin() as transaction:
            await removal.step(transaction)
            if not await transaction.connection.fetchval(gone, about.renewal_id):
                return False
            fact = asyncio.create_task(renewal.consume("saga", told[-1]))
            blocked = "select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"
            await until(lambda: renewal.pool.fetchval(blocked))
            assert not fact.done()
        await fact
        return True

    await until(waited_for)
    assert await where(renewal, about.renewal_id) == ARCHIVED
    assert await count(renewal, "orphans") == orphans


async def test_a_batch_about_archived_renewals_takes_a_constant_number_of_statements(renewal: Wired) -> None:
    counts = []
    for size in (1, 10):
        batch = [await closed(renewal, "completed") for _ in range(size)]
        await archive(renewal, *(about for _, about, _ in batch))
        told = [message for _, _, messages in batch for message in messages]
        await renewal.consume("saga", *told)
        counts.append(len(renewal.statements))
    # Those that are open, the register, the archive.
    assert counts == [3, 3]


async def test_admission_takes_as_many_statements_as_ever(renewal: Wired) -> None:
    statements: list[str] = []
    [one] = await known(renewal)

    async def handle(transaction: Transaction) -> None:
        with noting(transaction.connection, statements):
            await renewal.consumer("admission").handle(transaction, [renewal.received(one.request())])  # type: ignore[arg-type, call-arg]

    await renewal.transactions.run(handle)
    assert len(statements) == 2  # what is known of the request; the renewal with its history


async def test_what_was_archived_before_a_column_was_there_is_read_and_comes_back(renewal: Wired) -> None:
    """As the first version wrote it: a younger column that may not be null has to be given a value."""
    _, about, _ = await closed(renewal, "completed")
    await archive(renewal, about)
    await renewal.pool.execute(
        """update archived_renewals
        set
            renewal = (select json_object_agg(key, value) from json_each(renewal) where key = any($2)),
            history = (
                select json_agg((select json_object_agg(key, value) from json_each(h) where key = any($3)))
                from json_array_elements(history) as h
            )
        where renewal_id = $1""",
        about.renewal_id,
        FIRST_COLUMNS.split(),
        FIRST_HISTORY_COLUMNS.split(),
    )
    shown = await renewal.request("GET", f"/v1/renewals/{about.renewal_id}")
    assert (shown.status, shown.body["state"], len(shown.body["history"])) == (200, "completed", 4)
    await renewal.consume("saga", about.disputed())
    assert await where(renewal, about.renewal_id) == OPEN


FIRST_COLUMNS = """
renewal_id subscription_id terms cycle requested_at traceparent caller request_id request_hash dunning_try
heard_at deadline_at payment_method_id next_due_at reason parked_from parked_reason payment_attempt
top_up_attempt refund_attempt spent asked retry_at action action_before delayed top_up refund_before flags
state version amount_minor granted priced_at captured_at applied_at top_up_cycle closed_at
"""
FIRST_HISTORY_COLUMNS = "renewal_id version at message to_state attempt reason detail"
