"""One batch costs the same number of statements whatever its size, and its updates stay on their pages."""

from typing import Any

import pytest

from services.payment.authority import Authority
from services.payment.domain.outcome import Kind, Outcome
from services.payment.settings import Settings
from shared.clock import utc_now
from shared.messaging.transaction import Transaction
from tests.integration.payment.conftest import Renewal, Subscribe, row
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.sandboxed import until
from tests.integration.wired import Wired, noting

LARGE = 200


@pytest.fixture(scope="module")
def told(database_url: str, sandbox: Sandbox) -> Settings:
    """As it runs in earnest: no lease ends while a batch is under way."""
    return Settings(database_url=database_url, psp_url=f"http://127.0.0.1:{sandbox.psp.port}")


async def renewals(payer: Subscribe, count: int, *tokens: str) -> list[Renewal]:
    first = await payer(*tokens)
    return [first, *(Renewal(first.methods, first.payer_id) for _ in range(count - 1))]


@pytest.mark.parametrize("count", [1, LARGE])
async def test_new_renewals_take_two_statements(payment: Wired, payer: Subscribe, count: int) -> None:
    batch = await renewals(payer, count)
    await payment.consume("commands", *(renewal.priced() for renewal in batch))
    assert len(payment.statements) == 2  # the methods; rows and attempts
    await all_are(payment, batch, "captured")


@pytest.mark.parametrize("count", [1, LARGE])
async def test_known_renewals_take_two_or_three_statements(
    payment: Wired, payer: Subscribe, count: int
) -> None:
    batch = await renewals(payer, count, "tok_sca")
    await payment.consume("commands", *(renewal.priced() for renewal in batch))
    await all_are(payment, batch, "refused")
    await payment.consume("commands", *(renewal.cancel() for renewal in batch))
    assert len(payment.statements) == 2  # lock, write: a command is about a payment that is there
    await payment.consume("commands", *(renewal.priced() for renewal in batch))
    assert len(payment.statements) == 3  # the methods, the try to insert, the lock: nothing changed


@pytest.mark.parametrize("count", [1, LARGE])
async def test_top_ups_take_one_statement(payment: Wired, payer: Subscribe, count: int) -> None:
    batch = await renewals(payer, count)
    await payment.consume("commands", *(renewal.priced() for renewal in batch))
    await all_are(payment, batch, "captured")
    await payment.consume("top-ups", *(renewal.applied() for renewal in batch))
    assert len(payment.statements) == 1
    assert all([(await row(payment, renewal))["applied_at"] for renewal in batch])


async def test_outcomes_take_two_statements(payment: Wired, told: Settings, payer: Subscribe) -> None:
    taken = {}
    for count in (1, LARGE):
        batch = await renewals(payer, count, "tok_sca")
        await payment.consume("commands", *(renewal.priced() for renewal in batch))
        await all_are(payment, batch, "refused")
        rows = await payment.pool.fetch(
            "select p.*, a.gateway from payments as p join payment_attempts as a using (renewal_id)"
            " where renewal_id = any($1)",
            [renewal.renewal_id for renewal in batch],
        )
        outcomes = [captured_at_last(found) for found in rows]
        taken[count] = await recorded(payment, told, outcomes)
        await all_are(payment, batch, "captured")
    assert taken[1] == taken[LARGE] == 2  # the lock; rows, attempts and ledger in one


def captured_at_last(found: Any) -> Outcome:
    """What a webhook would say of a row."""
    return Outcome(
        found["renewal_id"],
        Kind.CAPTURED,
        utc_now(),
        gateway="sandbox",
        reference=found["provider_reference"],
        amount_minor=found["amount_minor"],
        currency=found["currency"],
    )


async def recorded(payment: Wired, told: Settings, outcomes: list[Outcome]) -> int:
    """Record them in one transaction; how many statements that took."""
    authority = Authority(told.patience, told.lease)
    queries: list[str] = []

    async def record(transaction: Transaction) -> None:
        with noting(transaction.connection, queries):
            await authority.record(transaction, outcomes, room=0)

    await payment.transactions.run(record)
    return len(queries)


async def all_are(payment: Wired, batch: list[Renewal], state: str) -> None:
    """Wait until all of them have come to that state."""

    async def look() -> bool:
        count = await payment.pool.fetchval(
            "select count(*) from payments where renewal_id = any($1) and state = $2",
            [renewal.renewal_id for renewal in batch],
            state,
        )
        return bool(count == len(batch))

    await until(look)
