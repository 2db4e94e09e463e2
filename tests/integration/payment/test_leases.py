"""A process that dies, or falls behind, between claiming a call and writing down what came of it."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

from services.payment.domain.calls import Call
from services.payment.domain.outcome import Kind, Outcome
from shared.clock import utc_now
from shared.contracts.payments import (
    PaymentAttemptFailed,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
)
from shared.messaging.transaction import Transaction, Transactions
from tests.integration.at_once import at_once, consuming
from tests.integration.payment.conftest import PspJournal, Subscribe, books_balance, hear, row, said
from tests.integration.payment.other_process import OtherProcess
from tests.integration.wired import Wired


async def test_a_process_that_died_before_its_call_is_replaced(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await other.consume(renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    assert psp.effects(renewal) == ["captured"]


async def test_a_process_that_died_before_storing_the_reference_leaves_one_object(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    call = await other.consume(renewal.priced())
    await other.calls.call(call)
    await hear(payment, PaymentCaptured, renewal)
    created = psp.requests(renewal, "create_intent")
    assert len(created) == 2
    assert len({request["key"] for request in created}) == 1
    assert psp.effects(renewal) == ["captured"]


async def test_a_process_that_died_between_the_capture_and_writing_it_down_captures_once(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    call = await other.confirmable(await other.consume(renewal.priced()))
    made = await other.calls.call(call)
    assert isinstance(made, Outcome)
    assert made.kind is Kind.CAPTURED

    captured = await hear(payment, PaymentCaptured, renewal)
    assert psp.effects(renewal) == ["captured"]
    assert {request["key"] for request in psp.requests(renewal, "confirm_intent")} == {str(call.key)}

    await other.record(made)
    assert said(payment, PaymentCaptured, renewal) == [captured]
    assert await books_balance(payment)


async def test_a_process_that_died_between_refund_and_writing_it_down_refunds_once(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    call = await other.consume(renewal.refund())
    await other.calls.call(call)

    await hear(payment, PaymentRefunded, renewal)
    assert psp.effects(renewal) == ["captured", "refunded"]


async def test_a_dead_process_and_a_wish_to_cancel_end_in_a_cancelled_object(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await other.confirmable(await other.consume(renewal.priced()))
    await payment.consume("commands", renewal.cancel())
    await hear(payment, PaymentCancelled, renewal)
    assert psp.effects(renewal) == ["cancelled"]


async def test_bad_news_of_a_lost_lease_is_dropped(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_processing")
    call = await other.consume(renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    before = await row(payment, renewal)
    await other.record(_outcome(call, Kind.DECLINED), _outcome(call, Kind.FAILED))

    assert said(payment, PaymentDeclined, renewal) == []
    assert said(payment, PaymentAttemptFailed, renewal) == []
    assert await row(payment, renewal) == before


async def test_good_news_of_a_lost_lease_is_recorded(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_decline_generic")
    call = await other.confirmable(await other.consume(renewal.priced()))
    declined = await hear(payment, PaymentDeclined, renewal)
    late = _outcome(call, Kind.CAPTURED)._replace(reference=call.reference, amount_minor=call.amount_minor)
    await other.record(late)

    captured = await hear(payment, PaymentCaptured, renewal)
    assert captured.version > declined.version


async def test_an_answer_that_comes_at_the_same_time_as_a_cancellation_does_not_undo_it(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    call = await other.confirmable(await other.consume(renewal.priced()))
    declined = _outcome(call, Kind.DECLINED)

    await at_once(
        payment,
        consuming(payment, "commands", renewal.cancel()),
        lambda transaction: other.calls.record(transaction, [declined]),
    )

    await hear(payment, PaymentCancelled, renewal)
    assert said(payment, PaymentDeclined, renewal) == []
    assert psp.effects(renewal) == ["cancelled"]


async def test_a_request_is_not_written_after_its_send_window(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    call = await other.confirmable(await other.consume(renewal.priced()))
    late = await other.calls.call(replace(call, send_until=0.0))
    assert isinstance(late, Outcome)
    assert late.kind is Kind.NOT_SENT
    assert psp.requests(renewal, "confirm_intent") == []

    await other.record(late)
    await hear(payment, PaymentCaptured, renewal)
    assert psp.effects(renewal) == ["captured"]


async def test_a_lease_counts_on_the_databases_clock_whichever_its_process_has(
    payment: Wired, other: OtherProcess, payer: Subscribe
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    behind = Transactions(payment.pool, payment.outbox, lambda: utc_now() - timedelta(hours=1))

    async def claimed(transaction: Transaction) -> bool:
        await other.handle(transaction, renewal.refund())
        lasts = "select due_at > clock_timestamp() from payments where renewal_id = $1"
        return bool(await transaction.connection.fetchval(lasts, renewal.renewal_id))

    assert await behind.run(claimed)
    await hear(payment, PaymentRefunded, renewal)


async def test_rows_that_found_no_worker_are_claimed_by_polling(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    async def none_free(wanted: int, _wait_seconds: float = 0.0) -> int:
        return 0

    other.worker.room = none_free  # type: ignore[method-assign]
    other.worker.calls.append(cast(Call, None))
    renewal = await payer()
    assert await other.consume(renewal.priced()) is None
    await hear(payment, PaymentCaptured, renewal)
    assert psp.effects(renewal) == ["captured"]


def _outcome(call: Call, kind: Kind) -> Outcome:
    return Outcome(
        call.renewal_id,
        kind,
        utc_now(),
        call.operation,
        call.ordinal,
        call.claim,
        call.gateway,
        code="generic_decline",
    )
