"""What a service tells its call worker of its calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from shared.calls.breaker import Sign
from shared.database import Connection
from shared.messaging.transaction import Transaction

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")


@dataclass(slots=True)
class Claimed(Generic[Job]):
    """Jobs whose rows this process holds now: `due` by time, `queued` for their gateways."""

    due: Sequence[Job] = ()
    queued: Sequence[Job] = field(default=())


class Calls(Protocol[Job, Outcome]):
    """The calls of one service. Rows that wait for a gateway in no process are its queue."""

    def gateway(self, job: Job) -> str:
        """The name of the lane it belongs to."""
        ...

    def is_urgent(self, job: Job) -> bool:
        """Whether a person waits for it."""
        ...

    async def call(self, job: Job) -> Outcome:
        """ONE effectful request. Every error becomes an outcome; it has its own deadline."""
        ...

    def sign(self, job: Job, outcome: Outcome) -> Sign:
        """What the outcome tells about the gateway itself."""
        ...

    def put_off(self, job: Job) -> Outcome:
        """The outcome of a call that was not made: recorded, its row waits in the gateway's queue."""
        ...

    def excused(self, job: Job, outcome: Outcome) -> Outcome:
        """The outcome of a gateway that is out of order: it spends nothing, and its row waits like that."""
        ...

    async def record(self, transaction: Transaction, outcomes: Sequence[Outcome]) -> Sequence[Job]:
        """Lock rows in key order, fold, write, send events; returns the calls that follow the commit."""
        ...

    async def claim(self, connection: Connection, limit: int, wanted: Mapping[str, int]) -> Claimed[Job]:
        """Claim up to `limit` rows that are due and without a live lease, and from the queues of the named
        gateways so many as are wanted, people first. The lease is on database time."""
        ...

    async def queued(self, connection: Connection) -> Mapping[str, int]:
        """How many rows wait in the queue of each gateway that has any."""
        ...
