"""The PSP is out of order for longer than an unknown capture is resolved: payments wait, wallets pay on."""

from collections.abc import Sequence
from datetime import datetime

import pytest

from services.payment.settings import Settings
from shared.contracts.payments import PaymentAttemptFailed, PaymentCancelled, PaymentCaptured
from tests.integration.payment.conftest import (
    HASTY,
    PspJournal,
    Renewal,
    Subscribe,
    books_balance,
    hear,
    pay_in,
)
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.sandboxed import until
from tests.integration.wired import Wired
from tests.rates import busiest_second

CALLS_PER_SECOND = 100
COUNT = 120
FAILURES = 5


@pytest.fixture(scope="module")
def told(database_url: str, sandbox: Sandbox) -> Settings:
    limits = {
        "calls_per_second": CALLS_PER_SECOND,
        "breaker_failures": FAILURES,
        "breaker_first_seconds": 0.2,
        "breaker_longest_seconds": 0.5,
        "recovery_step_seconds": 0.1,
    }
    patience = {
        "payment_call_seconds": 0.5,
        "payment_send_window_seconds": 3.0,
        "payment_lease_seconds": 5.0,
        "payment_resolution_seconds": 2.0,
    }
    return Settings(
        database_url=database_url,
        psp_url=f"http://127.0.0.1:{sandbox.psp.port}",
        **HASTY | patience | {"payment_limits": limits},
    )


async def waiting(payment: Wired) -> int:
    count: int = await payment.pool.fetchval(
        "select count(*) from payments where lane = 'sandbox' and queued_until = due_at"
    )
    return count


def captured(payment: Wired, renewals: Sequence[Renewal]) -> bool:
    known = {one.renewal_id for one in payment.said(PaymentCaptured)}
    return all(renewal.renewal_id in known for renewal in renewals)


def seen(psp: PspJournal) -> list[float]:
    """When each request about an intent came, in seconds."""
    rows = [row for row in psp.rows("request") if "intent" in row["operation"]]
    return [datetime.fromisoformat(row["at"]).timestamp() for row in rows]


async def test_payments_wait_for_the_psp_without_an_end_and_are_taken_once_when_it_is_back(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    first = await payer()
    stuck = [first, *(Renewal(first.methods, first.payer_id) for _ in range(COUNT - 1))]
    by_wallet = await payer("wallet")
    await pay_in(payment, by_wallet, by_wallet.amount_minor)

    psp.fault("*", "timeout_before")
    await payment.consume("commands", *(renewal.priced() for renewal in stuck))
    # Before it was known to be an outage some creations failed: not reached, so nothing is spent.
    failed = await until(lambda: payment.said(PaymentAttemptFailed))
    await until(lambda: is_all(payment, COUNT - len(payment.said(PaymentAttemptFailed))))
    failed = payment.said(PaymentAttemptFailed)
    assert len(failed) < FAILURES
    assert not any(one.reached_provider for one in failed)
    tried = len(seen(psp))
    await until(lambda: len(seen(psp)) >= tried + 5)

    # Nobody else waits, and who does not want to wait need not.
    await payment.consume("commands", by_wallet.priced())
    await hear(payment, PaymentCaptured, by_wallet)
    again = {one.renewal_id for one in failed}
    called_off = next(renewal for renewal in stuck if renewal.renewal_id not in again)
    await payment.consume("commands", called_off.cancel())
    await hear(payment, PaymentCancelled, called_off)
    stuck.remove(called_off)

    psp.well()
    await payment.consume("commands", *(one.capture(2) for one in stuck if one.renewal_id in again))
    await until(lambda: captured(payment, stuck))
    assert [one.renewal_id for one in payment.said(PaymentCancelled)] == [called_off.renewal_id]
    assert len(payment.said(PaymentAttemptFailed)) == len(failed)
    assert busiest_second(seen(psp)) <= CALLS_PER_SECOND
    effects = [row["renewal_id"] for row in psp.rows("effect") if row["effect"] == "captured"]
    assert sorted(effects) == sorted(str(one.renewal_id) for one in stuck)
    assert await books_balance(payment)


async def is_all(payment: Wired, number: int) -> bool:
    return await waiting(payment) == number
