"""Carries bulk jobs out, a few renewals at a time: what becomes of them commits with how far the job is.

Whoever dies in the middle leaves a job that any process takes up where it was.
"""

import asyncio
from typing import Final

import orjson

from services.renewal import store as renewals
from services.renewal.domain.policy import Policy
from services.renewal.domain.renewal import Renewal
from services.renewal.domain.wording import PriceUnknown
from services.renewal.moves import Moves
from services.renewal.operators import bulk_store, metrics, store
from services.renewal.operators.domain.bulk import Job, Result, Target, is_as_seen
from services.renewal.operators.store import Deed
from shared.messaging.transaction import Transaction, Transactions
from shared.observability.logging import get_logger
from shared.pause import pause

TICK_SECONDS: Final = 0.25
_log: Final = get_logger(__name__)


class BulkJobs:
    """The loop that works on whichever job's turn it is."""

    def __init__(self, transactions: Transactions, policy: Policy) -> None:
        self._transactions = transactions
        self._policy = policy

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self._transactions.run(self.go_on)
            await pause(stopping, TICK_SECONDS)

    async def go_on(self, transaction: Transaction) -> int:
        """Act upon the next renewals of the job whose turn it is; how many."""
        connection, now = transaction.connection, transaction.now
        job = await bulk_store.claim(connection, now)
        if job is None:
            return 0
        targets = await bulk_store.read_targets(connection, job.job_id, job.reached, job.batch(TICK_SECONDS))
        locked = await renewals.lock(connection, [target.renewal_id for target in targets])
        known = {renewal.renewal_id: renewal for renewal in locked}
        moves = Moves(transaction, self._policy, locked)
        deeds: list[Deed] = []
        results = [_act(moves, job, target, known.get(target.renewal_id), deeds) for target in targets]
        await moves.write()
        further = job.after(now, results)
        if further.state == "done":
            deeds.append(ended(further, further.started_by or "", "finished", job.why))
        if deeds:
            await store.write_audit(connection, now, deeds)
        places = [target.place for target in targets]
        await bulk_store.write_results(connection, job.job_id, list(zip(places, results, strict=True)))
        await bulk_store.save(connection, further)
        transaction.after_commit(lambda: metrics.count(results))
        return len(targets)


def _act(moves: Moves, job: Job, target: Target, renewal: Renewal | None, deeds: list[Deed]) -> Result:
    if renewal is None or not is_as_seen(job.decision, target, renewal):
        return "moved"
    started_by = job.started_by or job.made_by
    approver = started_by if job.decision.needs_second else None
    try:
        decided = moves.apply(renewal, job.decision.asked_by(job.made_by, job.why, approver), None)
    except PriceUnknown as error:
        # A defect that one renewal brings out: it must not hold up the others.
        _log.error("bulk_action_broke", renewal_id=str(target.renewal_id), error=repr(error))
        return "refused"
    if decided.history is None:
        return "refused"
    deeds.append(
        Deed(
            started_by,
            "approved" if approver else "done",
            job.action,
            job.choice,
            job.why,
            target.renewal_id,
            job_id=job.job_id,
            before=store.standing(renewal),
            after=store.standing(decided.renewal),
        )
    )
    return "done"


def ended(job: Job, operator: str, step: str, why: str) -> Deed:
    """The line of the audit about a job itself, with its counts."""
    counts = {name: getattr(job, name) for name in ("renewals", "reached", "done", "moved", "refused")}
    told = orjson.dumps(counts).decode()
    return Deed(operator, step, f"bulk {job.action}", job.choice, why, job_id=job.job_id, after=told)
