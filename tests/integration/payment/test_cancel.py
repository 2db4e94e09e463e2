"""Cancelling: before anything, in the middle, too late; and money that turns up afterwards."""

from datetime import timedelta

from services.payment import metrics, store
from services.payment.authority import Authority
from services.payment.calls import Calls
from services.payment.domain.payment import Patience
from shared.clock import utc_now
from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    SurplusRefunded,
)
from tests.integration.payment.conftest import (
    PRICE,
    PspJournal,
    Renewal,
    Subscribe,
    at_rest,
    books_balance,
    hear,
    lines,
    long_ago,
    row,
    said,
)
from tests.integration.sandboxed import until
from tests.integration.wired import Wired


async def test_a_cancellation_that_overtakes_the_price_leaves_a_tombstone(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.cancel())
    first = await hear(payment, PaymentCancelled, renewal)
    assert (first.reason, first.unresolved) == ("customer_cancelled", False)

    await payment.consume("commands", renewal.priced(), renewal.capture(2), renewal.cancel())
    assert set(said(payment, PaymentCancelled, renewal)) == {first}
    assert psp.requests(renewal, "create_intent") == []


async def test_price_and_cancellation_in_one_batch_cancel_without_a_charge(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer()
    await payment.consume("commands", renewal.priced(), renewal.cancel())
    await hear(payment, PaymentCancelled, renewal)
    assert (await at_rest(payment, renewal))["state"] == "cancelled"
    assert psp.requests(renewal, "confirm_intent") == []
    assert said(payment, PaymentCaptured, renewal) == []


async def test_a_declined_payment_is_cancelled_at_the_psp_so_that_nothing_can_come_late(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_decline_generic")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentDeclined, renewal)
    await payment.consume("commands", renewal.cancel())
    await hear(payment, PaymentCancelled, renewal)
    assert psp.effects(renewal) == ["cancelled"]


async def test_an_abandoned_authentication_is_cancelled_at_the_psp(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_sca")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentActionRequired, renewal)
    await payment.consume("commands", renewal.cancel())
    await hear(payment, PaymentCancelled, renewal)
    assert psp.effects(renewal) == ["cancelled"]


async def test_a_cancellation_waits_for_the_call_under_way_and_then_calls_it_off(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_timeout_late")
    await payment.consume("commands", renewal.priced())
    await until(lambda: psp.requests(renewal, "confirm_intent"))
    await payment.consume("commands", renewal.cancel())
    assert said(payment, PaymentCancelled, renewal) == []

    cancelled = await hear(payment, PaymentCancelled, renewal)
    assert cancelled.unresolved is False
    assert psp.effects(renewal) == ["cancelled"]
    assert said(payment, PaymentCaptured, renewal) == []


async def test_a_capture_that_beat_the_cancellation_is_published_as_past(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_timeout_after")
    await payment.consume("commands", renewal.priced())
    await until(lambda: psp.requests(renewal, "confirm_intent"))
    await payment.consume("commands", renewal.cancel())

    captured = await hear(payment, PaymentCaptured, renewal)
    assert captured.act_before < long_ago()
    assert said(payment, PaymentCancelled, renewal) == []
    assert psp.effects(renewal) == ["captured"]
    await payment.consume("commands", renewal.cancel())
    assert said(payment, PaymentCaptured, renewal) == [captured, captured]


async def test_a_capture_still_unknown_at_the_deadline_is_unresolved_and_its_money_goes_back_when_found(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_timeout_late")
    await payment.consume("commands", renewal.priced())
    await until(lambda: psp.requests(renewal, "confirm_intent"))
    psp.fault("cancel_intent", "server_error")
    await payment.consume("commands", renewal.cancel())
    cancelled = await hear(payment, PaymentCancelled, renewal)
    assert cancelled.unresolved is True

    psp.well()
    surplus = await hear(payment, SurplusRefunded, renewal)
    assert (surplus.amount_minor, surplus.ordinal) == (PRICE, 1)
    assert psp.effects(renewal) == ["captured", "refunded"]
    assert await lines(payment, renewal) == {
        ("surplus_found", "psp:sandbox", "surplus", PRICE),
        ("surplus_refund", "surplus", "psp:sandbox", PRICE),
    }
    assert said(payment, PaymentCaptured, renewal) == []
    assert (await at_rest(payment, renewal))["decision"] == "cancelled"
    assert await books_balance(payment)


async def test_those_who_watch_see_how_long_a_surplus_is_overdue_until_it_is_back(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_timeout_late")
    await payment.consume("commands", renewal.priced())
    await until(lambda: psp.requests(renewal, "confirm_intent"))
    psp.fault("cancel_intent", "server_error")
    await payment.consume("commands", renewal.cancel())
    await hear(payment, PaymentCancelled, renewal)
    psp.well()
    psp.fault("create_refund", "server_error")
    await until(lambda: sends_surplus_back(payment, renewal))
    await payment.pool.execute(
        "update payments set resolve_before = now() - interval '25 hours' where renewal_id = $1::uuid",
        renewal.renewal_id,
    )
    assert 25 * 3600 <= await surplus_is_overdue(payment) < 25 * 3600 + 60

    psp.well()
    await payment.pool.execute(
        "update payments set due_at = now() where renewal_id = $1::uuid", renewal.renewal_id
    )
    await hear(payment, SurplusRefunded, renewal)
    assert await surplus_is_overdue(payment) == 0


async def sends_surplus_back(payment: Wired, renewal: Renewal) -> bool:
    return bool((await row(payment, renewal))["operation"] == "surplus")


async def surplus_is_overdue(payment: Wired) -> float:
    """What the gauge of the oldest surplus shows when the worker measures, in seconds."""
    lease = store.Lease(timedelta(seconds=1), timedelta(seconds=1))
    calls = Calls({}, Authority(Patience(), lease), lease, utc_now)
    async with payment.pool.acquire() as connection:
        await calls.queued(connection)
    [sample] = next(iter(metrics.SURPLUS_OLDEST.collect())).samples
    return sample.value


async def test_a_late_cancellation_starts_nothing(payment: Wired, psp: PspJournal, payer: Subscribe) -> None:
    renewal = await payer("tok_decline_generic")
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentDeclined, renewal)
    await payment.consume("commands", renewal.cancel(late=True))
    assert (await row(payment, renewal))["state"] == "refused"
    assert psp.effects(renewal) == []


async def test_an_operator_settles_what_cannot_be_learned(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_processing_fails_always")
    psp.fault("get_intent", "server_error")
    await payment.consume("commands", renewal.priced())
    await until(lambda: psp.requests(renewal, "confirm_intent"))
    await until(lambda: _is_unknown(payment, renewal))
    await payment.consume("commands", renewal.cancel())
    await payment.consume("commands", renewal.resolve("not_captured"))
    await hear(payment, PaymentCancelled, renewal)
    assert (await at_rest(payment, renewal))["decision"] == "cancelled"


async def test_an_object_that_takes_money_after_operators_said_it_took_none_gives_it_back(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await payer("tok_timeout_late")
    await payment.consume("commands", renewal.priced())
    await until(lambda: psp.requests(renewal, "confirm_intent"))
    psp.fault("cancel_intent", "server_error")
    await payment.consume("commands", renewal.cancel(), renewal.resolve("not_captured"))
    cancelled = await hear(payment, PaymentCancelled, renewal)
    assert cancelled.unresolved is False, "their word decides"
    assert (await row(payment, renewal))["operation"] == "void", "and the object is cancelled all the same"
    await until(lambda: psp.effects(renewal) == ["captured"])

    psp.well()
    surplus = await hear(payment, SurplusRefunded, renewal)
    assert surplus.amount_minor == PRICE
    assert (await at_rest(payment, renewal))["decision"] == "cancelled"
    assert psp.effects(renewal) == ["captured", "refunded"]
    assert said(payment, PaymentCancelled, renewal) == [cancelled]
    assert await books_balance(payment)


async def _is_unknown(payment: Wired, renewal: object) -> bool:
    return bool((await row(payment, renewal))["call_status"] == "unknown")  # type: ignore[arg-type]
