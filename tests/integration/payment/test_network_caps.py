"""The networks' caps on real tables: counted once, across renewals and methods, by one batch at a time."""

import asyncio
from uuid import uuid4

import pytest

from services.payment.domain.decline_codes import CARD_BEING_TRIED, NETWORK_CAP_REACHED
from services.payment.domain.network_caps import MOST_DECLINES
from shared.contracts.payments import PaymentCaptured, PaymentDeclined
from tests.integration.payment.conftest import PspJournal, Renewal, Subscribe, at_rest, hear, said
from tests.integration.sandboxed import until
from tests.integration.wired import Wired

VISA = 15


async def visa(payment: Wired, payer: Subscribe, token: str, declined: int = 0, days_ago: int = 1) -> Renewal:
    """To be paid with a Visa card of its own, declined so often so long ago; a good card stands behind it."""
    renewal = await payer(f"{token}_{uuid4().hex[:8]}", f"tok_ok_{uuid4().hex[:8]}")
    await name_network(payment, renewal.methods[0])
    await payment.pool.execute(
        "update payment_methods set declined_at ="
        " array_fill(now() - make_interval(days => $3), array[$2::int])"
        " where payment_method_id = $1 and $2 > 0",
        renewal.methods[0],
        declined,
        days_ago,
    )
    return renewal


async def name_network(payment: Wired, method: str, network: str = "visa") -> None:
    found = await payment.pool.fetchrow("select * from payment_methods where payment_method_id = $1", method)
    assert found is not None
    body = {"payer_id": found["payer_id"], "kind": "card", "token": found["token"], "network": network}
    reply = await payment.request("PUT", f"/v1/payment-methods/{method}", body)
    assert (reply.status, reply.body["network"]) == (200, network)


def again(renewal: Renewal) -> Renewal:
    """Another renewal of the same payer."""
    return Renewal(renewal.methods, renewal.payer_id)


async def declines(payment: Wired, renewal: Renewal) -> int:
    """How many declines of the renewal's first card are counted."""
    found: int | None = await payment.pool.fetchval(
        "select cardinality(declined_at) from payment_methods where payment_method_id = $1",
        renewal.methods[0],
    )
    return found or 0


