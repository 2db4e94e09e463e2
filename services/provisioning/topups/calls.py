"""The calls to the carriers: one effectful request per attempt, outcomes in micro-batches."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from services.provisioning import metrics
from services.provisioning.topups import archive, decisions, store
from services.provisioning.topups.decisions import Decided, Job
from services.provisioning.topups.domain.attempt import (
    Attempt,
    Patience,
    idempotency_key,
    is_effectful,
    next_call,
)
from services.provisioning.topups.domain.findings import Finding, Known, Settled, settle
from services.provisioning.topups.gateways.carrier import Carriers
from services.provisioning.topups.store import AttemptRow, DueAttempt, HeldAttempt
from shared.calls.breaker import Sign
from shared.calls.calls import Claimed
from shared.calls.worker import CallWorker
from shared.database import Connection
from shared.messaging.transaction import Transaction
from shared.observability.logging import get_logger

_LATE = Finding("late", "send_window_closed")
_PUT_OFF = Finding("late", "waits_for_carrier")
_CANNOT_BE_ASKED = Finding("unknown", "cannot_be_asked")
_log = get_logger(__name__)


@dataclass(slots=True)
class Outcome:
    """A call that was made, and what it told. Where it `is_queued` it waits for its carrier."""

    job: Job
    finding: Finding
    is_queued: bool = False


TopUpWorker: TypeAlias = CallWorker[Job, Outcome]


class TopUpCalls:
    """What a CallWorker is told of the calls to the carriers (shared/calls/calls.py)."""

    def __init__(self, carriers: Carriers, patience: Patience) -> None:
        self._carriers = carriers
        self._patience = patience

    def gateway(self, job: Job) -> str:
        return self._carriers.lane(job.order.carrier)

    def is_urgent(self, job: Job) -> bool:
        return job.order.terms.is_awaited

    def sign(self, job: Job, outcome: Outcome) -> Sign:
        finding = outcome.finding
        if finding.is_outage:
            return Sign.FAILED
        was_asked = finding.kind != "late" and job.call != "nothing"
        return Sign.ANSWERED if was_asked else Sign.NOTHING

    def put_off(self, job: Job) -> Outcome:
        return Outcome(job, _PUT_OFF, is_queued=True)

    def excused(self, job: Job, outcome: Outcome) -> Outcome:
        return Outcome(job, outcome.finding._replace(excused=True), is_queued=True)

    async def queued(self, connection: Connection) -> Mapping[str, int]:
        return await store.count_queued(connection)

    async def call(self, job: Job) -> Outcome:
        """Ask the carrier once. The client's own deadline ends it, before the lease does."""
        finding = await self._ask(job)
        metrics.findings(job.call, finding.kind).inc()
        return Outcome(job, finding)

    async def _ask(self, job: Job) -> Finding:
        carrier = self._carriers[job.order.carrier].gateway
        if is_effectful(job.call) and asyncio.get_running_loop().time() >= job.send_by:
            return _LATE
        match job.call:
            case "apply":
                return await carrier.apply(job.order, job.key)
            case "cancel":
                return await carrier.cancel(job.order, job.key)
            case "find":
                return (await carrier.find(job.order))._replace(asked_at=job.claimed_at)
            case "look_up":
                return await carrier.look_up(job.order, job.provider_reference or "")
            case "nothing":
                return _CANNOT_BE_ASKED

    async def record(self, transaction: Transaction, outcomes: Sequence[Outcome]) -> Sequence[Job]:
        """Fold outcomes into their rows: lock, write, say. The jobs of attempts that begin come back."""
        sent_at = asyncio.get_running_loop().time()
        held = await archive.lock_attempts(
            transaction.connection, list({outcome.job.attempt_key for outcome in outcomes})
        )
        decided: dict[UUID, Decided] = {}
        for outcome in outcomes:
            row = held.get(outcome.job.attempt_key)
            if row is not None:
                self._settle(transaction, decided, row, outcome)
        return await decisions.write(
            transaction, list(decided.values()), self._patience, room=len(decided), sent_at=sent_at
        )

    def _settle(
        self, transaction: Transaction, decided: dict[UUID, Decided], row: HeldAttempt, outcome: Outcome
    ) -> None:
        job = outcome.job
        one = decided.get(job.order.renewal_id)
        if one is None:
            one = decided[job.order.renewal_id] = Decided(job.order, row.top_up, row.top_up)
        known = Known(self._carriers[job.order.carrier].can, self._patience, row.at)
        settled = settle(one.after, row.attempt, outcome.finding, job.claim, known)
        if settled.attempt is not row.attempt:
            lane = self.gateway(job) if outcome.is_queued and not settled.attempt.ended else None
            one.attempts[job.attempt_key] = _attempt_row(job, settled, lane)
            row.attempt = settled.attempt
        one.after = settled.top_up
        one.says = one.says or settled.says
        if settled.contradiction:
            transaction.after_commit(metrics.CONTRADICTED.inc)
            _log.error("top_up_applied_after_it_was_given_up", renewal_id=job.order.renewal_id)
        elif job.claim != settled.attempt.claim:
            transaction.after_commit(metrics.LEASES_LOST.inc)

    async def claim(self, connection: Connection, limit: int, wanted: Mapping[str, int]) -> Claimed[Job]:
        """Take over attempts that nobody holds, and decide for each what to ask."""
        claimed_at = asyncio.get_running_loop().time()
        due = await store.lock_due(connection, limit) if limit else []
        queued = await store.lock_queued(connection, wanted) if wanted else []
        jobs = await self._taken(connection, [*due, *queued], claimed_at)
        return Claimed(jobs[: len(due)], jobs[len(due) :])

    async def _taken(self, connection: Connection, due: Sequence[DueAttempt], claimed_at: float) -> list[Job]:
        if not due:
            return []
        calls = [
            next_call(one.top_up, one.attempt, self._carriers[one.order.carrier].can, self._patience, one.at)
            for one in due
        ]
        await store.take(
            connection,
            [
                (one.order.renewal_id, one.attempt.operation, one.attempt.ordinal, is_effectful(call))
                for one, call in zip(due, calls, strict=True)
            ],
            send_window=self._patience.send_window,
            lease=self._patience.lease,
        )
        send_by = claimed_at + self._patience.send_window
        return [
            Job(
                one.order,
                one.attempt.operation,
                one.attempt.ordinal,
                one.attempt.claim + 1,
                call,
                idempotency_key(one.order.renewal_id, one.attempt.operation, one.attempt.ordinal),
                send_by,
                one.attempt.provider_reference,
                one.at,
            )
            for one, call in zip(due, calls, strict=True)
        ]


def _attempt_row(job: Job, settled: Settled, lane: str | None) -> AttemptRow:
    attempt: Attempt = settled.attempt
    return AttemptRow(
        job.attempt_key,
        attempt.status,
        attempt.asked,
        attempt.provider_reference,
        attempt.reason,
        settled.wait_seconds,
        attempt.ended,
        lane,
        not job.order.terms.is_awaited,
    )
