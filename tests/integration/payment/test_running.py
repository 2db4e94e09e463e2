"""The whole of payment on its topics: a price comes in on one, a capture goes out on another."""

from collections.abc import Callable
from uuid import uuid4

import asyncpg

from services.payment import settings, wiring
from shared.contracts.message import Message
from shared.contracts.payments import PaymentCancelled, PaymentCaptured, PaymentRefunded
from tests.conftest import FreshDatabase
from tests.integration.on_topics import running
from tests.integration.payment.conftest import PspJournal, Renewal
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.sandboxed import until

PAYMENTS = "payments.v1"


async def test_a_price_is_captured_earned_or_refunded_over_kafka(
    fresh_database: FreshDatabase, kafka_bootstrap: str, sandbox: Sandbox, psp: PspJournal
) -> None:
    url = await fresh_database("payment")
    told = settings.Settings(
        database_url=url,
        kafka_bootstrap=kafka_bootstrap,
        psp_url=f"http://127.0.0.1:{sandbox.psp.port}",
    )
    payer_id, method = f"payer-{uuid4().hex}", f"card-{uuid4().hex}"
    kept, refunded, cancelled = (Renewal((method,), payer_id) for _ in range(3))
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(
            "insert into payment_methods values ($1, $2, 'card', 'active', 'sandbox', 'tok_ok', 1)",
            method,
            payer_id,
        )
        async with running("payment", wiring.build, told) as topics:
            await topics.send(kept.priced(), refunded.priced(), cancelled.cancel(), cancelled.priced())
            await topics.until(PAYMENTS, kept.subscription_id, said(PaymentCaptured))
            await topics.until(PAYMENTS, refunded.subscription_id, said(PaymentCaptured))
            await topics.until(PAYMENTS, cancelled.subscription_id, said(PaymentCancelled))
            await topics.send(kept.applied(), refunded.refund())
            await topics.until(PAYMENTS, refunded.subscription_id, said(PaymentRefunded))

            async def earned() -> bool:
                return bool(
                    await connection.fetchval(
                        "select applied_at is not null from payments where renewal_id = $1", kept.renewal_id
                    )
                )

            await until(earned)
        [proof] = await connection.fetch("select * from ledger_proof")
    finally:
        await connection.close()
    assert proof["balanced"]
    assert (proof["captured_minor"], proof["applied_minor"], proof["refunded_minor"]) == (3000, 1500, 1500)
    assert psp.effects(cancelled) == []


def said(kind: type[Message]) -> Callable[[list[Message]], bool]:
    return lambda seen: any(isinstance(each, kind) for each in seen)
