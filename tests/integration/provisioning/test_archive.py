"""Decided top-ups lie in the archive, and everything that is heard of them finds them there."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.provisioning.metrics import CONTRADICTED
from services.provisioning.topups.archive import REMOVAL, find, lock_attempts, of_subscription
from services.provisioning.topups.calls import Outcome
from services.provisioning.topups.domain.findings import Finding
from shared.contracts.payments import PaymentCaptured
from shared.contracts.topups import (
    TopUpApplied,
    TopUpAttemptFailed,
    TopUpCancelled,
    TopUpRejected,
    TopUpUndetermined,
)
from shared.database import Connection
from tests.integration.archived import at_once, long_ago, moving_between, places, walk
from tests.integration.provisioning.conftest import Carrier, Subscribe, Subscriber
from tests.integration.provisioning.test_leases import OtherProcess, other
from tests.integration.provisioning.test_top_ups import TOP_UPS, final_answers, hear, said
from tests.integration.sandboxed import until
from tests.integration.wired import Wired

__all__ = ["other"]

OPEN = ["top_ups"]
ARCHIVED = ["archived_top_ups", "archive_register"]
ANSWERS: dict[str, Any] = {"applied": TopUpApplied, "rejected": TopUpRejected, "cancelled": TopUpCancelled}


async def where(provisioning: Wired, renewal_id: UUID) -> list[str]:
    return await places(provisioning, REMOVAL, renewal_id)


async def archive(provisioning: Wired, renewal_id: UUID) -> None:
    """Move it, with all that is decided."""
    await walk(provisioning, REMOVAL)
    assert await where(provisioning, renewal_id) == ARCHIVED


def of_long_ago(captured: PaymentCaptured) -> PaymentCaptured:
    """As a replay brings it; that it may still be acted upon makes it no less old."""
    return captured.model_copy(update={"captured_at": long_ago()})


async def whole(provisioning: Wired, renewal_id: UUID) -> list[Any]:
    """Its row and its attempts."""
    row = await provisioning.pool.fetchrow("select * from top_ups where renewal_id = $1", renewal_id)
    attempts = "select * from top_up_attempts where renewal_id = $1 order by operation, ordinal"
    return [row, await provisioning.pool.fetch(attempts, renewal_id)]


async def decided(provisioning: Wired, subscriber: Subscriber, outcome: str) -> PaymentCaptured:
    """A renewal of theirs whose top-up has come to that."""
    captured = subscriber.captured()
    if outcome == "cancelled":
        await provisioning.consume(TOP_UPS, subscriber.cancel(captured.renewal_id))
    else:
        await provisioning.consume(TOP_UPS, captured)
    await hear(provisioning, ANSWERS[outcome], captured.renewal_id)
    return captured


@pytest.mark.parametrize("outcome", ANSWERS)
async def test_instructions_about_an_archived_top_up_are_answered_as_ever_and_do_nothing(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe, outcome: str
) -> None:
    subscriber = await subscribe("10" if outcome == "rejected" else "00")
    captured = await decided(provisioning, subscriber, outcome)
    renewal_id = captured.renewal_id
    answers = final_answers(provisioning, renewal_id)
    requests = len(carrier.rows("request"))
    await archive(provisioning, renewal_id)

    for told in (
        of_long_ago(captured),
        subscriber.apply(captured, 1),
        subscriber.apply(captured, 2),
        subscriber.cancel(renewal_id),
        subscriber.cancel(renewal_id, late=True),
        subscriber.resolve(renewal_id, applied=True),
        subscriber.resolve(renewal_id, applied=False),
    ):
        await provisioning.consume(TOP_UPS, told)

    assert final_answers(provisioning, renewal_id) == answers
    assert len(said(provisioning, ANSWERS[outcome], renewal_id)) == 1 + 7
    assert await where(provisioning, renewal_id) == ARCHIVED
    assert len(carrier.rows("request")) == requests


async def test_what_is_not_decided_is_not_archived(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    failing, silent = await subscribe("20"), await subscribe("30", carrier="mute")
    held = (await subscribe()).captured(late=True)
    failed, undetermined = failing.captured(), silent.captured()
    await provisioning.consume(TOP_UPS, held, failed, undetermined)
    await hear(provisioning, TopUpAttemptFailed, failed.renewal_id)
    await hear(provisioning, TopUpUndetermined, undetermined.renewal_id)

    await walk(provisioning, REMOVAL)

    for captured in (held, failed, undetermined):
        assert await where(provisioning, captured.renewal_id) == OPEN


async def test_good_news_about_an_archived_top_up_brings_it_back_and_is_no_news(
    provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe()).captured()
    [job] = await other.consume(captured)
    await hear(provisioning, TopUpApplied, captured.renewal_id)
    before = await whole(provisioning, captured.renewal_id)
    await archive(provisioning, captured.renewal_id)

    await other.record([Outcome(job, Finding("applied", provider_reference="tu_late"))])

    row, [attempt] = await whole(provisioning, captured.renewal_id)
    assert row == before[0]
    assert attempt["status"] == "applied"
    assert len(said(provisioning, TopUpApplied, captured.renewal_id)) == 1


async def test_a_top_up_that_is_applied_after_it_was_archived_as_cancelled_is_an_alarm(
    provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe("20")
    captured = subscriber.captured()
    [job] = await other.consume(captured)
    await hear(provisioning, TopUpAttemptFailed, captured.renewal_id)
    await provisioning.consume(TOP_UPS, subscriber.cancel(captured.renewal_id))
    await hear(provisioning, TopUpCancelled, captured.renewal_id)
    await archive(provisioning, captured.renewal_id)
    alarms = CONTRADICTED._value.get()

    await other.record([Outcome(job, Finding("applied", provider_reference="tu_late"))])

    assert CONTRADICTED._value.get() == alarms + 1
    # And now it stays, for whoever has to look into it.
    await walk(provisioning, REMOVAL)
    assert await where(provisioning, captured.renewal_id) == OPEN


async def test_good_news_is_not_lost_while_somebody_else_brings_its_top_up_back(
    provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe("20")
    captured = subscriber.captured()
    [job] = await other.consume(captured)
    await hear(provisioning, TopUpAttemptFailed, captured.renewal_id)
    await provisioning.consume(TOP_UPS, subscriber.cancel(captured.renewal_id))
    await hear(provisioning, TopUpCancelled, captured.renewal_id)
    await archive(provisioning, captured.renewal_id)
    alarms = CONTRADICTED._value.get()

    async with provisioning.transactions.begin() as transaction:
        assert await lock_attempts(transaction.connection, [job.attempt_key])
        told = asyncio.create_task(other.record([Outcome(job, Finding("applied"))]))
        blocked = "select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"
        await until(lambda: provisioning.pool.fetchval(blocked))
        assert not told.done()
    await told

    assert CONTRADICTED._value.get() == alarms + 1


async def test_a_finding_about_nobodys_top_up_changes_nothing(
    provisioning: Wired, other: OtherProcess, subscribe: Subscribe
) -> None:
    captured = (await subscribe()).captured()
    [job] = await other.consume(captured)
    job.order = job.order._replace(renewal_id=uuid4())
    await other.record([Outcome(job, Finding("applied"))])
    assert await where(provisioning, job.order.renewal_id) == []


async def test_the_api_shows_archived_top_ups_as_before(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    batch = [await decided(provisioning, subscriber, "applied") for _ in range(3)]
    held = [subscriber.captured(late=True) for _ in range(2)]
    await provisioning.consume(TOP_UPS, *held)
    paths = [f"/v1/top-ups/{captured.renewal_id}" for captured in batch]
    shown = [await provisioning.request("GET", path) for path in paths]
    pages = await paged(provisioning, subscriber)
    await archive(provisioning, batch[0].renewal_id)

    assert [await provisioning.request("GET", path) for path in paths] == shown
    assert await paged(provisioning, subscriber) == pages
    assert len(pages) == 5
    missing = await provisioning.request("GET", f"/v1/top-ups/{uuid4()}")
    assert (missing.status, missing.problem) == (404, "top-up-not-found")


@pytest.mark.parametrize("begins_in_the_archive", [False, True])
async def test_who_reads_while_a_top_up_is_moved_finds_it_once(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe, begins_in_the_archive: bool
) -> None:
    captured = await decided(provisioning, await subscribe(), "applied")
    renewal_id, subscription_id = captured.renewal_id, captured.subscription_id

    async def seen(connection: Connection) -> list[Any]:
        return [
            await find(connection, renewal_id),
            await of_subscription(connection, subscription_id, None, 10),
        ]

    async def bring_back(connection: Connection, renewal_ids: Collection[UUID]) -> None:
        await lock_attempts(connection, [(one, "apply", 0) for one in renewal_ids])

    async with provisioning.pool.acquire() as connection:
        shown = await seen(connection)
    if begins_in_the_archive:
        await archive(provisioning, renewal_id)
    async with moving_between(provisioning, REMOVAL, bring_back, renewal_id) as moving:
        assert await seen(moving) == shown


async def paged(provisioning: Wired, subscriber: Subscriber) -> list[Any]:
    """All the subscriber's top-ups, page by page."""
    items: list[Any] = []
    cursor = ""
    while True:
        path = f"/v1/top-ups?subscription_id={subscriber.subscription_id}&limit=2{cursor}"
        body = (await provisioning.request("GET", path)).body
        items += body["items"]
        if body["next_cursor"] is None:
            return items
        cursor = f"&cursor={body['next_cursor']}"


