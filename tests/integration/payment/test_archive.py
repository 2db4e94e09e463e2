"""Settled payments lie in the archive, and everything that is heard of them finds them there.

Longer than others: each command and each word of a PSP is tried on the same archived payments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.payment.archive import REMOVAL, bring_back, find_attempts, find_payment, list_payments
from services.payment.metrics import APPLIED_WITHOUT_CAPTURE
from shared.contracts.payments import (
    PaymentCancelled,
    PaymentCaptured,
    PaymentDisputed,
    PaymentRefunded,
    RefundRejected,
    SurplusRefunded,
)
from shared.contracts.prices import RenewalPriced
from shared.database import Connection
from tests.integration.archived import at_once, moving_between, places, walk
from tests.integration.payment.conftest import (
    PRICE,
    PspJournal,
    Renewal,
    Subscribe,
    at_rest,
    books_balance,
    call,
    hear,
    lines,
    long_ago,
    row,
    said,
)
from tests.integration.payment.test_webhooks import PATH, charge, event, signed, tell, webhooks
from tests.integration.sandboxed import until
from tests.integration.wired import Wired

__all__ = ["webhooks"]

OPEN = ["payments"]
ARCHIVED = ["archived_payments", "archive_register"]
Settle = Callable[..., Awaitable[Renewal]]


@pytest.fixture
def completed(payment: Wired, payer: Subscribe) -> Settle:
    """`await completed()` is a renewal that was paid and topped up."""

    async def settled(*tokens: str) -> Renewal:
        renewal = await payer(*tokens)
        await payment.consume("commands", renewal.priced())
        for attempt, method in enumerate(renewal.methods[1:], 2):
            await at_rest(payment, renewal)
            await payment.consume("commands", renewal.capture(attempt, method))
        await hear(payment, PaymentCaptured, renewal)
        await payment.consume("top-ups", renewal.applied())
        return renewal

    return settled


@pytest.fixture
async def cancelled(payment: Wired, payer: Subscribe) -> Renewal:
    """A renewal that was called off before anything was captured."""
    renewal = await payer()
    await payment.consume("commands", renewal.cancel())
    await hear(payment, PaymentCancelled, renewal)
    return renewal


async def refunded(payment: Wired, renewal: Renewal) -> Renewal:
    """The renewal, captured, and its money gone back."""
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    await payment.consume("commands", renewal.refund())
    await hear(payment, PaymentRefunded, renewal)
    return renewal


async def where(payment: Wired, renewal: Renewal) -> list[str]:
    return await places(payment, REMOVAL, renewal.renewal_id)


async def archive(payment: Wired, renewal: Renewal) -> None:
    """Move it, with all that is settled."""
    await walk(payment, REMOVAL)
    assert await where(payment, renewal) == ARCHIVED


def of_long_ago(renewal: Renewal) -> RenewalPriced:
    """Its price as a replay brings it; that it may still be acted upon makes it no less old."""
    return renewal.priced().model_copy(update={"priced_at": long_ago()})


async def whole(payment: Wired, renewal: Renewal) -> list[Any]:
    """Its row and its calls."""
    calls = "select * from payment_attempts where renewal_id = $1 order by ordinal"
    return [await row(payment, renewal), await payment.pool.fetch(calls, renewal.renewal_id)]


async def test_what_was_archived_and_comes_back_is_what_it_was(payment: Wired, completed: Settle) -> None:
    renewal = await completed("tok_decline_generic", "tok_ok")
    before = await whole(payment, renewal)
    await archive(payment, renewal)
    assert await whole(payment, renewal) == [None, []]

    dispute = {"id": before[0]["provider_reference"]}
    await tell(payment, event(renewal.renewal_id, "charge.dispute.created", **dispute))

    row_now, calls_now = await whole(payment, renewal)
    assert await where(payment, renewal) == OPEN
    assert calls_now == before[1]
    assert {name for name, value in row_now.items() if value != before[0][name]} == {"version", "disputed_at"}


async def test_money_that_is_not_settled_is_not_archived(
    payment: Wired, payer: Subscribe, webhooks: None
) -> None:
    waiting, declined, returned, rejected = [
        await payer(token)
        for token in ("tok_ok", "tok_decline_generic", "tok_refund_fails_later", "tok_refund_fails")
    ]
    for renewal in (waiting, declined, returned, rejected):
        await payment.consume("commands", renewal.priced())
    for renewal in (waiting, returned, rejected):
        await hear(payment, PaymentCaptured, renewal)
    await payment.consume("commands", returned.refund(), rejected.refund())
    await hear(payment, RefundRejected, returned)
    await at_rest(payment, rejected)
    await at_rest(payment, declined)

    await walk(payment, REMOVAL)

    for renewal in (waiting, declined, returned, rejected):
        assert await where(payment, renewal) == OPEN, renewal


async def test_what_has_just_happened_is_not_archived_by_the_service_itself(
    payment: Wired, completed: Settle
) -> None:
    renewal = await completed()
    [loop] = [loop for loop in payment.service.loops if loop.name == "archive"]
    await payment.pool.execute("update archive_walk set begun_at = null")
    stopping = asyncio.Event()
    walking = asyncio.ensure_future(loop.run(stopping))
    await until(lambda: payment.pool.fetchval("select begun_at from archive_walk"))
    stopping.set()
    await walking
    assert await where(payment, renewal) == OPEN


@pytest.mark.parametrize("which", ["completed", "refunded", "cancelled"])
async def test_commands_about_an_archived_payment_are_answered_as_ever_and_do_nothing(
    payment: Wired, psp: PspJournal, payer: Subscribe, completed: Settle, cancelled: Renewal, which: str
) -> None:
    renewal = cancelled
    if which == "completed":
        renewal = await completed()
    elif which == "refunded":
        renewal = await refunded(payment, await payer())
    answer = PaymentCancelled if which == "cancelled" else PaymentCaptured
    [first] = said(payment, answer, renewal)
    requests = len(psp.rows("request"))
    await archive(payment, renewal)

    await payment.consume("commands", of_long_ago(renewal), renewal.capture(1), renewal.cancel())
    await payment.consume("commands", renewal.capture(2, late=True), renewal.cancel(late=True))

    # Once a batch: the same answer twice is one message.
    assert said(payment, answer, renewal) == [first] * 3
    assert {len(said(payment, other, renewal)) for other in (PaymentCaptured, PaymentCancelled)} == {0, 3}
    assert await where(payment, renewal) == ARCHIVED
    assert len(psp.rows("request")) == requests


async def test_a_refund_of_an_archived_payment_that_went_back_is_said_again(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await refunded(payment, await payer())
    await archive(payment, renewal)
    await payment.consume("commands", renewal.refund())
    [first, again] = said(payment, PaymentRefunded, renewal)
    assert first == again
    assert psp.effects(renewal) == ["captured", "refunded"]
    assert await where(payment, renewal) == ARCHIVED


async def test_a_top_up_that_is_told_of_again_has_its_capture_in_the_archive(
    payment: Wired, completed: Settle, cancelled: Renewal
) -> None:
    renewal = await completed()
    await archive(payment, renewal)
    before = APPLIED_WITHOUT_CAPTURE._value.get()
    await payment.consume("top-ups", renewal.applied())
    assert APPLIED_WITHOUT_CAPTURE._value.get() == before
    assert len(await lines(payment, renewal)) == 2
    # One that was never captured is missed, whether its payment is archived or not.
    await payment.consume("top-ups", cancelled.applied())
    assert APPLIED_WITHOUT_CAPTURE._value.get() == before + 1


async def test_a_webhook_that_comes_again_leaves_the_payment_in_the_archive(
    payment: Wired, completed: Settle
) -> None:
    renewal = await completed()
    intent = (await row(payment, renewal))["provider_reference"]
    await archive(payment, renewal)
    await tell(payment, event(renewal.renewal_id, id=intent))
    assert await where(payment, renewal) == ARCHIVED
    assert len(said(payment, PaymentCaptured, renewal)) == 1


async def test_a_refund_made_elsewhere_and_a_surplus_bring_the_payment_back(
    payment: Wired, psp: PspJournal, completed: Settle, webhooks: None
) -> None:
    renewal = await completed()
    intent = (await row(payment, renewal))["provider_reference"]
    await archive(payment, renewal)
    charge(psp, renewal)
    await hear(payment, SurplusRefunded, renewal)
    await at_rest(payment, renewal)
    await archive(payment, renewal)
    by_hand = {"payment_intent": intent, "metadata": {"renewal_id": str(renewal.renewal_id)}}
    assert psp.server.call("POST", "/v1/refunds", by_hand, key=str(uuid4())).status == 200
    await hear(payment, PaymentRefunded, renewal)
    assert (await row(payment, renewal))["state"] == "refunded"
    assert sorted(psp.effects(renewal)) == ["captured", "captured", "refunded", "refunded"]
    assert await books_balance(payment)
    await archive(payment, renewal)


async def test_two_facts_at_once_about_an_archived_payment_are_both_recorded(
    payment: Wired, completed: Settle
) -> None:
    renewal = await completed()
    intent = (await row(payment, renewal))["provider_reference"]
    await archive(payment, renewal)
    await asyncio.gather(
        tell(payment, event(renewal.renewal_id, "charge.dispute.created", id=intent)),
        tell(payment, event(renewal.renewal_id, id=f"pi_{uuid4().hex}")),
    )
    assert len(said(payment, PaymentDisputed, renewal)) == 1
    assert (await row(payment, renewal))["surplus"] is not None
    assert ("surplus_found", "psp:sandbox", "surplus", PRICE) in await lines(payment, renewal)


async def test_a_webhook_about_nobody_is_still_nobodys(payment: Wired) -> None:
    body = event(uuid4())
    reply = await call(payment, "POST", PATH, body, Sandbox_Signature=signed(body))
    assert reply.body == {"result": "unknown_renewal"}


async def test_the_api_shows_archived_payments_as_before(payment: Wired, completed: Settle) -> None:
    first = await completed("tok_decline_generic", "tok_ok")
    others = [Renewal(first.methods[1:], first.payer_id) for _ in range(4)]
    for other in others:
        # Of one subscription, as the pages are.
        message = other.priced().model_copy(update={"subscription_id": first.subscription_id})
        await payment.consume("commands", message)
        await hear(payment, PaymentCaptured, other)
    await payment.consume("top-ups", *(other.applied() for other in others[:2]))
    path = f"/v1/payments/{first.renewal_id}"
    page = f"/v1/payments?subscription_id={first.subscription_id}&limit=2"
    shown = await payment.request("GET", path)
    pages = await paged(payment, page)
    await archive(payment, first)

    assert [await where(payment, other) for other in others] == [ARCHIVED, ARCHIVED, OPEN, OPEN]
    assert await payment.request("GET", path) == shown
    assert await paged(payment, page) == pages
    assert len(pages) == 5


@pytest.mark.parametrize("begins_in_the_archive", [False, True])
async def test_who_reads_while_a_payment_is_moved_finds_it_once(
    payment: Wired, completed: Settle, begins_in_the_archive: bool
) -> None:
    renewal = await completed("tok_decline_generic", "tok_ok")

    async def seen(connection: Connection) -> list[Any]:
        return [
            await find_payment(connection, renewal.renewal_id),
            await find_attempts(connection, renewal.renewal_id),
            await list_payments(connection, renewal.subscription_id, None, 10),
        ]

    async with payment.pool.acquire() as connection:
        shown = await seen(connection)
    if begins_in_the_archive:
        await archive(payment, renewal)
    async with moving_between(payment, REMOVAL, bring_back, renewal.renewal_id) as moving:
        assert await seen(moving) == shown


async def paged(payment: Wired, path: str) -> list[Any]:
    """All the items of all pages."""
    items: list[Any] = []
    cursor = ""
    while True:
        body = (await payment.request("GET", path + cursor)).body
        items += body["items"]
        if body["next_cursor"] is None:
            return items
        cursor = f"&cursor={body['next_cursor']}"


async def test_a_move_that_does_not_commit_has_moved_nothing(payment: Wired, completed: Settle) -> None:
    renewal = await completed()
    before = await whole(payment, renewal)
    removal = at_once(payment, REMOVAL)

    async def look() -> bool:
        # The service's own loop may be walking just then.
        async with payment.pool.acquire() as connection, payment.transactions.begin() as transaction:
            await removal.step(transaction)
            gone = "select not exists (select from payments where renewal_id = $1)"
            moved = bool(await transaction.connection.fetchval(gone, renewal.renewal_id))
            assert (await connection.fetchval(gone, renewal.renewal_id)) is False
            raise Died(moved)

    async def died_having_moved_it() -> bool:
        try:
            return await look()
        except Died as died:
            return died.moved

    await until(died_having_moved_it)
    assert await where(payment, renewal) == OPEN
    assert await whole(payment, renewal) == before


class Died(Exception):
    def __init__(self, moved: bool) -> None:
        super().__init__("in the middle of a move")
        self.moved = moved


async def test_of_two_processes_only_one_walks_and_nothing_is_moved_twice(
    payment: Wired, completed: Settle
) -> None:
    batch = [await completed() for _ in range(3)]
    removals = [at_once(payment, REMOVAL) for _ in range(4)]

    async def all_moved() -> bool:
        await asyncio.gather(*(payment.transactions.run(removal.step) for removal in removals))
        return all([await where(payment, renewal) == ARCHIVED for renewal in batch])

    await until(all_moved)


async def test_a_payment_that_somebody_is_deciding_on_is_left_for_the_next_walk(
    payment: Wired, completed: Settle
) -> None:
    renewal, other = await completed(), await completed()
    async with payment.transactions.begin() as transaction:
        lock = "select from payments where renewal_id = $1 for update"
        await transaction.connection.fetch(lock, renewal.renewal_id)
        await archive(payment, other)
        assert await where(payment, renewal) == OPEN
    await archive(payment, renewal)


async def test_a_command_that_comes_while_its_payment_is_moved_waits_and_finds_it(
    payment: Wired, psp: PspJournal, completed: Settle
) -> None:
    renewal = await completed()
    removal = at_once(payment, REMOVAL)
    gone = "select not exists (select from payments where renewal_id = $1)"

    async def waited_for() -> bool:
        async with payment.transactions.begin() as transaction:
            await removal.step(transaction)
            if not await transaction.connection.fetchval(gone, renewal.renewal_id):
                return False
            command = asyncio.create_task(payment.consume("commands", of_long_ago(renewal)))
            blocked = "select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"
            await until(lambda: payment.pool.fetchval(blocked))
            assert not command.done()
        await command
        return True

    await until(waited_for)
    assert await where(payment, renewal) == ARCHIVED
    assert len(said(payment, PaymentCaptured, renewal)) == 2
    assert psp.effects(renewal) == ["captured"]


async def test_a_batch_about_archived_payments_takes_a_constant_number_of_statements(
    payment: Wired, completed: Settle
) -> None:
    counts = []
    for size in (1, 20):
        batch = [await completed() for _ in range(size)]
        await archive(payment, batch[0])
        await payment.consume("commands", *map(of_long_ago, batch))
        counts.append(len(payment.statements))
    # The methods, the open ones, the register, the archive.
    assert counts == [4, 4]


async def test_each_payment_lies_in_the_month_of_the_last_thing_that_happened_to_it(
    payment: Wired, completed: Settle
) -> None:
    months = [datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]
    for applied_at in months:
        renewal = await completed()
        await payment.pool.execute(
            "update payments set created_at = $2, captured_at = $2, applied_at = $3 where renewal_id = $1",
            renewal.renewal_id,
            applied_at - timedelta(days=40),
            applied_at,
        )
        ended = "update payment_attempts set ended_at = $2 where renewal_id = $1"
        await payment.pool.execute(ended, renewal.renewal_id, applied_at - timedelta(days=39))
        await archive(payment, renewal)
        partition = "select tableoid::regclass::text from archived_payments where renewal_id = $1"
        assert await payment.pool.fetchval(partition, renewal.renewal_id) == (
            f"archived_payments_{applied_at:%Y_%m}"
        )


async def test_what_was_archived_before_a_column_was_there_is_read_and_comes_back(
    payment: Wired, completed: Settle
) -> None:
    """As the first version wrote it: a younger column that may not be null has to be given a value."""
    renewal = await completed()
    intent = (await row(payment, renewal))["provider_reference"]
    await archive(payment, renewal)
    await payment.pool.execute(
        """update archived_payments
        set
            payment = (select json_object_agg(key, value) from json_each(payment) where key = any($2)),
            attempts = (
                select json_agg((select json_object_agg(key, value) from json_each(a) where key = any($3)))
                from json_array_elements(attempts) as a
            )
        where renewal_id = $1""",
        renewal.renewal_id,
        FIRST_COLUMNS.split(),
        FIRST_ATTEMPT_COLUMNS.split(),
    )
    shown = await payment.request("GET", f"/v1/payments/{renewal.renewal_id}")
    assert (shown.status, shown.body["state"], len(shown.body["attempts"])) == (200, "captured", 1)
    await tell(payment, event(renewal.renewal_id, "charge.dispute.created", id=intent))
    assert await where(payment, renewal) == OPEN


FIRST_COLUMNS = """
renewal_id version attempt ordinal capture_ordinal claim objects refund_attempt captured_version due_at
act_before resolve_before captured_at applied_at disputed_at refund_returned_at state decision operation
call_status cancel_wanted payment_method_id gateway reference_gateway provider_reference surplus answer
refund_answer amount_minor currency subscription_id terms grant_given traceparent created_at
"""
FIRST_ATTEMPT_COLUMNS = """
renewal_id ordinal first_sent_at send_before ended_at operation status code provider_reference
payment_method_id gateway
"""
