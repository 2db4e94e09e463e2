"""Provisioning's side of the network, as a value: its decision, attempts and calls, and the carrier.

Kept of the rows: everything but `version`, `claim` and `due_at`. Whether a claim is the latest is a mark on
the job instead, and an attempt is due when no worker holds it.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from services.provisioning.topups.domain.attempt import Attempt, Call, Operation, Status
from services.provisioning.topups.domain.findings import Finding
from services.provisioning.topups.domain.top_up import TopUp
from tests.exhaustive.abstraction import NOW, coarse, plain
from tests.exhaustive.carrier import Carrier
from tests.exhaustive.case import TOP_UP_PATIENCE
from tests.exhaustive.line import Delayed

LATEST, EARLIER = 1, 0
"""A claim, as far as it matters: that of the attempt, or one that was lost."""
MANY_CALLS: Final = TOP_UP_PATIENCE.repeats + 3
"""Beyond this the number of calls made changes nothing."""

AttemptKey = tuple[Operation, int]


class Job(NamedTuple):
    """A call in the hands of a worker: to be made, or made and not yet written down."""

    operation: Operation
    ordinal: int
    call: Call
    provider_reference: str | None = None
    is_late: bool = False
    """Claimed so late that every timely request has arrived and can be seen."""
    holds: bool = True
    """Whether its lease is the attempt's latest."""
    finding: Finding | None = None
    """None as long as the call is not made."""

    @property
    def key(self) -> AttemptKey:
        return self.operation, self.ordinal

    def __str__(self) -> str:
        worker = "its worker" if self.holds else "the worker that lost its lease"
        return f"{worker} ({self.operation} {self.ordinal})"


class ProvisioningSide(NamedTuple):
    """Everything on provisioning's side of the network."""

    carrier: Carrier
    top_up: TopUp | None = None
    attempts: tuple[Attempt, ...] = ()
    jobs: tuple[Job, ...] = ()
    wire: frozenset[Delayed] = frozenset()
    said: frozenset[str] = frozenset()
    contradicted: bool = False
    called_off: bool = False
    """A timely CancelTopUp was read before there was a row."""

    @property
    def known(self) -> TopUp:
        """The decision that is there."""
        assert self.top_up is not None, "there is no row"
        return self.top_up

    def with_jobs(self, jobs: Iterable[Job]) -> "ProvisioningSide":
        """These calls under way, in one order, whatever they came in: equal states are equal."""
        return self._replace(jobs=tuple(sorted(jobs, key=repr)))

    def with_attempt(self, one: Attempt) -> "ProvisioningSide":
        """The attempts with this one as it is now."""
        kept = [held for held in self.attempts if key_of(held) != key_of(one)]
        tidy = Attempt(*map(coarse, one))._replace(reason=None)
        return self._replace(attempts=tuple(sorted((*kept, tidy), key=key_of)))

    def opened(self, operation: Operation, ordinal: int, *, is_claimed: bool) -> "ProvisioningSide":
        """`open_attempts`. The same ordinal again keeps its key, and is another lease in any case."""
        key = (operation, ordinal)
        lost = [job._replace(holds=False) if job.key == key else job for job in self.jobs]
        known = [one for one in self.attempts if key_of(one) == key]
        named = known[0].provider_reference if known else None
        if not is_claimed:
            waits = Attempt(operation, ordinal, "waiting", LATEST, 0, provider_reference=named)
            return self.with_attempt(waits).with_jobs(lost)
        begun = Attempt(operation, ordinal, "sending", LATEST, 1, NOW, NOW, named)
        return self.with_attempt(begun).with_jobs((*lost, Job(operation, ordinal, operation)))

    def closed(self, operation: Operation, ordinal: int, status: Status) -> "ProvisioningSide":
        """An attempt that ends along with its decision; one that ended by itself stays."""
        ended = tuple(
            one._replace(status=status, ended=True)
            if key_of(one) == (operation, ordinal) and not one.ended
            else one
            for one in self.attempts
        )
        return self._replace(attempts=ended)


def key_of(one: Attempt) -> AttemptKey:
    return one.operation, one.ordinal


def plain_top_up(top_up: TopUp) -> TopUp:
    """The decision without what only counts."""
    return TopUp(*map(coarse, top_up))._replace(
        version=1,
        cycle=None,
        reason=plain(top_up.reason),
        provider_reference=None,
        reached_provider=top_up.reached_provider if top_up.state == "failed" else None,
    )
