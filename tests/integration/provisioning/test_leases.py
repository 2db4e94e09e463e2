"""A process that dies, or falls behind, between claiming an attempt and writing down what it learned."""

import math
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from typing import cast

import pytest

from services.provisioning import settings
from services.provisioning.topups.calls import Outcome, TopUpCalls, TopUpWorker
from services.provisioning.topups.decisions import Job
from services.provisioning.topups.domain.attempt import Capabilities
from services.provisioning.topups.domain.findings import Finding
from services.provisioning.topups.gateways.carrier import Carriers, Connected
from services.provisioning.topups.gateways.sandbox import SandboxCarrier
from services.provisioning.topups.handlers import TopUpInstructions
from shared.calls.http_client import open_client
from shared.clock import utc_now
from shared.contracts.message import Message
from shared.contracts.topups import TopUpApplied, TopUpAttemptFailed, TopUpCancelled
from shared.messaging.transaction import Transaction, Transactions
from tests.integration.at_once import at_once, consuming
from tests.integration.provisioning.conftest import Carrier, Subscribe
from tests.integration.provisioning.test_top_ups import TOP_UPS, final_answers, hear, said
from tests.integration.sandboxed import until
from tests.integration.wired import Wired


class Doomed:
    """The worker of a process that is about to die: it takes jobs and never finishes them by itself."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def room(self, wanted: int, _wait_seconds: float) -> int:
        return wanted

    def submit(self, jobs: Iterable[Job]) -> None:
        self.jobs += jobs


class OtherProcess:
    """A second provisioning process on the same database and carrier, moved by hand."""

    def __init__(self, told: settings.Settings, carriers: Carriers, provisioning: Wired) -> None:
        self.worker = Doomed()
        self.calls = TopUpCalls(carriers, told.patience)
        self._provisioning = provisioning
        self._handle = TopUpInstructions(cast(TopUpWorker, self.worker), carriers, told.patience)

    async def consume(self, *messages: Message) -> list[Job]:
        """Handle a batch; the jobs that this process then has the lease on."""
        await self._provisioning.transactions.run(lambda transaction: self.handle(transaction, *messages))
        return self.worker.jobs

    async def handle(self, transaction: Transaction, *messages: Message) -> None:
        """The same in a transaction of the test's own."""
        await self._handle(transaction, [self._provisioning.received(message) for message in messages])

    async def record(self, outcomes: Sequence[Outcome]) -> None:
        async def recorded(transaction: Transaction) -> None:
            await self.calls.record(transaction, outcomes)

        await self._provisioning.transactions.run(recorded)


@pytest.fixture
async def other(told: settings.Settings, provisioning: Wired) -> AsyncIterator[OtherProcess]:
    client = open_client(str(told.carrier_url), timeout_seconds=0.4, connections=2)
    full = Connected(SandboxCarrier(client), Capabilities())
    yield OtherProcess(told, Carriers({}, full), provisioning)
    await client.close()


async def test_an_attempt_that_died_before_its_call_is_made_by_another_process(
    provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe()).captured()
    await other.consume(captured)

    applied = await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert applied.cycle == 1
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_an_attempt_that_died_after_its_call_is_not_applied_twice(
    provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe()).captured()
    [job] = await other.consume(captured)
    made = await other.calls.call(job)
    assert made.finding.kind == "applied"

    await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert carrier.effects(captured.renewal_id) == ["applied"]
    assert carrier.keys(captured.renewal_id) == {str(job.key)}


async def test_bad_news_of_a_lost_lease_is_dropped(
    provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe("70")).captured()
    [job] = await other.consume(captured)
    await until(lambda: carrier.keys(captured.renewal_id))

    await other.record([Outcome(job, Finding("refused", "no_connection", reached_provider=False))])

    applied = await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert said(provisioning, TopUpAttemptFailed, captured.renewal_id) == []
    assert final_answers(provisioning, captured.renewal_id) == {f"TopUpApplied v{applied.version}"}


async def test_good_news_of_a_lost_lease_is_recorded(
    provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe("20")).captured()
    [job] = await other.consume(captured)
    failed = await hear(provisioning, TopUpAttemptFailed, captured.renewal_id)

    await other.record([Outcome(job, Finding("applied", provider_reference="tu_late"))])

    applied = await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert applied.version > failed.version
    assert applied.expires_at - applied.applied_at == timedelta(seconds=captured.grant.validity_seconds)


async def test_an_answer_that_comes_at_the_same_time_as_a_cancellation_does_not_undo_it(
    provisioning: Wired, other: OtherProcess, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = subscriber.captured()
    [job] = await other.consume(captured)
    failed = Outcome(job, Finding("failed", "came_to_nothing"))

    await at_once(
        provisioning,
        consuming(provisioning, TOP_UPS, subscriber.cancel(captured.renewal_id)),
        lambda transaction: other.calls.record(transaction, [failed]),
    )

    await hear(provisioning, TopUpCancelled, captured.renewal_id)
    assert said(provisioning, TopUpAttemptFailed, captured.renewal_id) == []


async def test_a_request_is_not_written_after_its_send_window(
    provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe()).captured()
    [job] = await other.consume(captured)
    job.send_by = 0.0

    late = await other.calls.call(job)
    assert late.finding.kind == "late"
    assert carrier.keys(captured.renewal_id) == set()

    await other.record([late])
    await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert carrier.effects(captured.renewal_id) == ["applied"]


@pytest.mark.parametrize("skew", [timedelta(hours=-1), timedelta(seconds=30)], ids=["behind", "ahead"])
async def test_a_lease_counts_on_the_databases_clock_whichever_its_process_has(
    skew: timedelta, provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe()).captured()
    skewed = Transactions(provisioning.pool, provisioning.outbox, lambda: utc_now() + skew)

    async def taken_twice(transaction: Transaction) -> bool:
        await other.handle(transaction, captured)
        claimed = await other.calls.claim(transaction.connection, 100, {})
        return captured.renewal_id in {job.order.renewal_id for job in claimed.due}

    assert not await skewed.run(taken_twice)
    # The process dies with its lease, and the lease ends.
    await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_what_was_looked_for_in_vain_is_called_off_before_the_next_try_is_given_up(
    provisioning: Wired, other: OtherProcess, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = subscriber.captured()
    [job] = await other.consume(captured)
    # The request lies unread at a carrier that stands still: for now there is nothing to be found.
    await other.record(
        [Outcome(job, Finding("not_found", "not_found", asked_at=utc_now() + timedelta(seconds=5)))]
    )
    failed = await hear(provisioning, TopUpAttemptFailed, captured.renewal_id)
    assert failed.reason == "not_found"

    await provisioning.consume(TOP_UPS, subscriber.apply(captured, 2), subscriber.cancel(captured.renewal_id))
    await hear(provisioning, TopUpCancelled, captured.renewal_id)

    job.send_by = math.inf
    read_at_last = await other.calls.call(job)
    assert read_at_last.finding.kind == "called_off"
    assert carrier.effects(captured.renewal_id) == ["topup_cancelled"]
