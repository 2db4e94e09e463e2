"""The calls that ask carriers what is left; answers go the way of pushed reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.usage import metrics
from services.usage import store as balances
from services.usage.domain.reconcile import Reported
from services.usage.polls import store
from services.usage.polls.gateways.carrier import OTHERS, BalanceAnswer, BalanceGateway
from services.usage.polls.store import Poll
from services.usage.reports import Report, Reports
from shared.calls.breaker import Sign
from shared.calls.calls import Claimed
from shared.clock import Clock
from shared.database import Connection
from shared.messaging.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that was made, and what it told. `answer` None: it was not made, and waits in the queue."""

    poll: Poll
    at: datetime
    answer: BalanceAnswer | None


class PollCalls:
    """What a CallWorker is told of these calls (shared/calls/calls.py). They have no effect outside."""

    def __init__(
        self, gateways: Mapping[str, BalanceGateway], reports: Reports, lease_seconds: float, clock: Clock
    ) -> None:
        self._gateways = gateways
        self._named = [name for name in gateways if name != OTHERS]
        self._reports = reports
        self._lease_seconds = lease_seconds
        self._clock = clock

    def gateway(self, job: Poll) -> str:
        return job.carrier if job.carrier in self._named else OTHERS

    def is_urgent(self, _job: Poll) -> bool:
        return False

    async def call(self, job: Poll) -> Asked:
        # The moment before the question: what happens while it is under way is in the next answer for sure.
        at = self._clock()
        answer = await self._gateways[self.gateway(job)].balance(job.iccid)
        metrics.poll(answer.kind)
        return Asked(job, at, answer)

    def sign(self, _job: Poll, outcome: Asked) -> Sign:
        if outcome.answer is None:
            return Sign.NOTHING
        return Sign.FAILED if outcome.answer.is_outage else Sign.ANSWERED

    def put_off(self, job: Poll) -> Asked:
        return Asked(job, self._clock(), None)

    def excused(self, job: Poll, outcome: Asked) -> Asked:
        return Asked(job, outcome.at, None)

    async def record(self, transaction: Transaction, outcomes: Sequence[Asked]) -> Sequence[Poll]:
        connection = transaction.connection
        told = [
            (outcome, outcome.answer)
            for outcome in outcomes
            if outcome.answer is not None and outcome.answer.kind == "answered"
        ]
        if told:
            locked = await balances.lock_balances(
                connection, {asked.poll.subscription_id for asked, _ in told}
            )
            asked_for = await store.read_iccids(connection, list(locked))
            await self._reports.take_over(
                transaction,
                [
                    Report(
                        locked[asked.poll.subscription_id],
                        asked.poll.carrier,
                        Reported(answer.remaining_bytes, answer.expires_at, asked.at),
                    )
                    for asked, answer in told
                    if asked_for.get(asked.poll.subscription_id) == asked.poll.iccid
                ],
            )
        await store.put_off(
            connection, {each.poll.subscription_id: each.answer is not None for each in outcomes}
        )
        return ()

    async def claim(self, connection: Connection, _limit: int, wanted: Mapping[str, int]) -> Claimed[Poll]:
        # Each carrier's own queue is all there is: nothing is urgent enough to overtake in another's.
        if not wanted:
            return Claimed()
        return Claimed(queued=await store.claim(connection, wanted, self._named, self._lease_seconds))

    async def queued(self, connection: Connection) -> Mapping[str, int]:
        return await store.count_due(connection, self._named)
