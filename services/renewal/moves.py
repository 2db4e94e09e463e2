"""Carries decisions out: folds messages into locked renewals, writes them, says what they say.

Every way in (events, timers, people) ends here, so that all of them leave the same traces.
"""

from collections import Counter
from collections.abc import Iterable
from random import random
from typing import Final, cast
from uuid import UUID

from services.renewal import archive, freed_slots, metrics, store
from services.renewal.customer_links import CustomerLinks
from services.renewal.domain.policy import Moment, Policy
from services.renewal.domain.renewal import CLOSED, ClosedState, HistoryEntry, Renewal, only_went_on
from services.renewal.domain.saga import Decision, decide
from services.renewal.rules import endings
from shared.contracts.renewals import CustomerActionRequired
from shared.messaging.transaction import Transaction
from shared.observability.logging import get_logger

_log: Final = get_logger(__name__)


class Moves:
    """What happens to locked renewals in one transaction, folded in memory and written at once."""

    def __init__(
        self,
        transaction: Transaction,
        policy: Policy,
        locked: Iterable[Renewal],
        links: CustomerLinks | None = None,
    ) -> None:
        """`links` signs what asks a payer for something; only events lead to that."""
        self._transaction = transaction
        self._policy = policy
        self._links = links
        self._locked = {renewal.renewal_id: renewal for renewal in locked}
        self._renewals = dict(self._locked)
        self._changed: set[UUID] = set()
        self._history: list[HistoryEntry] = []
        self._alarms: list[HistoryEntry] = []
        self._ignored: list[str] = []
        self._closed: dict[str, ClosedState] = {}
        self._ended: list[Renewal] = []
        self._outcomes: list[str] = []

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
            if self._links is not None and isinstance(said, CustomerActionRequired):
                said = self._links.signed(said)
            self._transaction.send(said, traceparent or renewal.traceparent)
        if decision.alarm:
            self._alarms.append(entry)
        if entry.to_state in CLOSED and entry.from_state not in CLOSED:
            self._closed[renewal.subscription_id] = cast(ClosedState, entry.to_state)
            self._outcomes.append(entry.to_state)
            if entry.to_state != "completed":
                self._ended.append(decision.renewal)
        return decision

    def reschedule(self, renewal: Renewal) -> None:
        """Nothing happened; only the time of looking again has changed."""
        self._renewals[renewal.renewal_id] = renewal
        self._changed.add(renewal.renewal_id)

    async def write(self) -> None:
        """One statement for what got further and all history, one more for what deviated."""
        connection, now = self._transaction.connection, self._transaction.now
        further: list[tuple[Renewal, Renewal]] = []
        deviating: list[Renewal] = []
        for renewal_id in self._changed:
            before, after = self._locked[renewal_id], self._renewals[renewal_id]
            if only_went_on(before, after, now):
                further.append((before, after))
            else:
                deviating.append(after)
        closed_before = [renewal_id for renewal_id in self._changed if not self._locked[renewal_id].is_open]
        if closed_before:
            # Seldom: a dispute, a surplus. It may lie in the archive, and what is there is never written.
            await archive.bring_back(connection, closed_before)
        if deviating:
            await store.save(connection, deviating)
        if self._history:
            await store.advance(connection, now, further, self._history)
        following = await endings.tell(self._transaction, self._ended) if self._ended else []
        if self._closed:
            await freed_slots.look(self._transaction, self._policy, self._closed, following)
        if self._history or self._ignored:
            self._transaction.after_commit(self._count)

    def _count(self) -> None:
        for name, times in Counter(self._ignored).items():
            metrics.message_result(name, "ignored").inc(times)
        for name, times in Counter(entry.message for entry in self._history).items():
            metrics.message_result(name, "applied").inc(times)
        for entry in self._history:
            metrics.observe_step(entry.message, self._renewals[entry.renewal_id].requested_at, entry.at)
        for outcome, times in Counter(self._outcomes).items():
            metrics.closed(outcome).inc(times)
        for entry in self._alarms:
            metrics.BROKEN_PROMISES.inc()
            _log.error("promise_broken", renewal_id=str(entry.renewal_id), what=entry.detail)
