"""Carries rule jobs out, a batch at a time: what is paused or resumed commits with how far the job is.

Whoever dies in the middle leaves a job that any process takes up where it was.
"""

import asyncio
from typing import Final

import orjson

from services.renewal.domain.policy import Policy
from services.renewal.operators.store import Deed, write_audit
from services.renewal.rules import job_store, pausing, setting
from services.renewal.rules.domain.job import RuleJob
from shared.messaging.transaction import Transaction, Transactions
from shared.pause import pause

TICK_SECONDS: Final = 0.25


class RuleJobs:
    """The loop that works on whichever job's turn it is."""

    def __init__(self, transactions: Transactions, policy: Policy) -> None:
        self._transactions = transactions
        self._policy = policy

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self._transactions.run(self.go_on)
            await pause(stopping, TICK_SECONDS)

    async def go_on(self, transaction: Transaction) -> int:
        """Act upon the next rules of the job whose turn it is; how many."""
        connection, now = transaction.connection, transaction.now
        job = await job_store.claim(connection, now)
        if job is None:
            return 0
        wanted = job.batch(TICK_SECONDS)
        names = await job_store.match(connection, job.action, job.filter, job.reached, wanted)
        by = job.started_by or job.made_by
        if job.action == "pause":
            changed = await pausing.pause(transaction, names, by, job.why)
        else:
            changed = await setting.resume(transaction, names, by, job.why, self._policy, opt_outs=False)
        further = job.after(now, names, len(changed), is_last=len(names) < wanted)
        await job_store.save(connection, further)
        if further.state == "done":
            await note(transaction, further, by, "finished", job.why)
        return len(names)


async def note(transaction: Transaction, job: RuleJob, by: str, step: str, why: str) -> None:
    """The line of the audit about a job itself, with its counts."""
    told = orjson.dumps({"rules": job.rules, "changed": job.changed, **job.filter._asdict()}).decode()
    deed = Deed(by, step, f"{job.action} rules", None, why, job_id=job.job_id, after=told)
    await write_audit(transaction.connection, transaction.now, [deed])
