"""One carrier is out of order, another is not: two processes, on one database, against real carriers.

Hundreds of renewals wait for the broken one. Nobody else waits, nothing is spent, and when it is back it sees
no more than its rate, people first.
"""

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from services.provisioning import settings, wiring
from shared.contracts.payments import PaymentCaptured
from shared.contracts.topups import TopUpApplied, TopUpAttemptFailed, TopUpCancelled, TopUpUndetermined
from tests.integration.provisioning.conftest import HASTY, Carrier, Subscribe, Subscriber
from tests.integration.provisioning.test_top_ups import TOP_UPS
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.sandboxed import until
from tests.integration.wired import Wired, wired
from tests.rates import busiest_second

CALLS_PER_SECOND = 50
BY_RULE, BY_PEOPLE = 240, 30
ELSEWHERE = 120
BATCH = 30
BROKEN: dict[str, Any] = {
    "calls_per_second": CALLS_PER_SECOND,
    "breaker_first_seconds": 0.2,
    "breaker_longest_seconds": 0.5,
    "recovery_step_seconds": 0.1,
}


@pytest.fixture(scope="module")
def north_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    running = Sandbox(tmp_path_factory.mktemp("north"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def told(database_url: str, sandbox: Sandbox, north_sandbox: Sandbox) -> settings.Settings:
    north = f"http://127.0.0.1:{north_sandbox.carrier.port}"
    return settings.Settings(
        database_url=database_url,
        carrier_url=f"http://127.0.0.1:{sandbox.carrier.port}",
        provisioning_carriers={"north": {"url": north, **BROKEN}},
        **HASTY | {
            "provisioning_send_window_seconds": 3.0,
            "provisioning_call_seconds": 2.0,
            "provisioning_lease_seconds": 6.0,
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
async def second(told: settings.Settings, database_url: str, kafka_bootstrap: str) -> AsyncIterator[Wired]:
    """Another process of the service."""
    async with wired(
        lambda transactions: wiring.build(told, transactions), database_url, kafka_bootstrap, "provisioning-2"
    ) as service:
        yield service


@pytest.fixture
def north(north_sandbox: Sandbox) -> Iterator[Carrier]:
    carrier = Carrier(north_sandbox.carrier, "reference")
    yield carrier
    carrier.well()


def by_rule(subscriber: Subscriber) -> PaymentCaptured:
    captured = subscriber.captured()
    return captured.model_copy(update={"terms": captured.terms.model_copy(update={"origin": "rule"})})


def in_bulk(subscriber: Subscriber) -> PaymentCaptured:
    captured = subscriber.captured()
    return captured.model_copy(update={"terms": captured.terms.model_copy(update={"is_bulk": True})})


async def handed_out(processes: Sequence[Wired], messages: Sequence[PaymentCaptured]) -> None:
    """Batch by batch, to each process in turn."""
    for number, start in enumerate(range(0, len(messages), BATCH)):
        await processes[number % len(processes)].consume(TOP_UPS, *messages[start : start + BATCH])


def applied(processes: Sequence[Wired]) -> set[UUID]:
    return {one.renewal_id for process in processes for one in process.said(TopUpApplied)}


async def states(provisioning: Wired, messages: Sequence[PaymentCaptured]) -> list[tuple[Any, ...]]:
    rows = await provisioning.pool.fetch(
        "select distinct state, attempt, ordinal from top_ups where renewal_id = any($1)",
        [one.renewal_id for one in messages],
    )
    return [tuple(row) for row in rows]


def ids(messages: Sequence[PaymentCaptured]) -> set[UUID]:
    return {one.renewal_id for one in messages}


async def all_of(count: Awaitable[int], wanted: int) -> bool:
    return await count == wanted


async def untouched(provisioning: Wired, messages: Sequence[PaymentCaptured]) -> int:
    """The place of the first for which nothing was ever sent."""
    rows = await provisioning.pool.fetch(
        "select renewal_id from top_ups where state = 'pending' and renewal_id = any($1)",
        [one.renewal_id for one in messages],
    )
    pending = {row[0] for row in rows}
    return next(place for place, one in enumerate(messages) if one.renewal_id in pending)


async def waiting(provisioning: Wired) -> int:
    """How many attempts are in no process's hands, because the carrier takes none."""
    count: int = await provisioning.pool.fetchval(
        "select count(*) from top_up_attempts"
        " where lane = 'north' and queued_until = due_at and ended_at is null"
    )
    return count


def seen(carrier: Carrier) -> list[float]:
    """When each request for a top-up came, in seconds."""
    rows = [row for row in carrier.rows("request") if "topup" in row["operation"]]
    return [datetime.fromisoformat(row["at"]).timestamp() for row in rows]


async def test_an_outage_keeps_only_its_own_waiting_spends_nothing_and_ends_without_a_storm(
    provisioning: Wired, second: Wired, carrier: Carrier, north: Carrier, subscribe: Subscribe
) -> None:
    processes = (provisioning, second)
    rule, person, elsewhere = [await subscribe(carrier=name) for name in ("north", "north", "south")]
    bulk = [(by_rule, in_bulk)[number % 2](rule) for number in range(BY_RULE)]
    people = [person.captured() for _ in range(BY_PEOPLE)]
    others = [elsewhere.captured() for _ in range(ELSEWHERE)]
    stuck = [*bulk, *people]

    north.fault("*", "server_error")
    await handed_out(processes, [*bulk, *others, *people])
    await until(lambda: applied(processes) >= ids(others))
    await until(lambda: all_of(waiting(provisioning), len(stuck)))
    tried = len(seen(north))
    await until(lambda: len(seen(north)) >= tried + 6)
    assert applied(processes) == ids(others)

    # Who does not want to wait any longer need not.
    called_off = bulk[await untouched(provisioning, bulk)]
    await provisioning.consume(TOP_UPS, rule.cancel(called_off.renewal_id))
    assert [one.renewal_id for one in provisioning.said(TopUpCancelled)] == [called_off.renewal_id]
    stuck.remove(called_off)

    north.well()
    await until(lambda: applied(processes) >= ids(stuck))

    assert busiest_second(seen(north)) <= CALLS_PER_SECOND
    assert await states(provisioning, stuck) == [("applied", 1, 1)]
    for kind in (TopUpAttemptFailed, TopUpUndetermined):
        assert [one for process in processes for one in process.said(kind)] == []
    effects = [UUID(row["reference"]) for row in north.rows("effect") if row["effect"] == "applied"]
    assert sorted(effects) == sorted(one.renewal_id for one in stuck)
    assert carrier.effects(others[0].renewal_id) == ["applied"]
    places = [effects.index(one.renewal_id) for one in people]
    assert max(places) < 3 * BY_PEOPLE
    # One in four is another's, as long as both wait.
    assert sum(place < BY_PEOPLE for place in places) <= 0.9 * BY_PEOPLE