async def test_a_decline_is_counted_once_and_a_capture_not_at_all(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    declined = await visa(payment, payer, "tok_decline_do_not_honor")
    await payment.consume("commands", declined.priced())
    await hear(payment, PaymentDeclined, declined)
    await payment.consume("commands", declined.priced())
    assert await declines(payment, declined) == 1
    paid = await visa(payment, payer, "tok_ok")
    await payment.consume("commands", paid.priced())
    await hear(payment, PaymentCaptured, paid)
    assert await declines(payment, paid) == 0


async def test_the_last_try_is_made_and_the_next_one_is_not(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    last = await visa(payment, payer, "tok_decline_do_not_honor", declined=VISA - 1)
    await payment.consume("commands", last.priced())
    await hear(payment, PaymentDeclined, last)
    assert len(psp.requests(last, "confirm_intent")) == 1
    beyond = again(last)
    await payment.consume("commands", beyond.priced())
    [answer] = said(payment, PaymentDeclined, beyond)
    assert (answer.decline_code, answer.decline_class) == (NETWORK_CAP_REACHED, "hard")
    assert psp.requests(beyond, "create_intent") == psp.requests(beyond, "confirm_intent") == []
    await payment.consume("commands", beyond.capture(2, beyond.methods[1]))
    await hear(payment, PaymentCaptured, beyond)


async def test_a_card_may_be_tried_again_when_its_declines_are_long_ago(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await visa(payment, payer, "tok_ok", declined=VISA, days_ago=30)
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)
    refused = await visa(payment, payer, "tok_ok", declined=VISA, days_ago=29)
    await payment.consume("commands", refused.priced())
    assert said(payment, PaymentDeclined, refused)


async def test_of_two_payments_in_one_batch_only_one_takes_the_last_try(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    first = await visa(payment, payer, "tok_decline_do_not_honor", declined=VISA - 1)
    second = again(first)
    await payment.consume("commands", first.priced(), second.priced())
    [waiting] = said(payment, PaymentDeclined, second)
    assert (waiting.decline_code, waiting.decline_class) == (CARD_BEING_TRIED, "soft")
    await hear(payment, PaymentDeclined, first)
    assert psp.requests(second, "confirm_intent") == []
    assert await declines(payment, first) == VISA


async def test_of_two_batches_at_once_only_one_takes_the_last_try(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    first = await visa(payment, payer, "tok_timeout_after", declined=VISA - 1)
    several = [first, *(again(first) for _ in range(5))]
    psp.fault("confirm_intent", "timeout_before", count=1)
    await asyncio.gather(*(payment.consume("commands", renewal.priced()) for renewal in several))
    refused = [renewal for renewal in several if said(payment, PaymentDeclined, renewal)]
    assert len(refused) == len(several) - 1
    assert {said(payment, PaymentDeclined, one)[0].decline_code for one in refused} == {CARD_BEING_TRIED}
    [tried] = [renewal for renewal in several if renewal not in refused]
    await hear(payment, PaymentCaptured, tried)
    # It worked: the try is free again.
    await payment.consume("commands", refused[0].capture(2))
    await hear(payment, PaymentCaptured, refused[0])


async def test_a_batch_waits_for_another_that_decides_about_the_same_card(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    first = await visa(payment, payer, "tok_timeout_after", declined=VISA - 1)
    second = again(first)

    async def is_waiting() -> bool:
        found: bool = await payment.pool.fetchval(
            "select exists(select from pg_stat_activity"
            " where usename = current_user and wait_event_type = 'Lock')"
        )
        return found

    psp.fault("confirm_intent", "timeout_before", count=1)
    async with payment.transactions.begin() as transaction:
        handle = payment.consumer("commands").handle
        await handle(transaction, [payment.received(first.priced())])  # type: ignore[arg-type, call-arg]
        coming = asyncio.create_task(payment.consume("commands", second.priced()))
        await until(is_waiting)
        assert not coming.done()
    await coming
    assert said(payment, PaymentDeclined, second)[0].decline_code == CARD_BEING_TRIED
    await hear(payment, PaymentCaptured, first)


async def test_a_card_has_one_count_whatever_its_methods_are_called(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await visa(payment, payer, "tok_ok", declined=VISA)
    token = await payment.pool.fetchval(
        "select token from payment_methods where payment_method_id = $1", renewal.methods[0]
    )
    alias = await payer(token)
    await name_network(payment, alias.methods[0])
    await payment.consume("commands", alias.priced())
    assert said(payment, PaymentDeclined, alias)[0].decline_code == NETWORK_CAP_REACHED
    # Nor does it help to take it away and bring it again.
    await payment.request("DELETE", f"/v1/payment-methods/{alias.methods[0]}")
    body = {"payer_id": alias.payer_id, "kind": "card", "token": token, "network": "visa"}
    await payment.request("PUT", f"/v1/payment-methods/{alias.methods[0]}", body)
    await payment.consume("commands", (once_more := again(alias)).priced())
    assert said(payment, PaymentDeclined, once_more)[0].decline_code == NETWORK_CAP_REACHED
    # Another card under the same name begins anew.
    body = {"payer_id": renewal.payer_id, "kind": "card", "token": f"tok_ok_{uuid4().hex[:8]}"}
    await payment.request("PUT", f"/v1/payment-methods/{renewal.methods[0]}", body)
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentCaptured, renewal)


async def test_a_card_without_declines_pays_for_any_number_at_once(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    first = await visa(payment, payer, "tok_ok")
    fleet = [first, *(again(first) for _ in range(3 * VISA))]
    await payment.consume("commands", *(renewal.priced() for renewal in fleet))
    for renewal in fleet:
        await hear(payment, PaymentCaptured, renewal)


@pytest.mark.parametrize(("declined", "statements"), [(0, 2), (7, 2), (8, 4), (VISA, 4)])
async def test_only_a_card_near_its_cap_costs_statements(
    payment: Wired, psp: PspJournal, payer: Subscribe, declined: int, statements: int
) -> None:
    renewal = await visa(payment, payer, "tok_ok", declined=declined)
    others = [again(renewal) for _ in range(20)]
    await payment.consume("commands", *(one.priced() for one in (renewal, *others)))
    assert len(payment.statements) == statements
    for one in (renewal, *others):
        await at_rest(payment, one)


async def test_a_decline_counts_under_every_name_of_the_card_at_once(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    token = f"tok_decline_do_not_honor_{uuid4().hex[:8]}"
    first, alias = await payer(token), await payer(token)
    await payment.consume("commands", first.priced(), alias.priced())
    for renewal in (first, alias):
        await hear(payment, PaymentDeclined, renewal)
    assert [await declines(payment, renewal) for renewal in (first, alias)] == [2, 2]
    later = await payer(token)
    assert await declines(payment, later) == 2, "a name that is given later finds them"


async def test_no_more_declines_are_kept_than_any_cap_asks_about(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    renewal = await visa(payment, payer, "tok_decline_do_not_honor", declined=MOST_DECLINES, days_ago=40)
    await payment.consume("commands", renewal.priced())
    await hear(payment, PaymentDeclined, renewal)
    kept = await payment.pool.fetchval(
        "select declined_at from payment_methods where payment_method_id = $1", renewal.methods[0]
    )
    assert len(kept) == MOST_DECLINES
    assert kept[0] > kept[1], "the newest first, the oldest left out"


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "wallet", "network": "visa"},
        {"kind": "card", "token": "tok_ok", "network": "Visa"},
        {"kind": "card", "token": "tok_ok", "network": ""},
    ],
)
async def test_a_network_is_a_cards_and_in_small_letters(payment: Wired, body: dict[str, str]) -> None:
    reply = await payment.request("PUT", "/v1/payment-methods/card-x", {"payer_id": "payer-1"} | body)
    assert (reply.status, reply.problem) == (422, "invalid-request")
