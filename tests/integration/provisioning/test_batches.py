"""Batches: the number of statements, the numbers of cycles, and rows that are updated in place."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

from services.provisioning.topups.calls import Outcome
from shared.contracts.topups import TopUpApplied, TopUpCancelled
from shared.messaging.transaction import Transaction
from tests.integration.provisioning.conftest import Carrier, Subscribe
from tests.integration.provisioning.test_leases import OtherProcess, other
from tests.integration.provisioning.test_top_ups import TOP_UPS, hear
from tests.integration.sandboxed import until
from tests.integration.wired import Wired, noting

__all__ = ["other"]


async def test_a_batch_of_new_renewals_is_one_statement_whatever_its_size(
    provisioning: Wired, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    counts = []
    for size in (1, 200):
        await provisioning.consume(TOP_UPS, *(subscriber.captured() for _ in range(size)))
        counts.append(len(provisioning.statements))
    assert counts == [1, 1]


async def test_a_batch_of_known_renewals_takes_a_constant_number_of_statements(
    provisioning: Wired, other: OtherProcess, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    counts = []
    for size in (1, 200):
        held = [subscriber.captured(late=True) for _ in range(size)]
        await provisioning.consume(TOP_UPS, *held)
        await provisioning.consume(TOP_UPS, *(subscriber.apply(one, 1) for one in held))
        counts.append(len(provisioning.statements))
    # Lock, write, begin the attempts: a command is about a top-up that is there.
    assert counts == [3, 3]


async def test_outcomes_are_recorded_by_a_constant_number_of_statements(
    provisioning: Wired, other: OtherProcess, subscribe: Subscribe
) -> None:
    subscribers = [await subscribe() for _ in range(3)]
    counts = []
    for size in (1, 100):
        other.worker.jobs.clear()
        jobs = list(await other.consume(*(subscribers[n % 3].captured() for n in range(size))))
        outcomes = await asyncio.gather(*(other.calls.call(job) for job in jobs))
        statements: list[str] = []

        async def recorded(
            transaction: Transaction, outcomes: list[Outcome] = outcomes, statements: list[str] = statements
        ) -> None:
            with noting(transaction.connection, statements):
                await other.calls.record(transaction, outcomes)

        await provisioning.transactions.run(recorded)
        counts.append(len(statements))
    # Lock, write.
    assert counts == [2, 2]


async def test_the_top_ups_of_a_subscription_are_numbered_without_gap_or_double(
    provisioning: Wired, subscribe: Subscribe
) -> None:
    busy, quiet = await subscribe(), await subscribe()
    messages = [*(busy.captured() for _ in range(40)), quiet.captured()]
    await provisioning.consume(TOP_UPS, *messages)

    def cycles(subscription_id: str) -> list[int]:
        said = provisioning.said(TopUpApplied)
        return sorted(one.cycle for one in said if one.subscription_id == subscription_id)

    await until(lambda: len(cycles(busy.subscription_id)) == 40 and cycles(quiet.subscription_id))
    assert cycles(busy.subscription_id) == list(range(1, 41))
    assert cycles(quiet.subscription_id) == [1]
    shown = await provisioning.request("GET", f"/v1/subscriptions/{busy.subscription_id}")
    assert (shown.body["top_ups"], shown.body["version"]) == (40, 1)

    listed = await provisioning.request("GET", f"/v1/top-ups?subscription_id={busy.subscription_id}&limit=25")
    cursor = listed.body["next_cursor"]
    rest = await provisioning.request(
        "GET", f"/v1/top-ups?subscription_id={busy.subscription_id}&limit=25&cursor={cursor}"
    )
    seen = [one["renewal_id"] for page in (listed, rest) for one in page.body["items"]]
    assert len(set(seen)) == len(seen) == 40
    assert rest.body["next_cursor"] is None


async def test_one_batch_may_hold_every_kind_of_instruction(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    known, fresh, gone = subscriber.captured(), subscriber.captured(), uuid4()
    await provisioning.consume(TOP_UPS, known)
    await hear(provisioning, TopUpApplied, known.renewal_id)

    await provisioning.consume(TOP_UPS, fresh, known, subscriber.cancel(gone), subscriber.captured(gone))

    await hear(provisioning, TopUpApplied, fresh.renewal_id)
    await hear(provisioning, TopUpCancelled, gone)
    assert carrier.effects(known.renewal_id) == ["applied"]


async def test_a_decision_is_updated_in_place(provisioning: Wired, subscribe: Subscribe) -> None:
    subscriber = await subscribe()
    captured = [subscriber.captured() for _ in range(50)]
    for one in captured:
        await provisioning.consume(TOP_UPS, one)
        await hear(provisioning, TopUpApplied, one.renewal_id)

    async def hot_share() -> dict[str, float]:
        rows = await provisioning.pool.fetch(
            "select relname, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables"
            " where relid in ('top_ups'::regclass, 'subscriptions'::regclass) and n_tup_upd > 50"
        )
        return {row[0]: row[2] / row[1] for row in rows}

    shares = await until(lambda: _if_both(hot_share))
    assert min(shares.values()) > 0.8, shares


async def _if_both(hot_share: Callable[[], Awaitable[dict[str, float]]]) -> dict[str, float] | None:
    shares = await hot_share()
    return shares if len(shares) == 2 else None


async def test_what_is_called_off_in_the_batch_that_brings_it_is_said_again_as_the_same_event(
    provisioning: Wired, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = subscriber.captured()
    cancel = subscriber.cancel(captured.renewal_id)
    await provisioning.consume(TOP_UPS, captured, cancel)
    await provisioning.consume(TOP_UPS, cancel)
    said = [each for each in provisioning.said(TopUpCancelled) if each.renewal_id == captured.renewal_id]
    assert len(said) == 2
    assert len({each.event_id for each in said}) == 1
