"""The networks' caps on real tables: counted once, across renewals and methods, by one batch at a time."""

import asyncio
from uuid import uuid4

import pytest

from services.payment.domain.decline_codes import (
    CARD_BEING_TRIED,
    CARD_REFUSED_FOR_GOOD,
    NETWORK_CAP_REACHED,
)
from services.payment.domain.network_caps import FOR_EVER, MOST_DECLINES
from services.payment.domain.outcome import Kind, Outcome
from shared.clock import utc_now
from shared.contracts.payments import PaymentCaptured, PaymentDeclined
from tests.integration.payment.conftest import PspJournal, Renewal, Subscribe, at_rest, hear, said
from tests.integration.payment.other_process import OtherProcess
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


async def refused_for_good(payment: Wired, payer: Subscribe) -> Renewal:
    """A renewal whose card is, as was found, never to be tried again; a good one stands behind it."""
    first = await visa(payment, payer, "tok_decline_stolen_card")
    await payment.consume("commands", first.priced())
    await hear(payment, PaymentDeclined, first)
    return first


async def test_a_card_that_was_refused_for_good_is_sent_by_no_later_renewal(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    first = await refused_for_good(payment, payer)
    for later in (again(first), again(first)):
        await payment.consume("commands", later.priced())
        [answer] = said(payment, PaymentDeclined, later)
        assert (answer.decline_code, answer.decline_class) == (CARD_REFUSED_FOR_GOOD, "hard")
        assert psp.requests(later, "create_intent") == psp.requests(later, "confirm_intent") == []
    await payment.consume("commands", later.capture(2, later.methods[1]))
    await hear(payment, PaymentCaptured, later)


async def test_a_refusal_for_good_is_not_forgotten_for_a_later_decline_of_another_kind(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    first = await visa(payment, payer, "tok_decline_stolen_card", declined=MOST_DECLINES, days_ago=40)
    await other.consume(first.priced(), again(first).priced())
    for call, code in zip(other.worker.calls, ("stolen_card", "do_not_honor"), strict=True):
        at, ordinal, claim = utc_now(), call.ordinal, call.claim
        await other.record(
            Outcome(call.renewal_id, Kind.DECLINED, at, call.operation, ordinal, claim, "sandbox", code=code)
        )
    kept = await payment.pool.fetchval(
        "select declined_at from payment_methods where payment_method_id = $1", first.methods[0]
    )
    assert (len(kept), kept[0], kept.count(FOR_EVER)) == (MOST_DECLINES, FOR_EVER, 1)


async def test_a_refusal_for_good_stands_under_every_name_of_the_card_until_it_is_another(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    first = await refused_for_good(payment, payer)
    token = await payment.pool.fetchval(
        "select token from payment_methods where payment_method_id = $1", first.methods[0]
    )
    alias = await payer(token)
    await payment.consume("commands", alias.priced())
    assert said(payment, PaymentDeclined, alias)[0].decline_code == CARD_REFUSED_FOR_GOOD
    body = {"payer_id": first.payer_id, "kind": "card", "token": f"tok_ok_{uuid4().hex[:8]}"}
    await payment.request("PUT", f"/v1/payment-methods/{first.methods[0]}", body)
    await payment.consume("commands", (replaced := again(first)).priced())
    await hear(payment, PaymentCaptured, replaced)


async def test_of_a_fleet_on_one_stolen_card_nothing_is_sent_once_its_network_said_so(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    first = await visa(payment, payer, "tok_decline_stolen_card")
    fleet = [again(first) for _ in range(100)]
    await other.consume(first.priced(), *(renewal.priced() for renewal in fleet))
    asked, *waiting = sorted(other.worker.calls, key=lambda call: call.renewal_id != first.renewal_id)
    declined = await other.calls.call(await other.confirmable(asked))
    assert isinstance(declined, Outcome)
    assert declined.code == "stolen_card"
    # Nothing of that is written yet, and all of them were claimed before.
    made = [await other.calls.call(call) for call in waiting]
    await other.record(declined, *made)
    for renewal in fleet:
        answer = await hear(payment, PaymentDeclined, renewal)
        assert (answer.decline_code, answer.decline_class) == (CARD_REFUSED_FOR_GOOD, "hard")
        assert psp.requests(renewal, "create_intent") == psp.requests(renewal, "confirm_intent") == []


async def test_a_call_that_is_taken_over_is_judged_by_what_its_card_is_by_then(
    payment: Wired, other: OtherProcess, psp: PspJournal, payer: Subscribe
) -> None:
    first = await visa(payment, payer, "tok_decline_stolen_card")
    left_behind = again(first)
    await other.consume(left_behind.priced())
    await payment.consume("commands", first.priced())
    await hear(payment, PaymentDeclined, first)
    answer = await hear(payment, PaymentDeclined, left_behind)
    assert answer.decline_code == CARD_REFUSED_FOR_GOOD
    assert psp.requests(left_behind, "create_intent") == psp.requests(left_behind, "confirm_intent") == []
    await payment.consume("commands", left_behind.capture(2, left_behind.methods[1]))
    await hear(payment, PaymentCaptured, left_behind)


async def test_ten_declines_of_a_mastercard_within_a_day_are_enough_and_tomorrow_there_are_more(
    payment: Wired, psp: PspJournal, payer: Subscribe
) -> None:
    today = await visa(payment, payer, "tok_ok", declined=10, days_ago=0)
    await name_network(payment, today.methods[0], "mastercard")
    await payment.consume("commands", today.priced())
    assert said(payment, PaymentDeclined, today)[0].decline_code == NETWORK_CAP_REACHED
    yesterday = await visa(payment, payer, "tok_ok", declined=10, days_ago=1)
    await name_network(payment, yesterday.methods[0], "mastercard")
    await payment.consume("commands", yesterday.priced())
    await hear(payment, PaymentCaptured, yesterday)


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