async def test_an_instruction_that_comes_while_its_top_up_is_moved_waits_and_finds_it(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = await decided(provisioning, await subscribe(), "applied")
    removal = at_once(provisioning, REMOVAL)
    gone = "select not exists (select from top_ups where renewal_id = $1)"

    async def waited_for() -> bool:
        async with provisioning.transactions.begin() as transaction:
            await removal.step(transaction)
            if not await transaction.connection.fetchval(gone, captured.renewal_id):
                return False
            told = asyncio.create_task(provisioning.consume(TOP_UPS, of_long_ago(captured)))
            blocked = "select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"
            await until(lambda: provisioning.pool.fetchval(blocked))
            assert not told.done()
        await told
        return True

    await until(waited_for)
    assert await where(provisioning, captured.renewal_id) == ARCHIVED
    assert len(said(provisioning, TopUpApplied, captured.renewal_id)) == 2
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_a_batch_about_archived_top_ups_takes_a_constant_number_of_statements(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    counts = []
    for size in (1, 20):
        batch = [subscriber.captured() for _ in range(size)]
        await provisioning.consume(TOP_UPS, *batch)
        for captured in batch:
            await hear(provisioning, TopUpApplied, captured.renewal_id)
        await archive(provisioning, batch[0].renewal_id)
        await provisioning.consume(TOP_UPS, *map(of_long_ago, batch))
        counts.append(len(provisioning.statements))
    # The open ones, the register, the archive.
    assert counts == [3, 3]


async def test_a_capture_of_long_ago_that_nobody_has_heard_of_begins_its_top_up(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = of_long_ago(subscriber.captured())
    await provisioning.consume(TOP_UPS, captured, subscriber.apply(captured, 1))
    await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_what_was_archived_before_a_column_was_there_is_read_and_comes_back(
    provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    """As the first version wrote it: a younger column that may not be null has to be given a value."""
    captured = (await subscribe()).captured()
    [job] = await other.consume(captured)
    await hear(provisioning, TopUpApplied, captured.renewal_id)
    await archive(provisioning, captured.renewal_id)
    await provisioning.pool.execute(
        """update archived_top_ups
        set
            top_up = (select json_object_agg(key, value) from json_each(top_up) where key = any($2)),
            attempts = (
                select json_agg((select json_object_agg(key, value) from json_each(a) where key = any($3)))
                from json_array_elements(attempts) as a
            )
        where renewal_id = $1""",
        captured.renewal_id,
        FIRST_COLUMNS.split(),
        FIRST_ATTEMPT_COLUMNS.split(),
    )
    shown = await provisioning.request("GET", f"/v1/top-ups/{captured.renewal_id}")
    assert (shown.status, shown.body["state"], len(shown.body["attempts"])) == (200, "applied", 1)
    await other.record([Outcome(job, Finding("applied", provider_reference="tu_late"))])
    assert await where(provisioning, captured.renewal_id) == OPEN


FIRST_COLUMNS = """
renewal_id subscription_id state attempt version ordinal same_ordinal cancel_wanted unsure cancel_ordinal
act_before terms granted amount_minor currency iccid carrier reason reached_provider retry_after_seconds
provider_reference applied_at expires_at cycle traceparent accepted_at
"""
FIRST_ATTEMPT_COLUMNS = """
renewal_id operation ordinal status claim asked send_before first_sent_at due_at provider_reference reason
ended_at
"""
