"""Carries decisions out: folds messages into locked renewals, writes them, says what they say.

Every way in (events, timers, people) ends here, so that all of them leave the same traces.
"""

from collections.abc import Iterable
from random import random
from typing import Final
from uuid import UUID

from services.renewal import admissions, metrics, store
from services.renewal.domain.policy import Moment, Policy
from services.renewal.domain.renewal import CLOSED, HistoryEntry, Renewal
from services.renewal.domain.saga import Decision, decide
from shared.messaging.transaction import Transaction
from shared.observability.logging import get_logger

_log: Final = get_logger(__name__)


class Moves:
    """What happens to locked renewals in one transaction, folded in memory and written at once."""

    def __init__(self, transaction: Transaction, policy: Policy, locked: Iterable[Renewal]) -> None:
        self._transaction = transaction
        self._policy = policy
        self._renewals = {renewal.renewal_id: renewal for renewal in locked}
        self._changed: set[UUID] = set()
        self._history: list[HistoryEntry] = []
        self._alarms: list[HistoryEntry] = []
        self._ignored: list[str] = []
        self._closed: list[str] = []

    def find(self, renewal_id: UUID) -> Renewal | None:
        """The renewal as it has become so far."""
        return self._renewals.get(renewal_id)

    def apply(self, renewal: Renewal, message: object, traceparent: str | None) -> Decision:
        """Fold one message into a locked renewal."""
        moment = Moment(self._transaction.now, self._policy, random())
        decision = decide(renewal, message, moment)
        entry = decision.history
        if entry is None:
            self._ignored.append(type(message).__name__)
            return decision
        renewal_id = renewal.renewal_id
        self._renewals[renewal_id] = decision.renewal
        self._changed.add(renewal_id)
        self._history.append(entry)
        for said in decision.says:
            self._transaction.send(said, traceparent or renewal.traceparent)
        if decision.alarm:
            self._alarms.append(entry)
        if entry.to_state in CLOSED and entry.from_state not in CLOSED:
            self._closed.append(renewal.subscription_id)
        return decision

    def reschedule(self, renewal: Renewal) -> None:
        """Nothing happened; only the time of looking again has changed."""
        self._renewals[renewal.renewal_id] = renewal
        self._changed.add(renewal.renewal_id)

    async def write(self) -> None:
        """One statement for the renewals and their history; one more for slots that became free."""
        if self._changed:
            changed = [self._renewals[renewal_id] for renewal_id in self._changed]
            await store.save(self._transaction.connection, changed, self._history)
        if self._closed:
            connection = self._transaction.connection
            kept = await store.take_kept_triggers(connection, self._closed)
            if kept:
                await admissions.admit(self._transaction, kept, self._policy)
        if self._history or self._ignored:
            self._transaction.after_commit(self._count)

    def _count(self) -> None:
        for name in self._ignored:
            metrics.message_result(name, "ignored").inc()
        for entry in self._history:
            metrics.message_result(entry.message, "applied").inc()
            renewal = self._renewals[entry.renewal_id]
            metrics.observe_step(entry.message, renewal.requested_at, entry.at)
            if entry.to_state in CLOSED and entry.from_state not in CLOSED:
                metrics.closed[entry.to_state].inc()  # type: ignore[index] # CLOSED holds closed states only
        for entry in self._alarms:
            metrics.BROKEN_PROMISES.inc()
            _log.error("promise_broken", renewal_id=str(entry.renewal_id), what=entry.detail)
