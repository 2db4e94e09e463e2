"""Facts come in as batches: renewals move, history is written, 200 cost as many trips as one."""

from collections.abc import Sequence
from itertools import permutations
from uuid import uuid4

import pytest

from services.renewal import store
from shared.contracts.message import Message
from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment
from shared.contracts.renewals import RenewalCompleted, RenewalFailed, RenewalRefunded, RenewalRequested
from shared.contracts.topups import TopUpApplied
from shared.messaging.transaction import Transaction
from tests.integration.renewal.conftest import About, begun, known, row
from tests.integration.wired import Wired

UPDATES = """select n_tup_upd, n_tup_hot_upd from pg_stat_xact_user_tables
    where relname = 'renewals' and schemaname = current_schema()"""


def of(messages: list, about: About) -> list:  # type: ignore[type-arg]
    return [message for message in messages if message.renewal_id == about.renewal_id]


async def test_a_renewal_completes_and_its_history_tells_how(renewal: Wired) -> None:
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("saga", about.priced())
    await renewal.consume("saga", about.captured())
    await renewal.consume("saga", about.applied())
    found = await row(renewal, about.renewal_id)
    assert (found["state"], found["version"], found["top_up_cycle"]) == ("completed", 4, 1)
    async with renewal.pool.acquire() as connection:
        history = await store.read_history(connection, about.renewal_id)
    assert [(line.version, line.message, line.from_state, line.to_state) for line in history] == [
        (1, "RequestRenewal", None, "requested"),
        (2, "RenewalPriced", "requested", "priced"),
        (3, "PaymentCaptured", "priced", "captured"),
        (4, "TopUpApplied", "captured", "completed"),
    ]
    [completed] = of(renewal.said(RenewalCompleted), about)
    assert (completed.amount_minor, completed.cycle, completed.terms) == (900, 1, about.terms)


async def test_one_batch_may_hold_the_whole_way_in_any_order(renewal: Wired) -> None:
    orders = list(permutations(("priced", "captured", "applied")))
    people = await known(renewal, len(orders))
    abouts = await begun(renewal, *people)
    batch = [getattr(about, name)() for about, order in zip(abouts, orders, strict=True) for name in order]
    await renewal.consume("saga", *batch)
    await renewal.consume("saga", *reversed(batch))
    for about in abouts:
        found = await row(renewal, about.renewal_id)
        assert (found["state"], found["version"]) == ("completed", 4)
        assert len(of(renewal.said(RenewalCompleted), about)) == 1


async def test_a_decline_fails_only_after_the_payment_is_cancelled(renewal: Wired) -> None:
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("saga", about.priced(), about.declined())
    [second] = of(renewal.said(CapturePayment), about)
    assert (second.payment_method_id, second.attempt) == (one.cards[1], 2)
    await renewal.consume("saga", about.declined(attempt=2))
    assert (await row(renewal, about.renewal_id))["state"] == "cancelling_payment"
    assert len(of(renewal.said(CancelPayment), about)) == 1
    await renewal.consume("saga", about.payment_cancelled())
    [failed] = of(renewal.said(RenewalFailed), about)
    assert failed.reason == "declined_hard"


async def test_a_rejected_top_up_is_refunded(renewal: Wired) -> None:
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("saga", about.top_up_rejected(), about.captured(), about.priced())
    assert len(of(renewal.said(RefundPayment), about)) == 1
    await renewal.consume("saga", about.refunded())
    [refunded] = of(renewal.said(RenewalRefunded), about)
    assert refunded.amount_minor == 900


async def test_a_batch_of_two_hundred_takes_as_many_statements_as_one(renewal: Wired) -> None:
    people = await known(renewal, 201)
    await renewal.pool.expire_connections()  # the driver asks a new one for its types: that is not counted
    await renewal.consume("admission", people[0].request())
    of_one = {"admission": list(renewal.statements)}
    await renewal.consume("admission", *(one.request() for one in people[1:]))
    assert renewal.statements == of_one["admission"]
    announced = {said.subscription_id: About(said) for said in renewal.said(RenewalRequested)}
    abouts = [announced[one.subscription_id] for one in people]
    for step in ("priced", "captured", "applied"):
        await renewal.consume("saga", getattr(abouts[0], step)())
        of_one[step] = list(renewal.statements)
        await renewal.consume("saga", *(getattr(about, step)() for about in abouts[1:]))
        assert renewal.statements == of_one[step], step
    # Read and insert; lock and save; and once something closes, the triggers that were kept for its slot.
    assert [len(of_one[name]) for name in ("admission", "priced", "captured", "applied")] == [2, 2, 2, 3]


async def test_moving_between_open_states_touches_no_index(renewal: Wired) -> None:
    people = await known(renewal, 100)
    abouts = await begun(renewal, *people)

    async def moved(messages: Sequence[Message]) -> tuple[int, int]:
        """How many rows of the batch were updated, and how many of them in no index.

        Asked of the batch's own transaction: the table's statistics come late, and count what the service's
        timers do meanwhile to the renewals of other tests.
        """
        batch = [renewal.received(message) for message in messages]

        async def handle(transaction: Transaction) -> tuple[int, int]:
            [before] = await transaction.connection.fetch(UPDATES)
            await renewal.consumer("saga").handle(transaction, batch)  # type: ignore[arg-type, call-arg]
            [after] = await transaction.connection.fetch(UPDATES)
            return after[0] - before[0], after[1] - before[1]

        return await renewal.transactions.run(handle)

    # One move each: a page has room for that, further ones need pruning, which waits for every old snapshot.
    for moves in ([about.priced() for about in abouts[:50]], [about.captured() for about in abouts[50:]]):
        updated, in_no_index = await moved(moves)
        assert updated == 50
        assert in_no_index > 0.85 * updated


async def test_an_event_about_an_unknown_renewal_is_kept_once(renewal: Wired) -> None:
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    stranger: TopUpApplied = about.applied().model_copy(update={"renewal_id": uuid4()})
    await renewal.consume("saga", stranger, about.priced(), stranger)
    await renewal.consume("saga", stranger)
    kept = await renewal.pool.fetch("select * from orphans where renewal_id = $1", stranger.renewal_id)
    assert len(kept) == 1
    assert TopUpApplied.model_validate_json(kept[0]["payload"]) == stranger
    assert (await row(renewal, about.renewal_id))["state"] == "priced"


@pytest.mark.parametrize("times", [2, 5])
async def test_a_batch_that_comes_again_changes_nothing(renewal: Wired, times: int) -> None:
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    batch = [about.priced(), about.captured(), about.undetermined()]
    for _ in range(times):
        await renewal.consume("saga", *batch)
    found = await row(renewal, about.renewal_id)
    assert (found["state"], found["version"]) == ("parked", 4)
