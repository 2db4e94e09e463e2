"""A second payment process on the same database and PSP, moved by hand: it may die anywhere."""

from collections.abc import Iterable, Sequence
from typing import cast

from services.payment import settings
from services.payment.authority import Authority
from services.payment.calls import Calls, Created, Result
from services.payment.domain.calls import Call
from services.payment.gateways.psp import Psp
from services.payment.handlers import Commands
from shared.calls.worker import CallWorker
from shared.clock import utc_now
from shared.contracts.message import Message
from shared.messaging.transaction import Transaction
from tests.integration.wired import Wired


class Doomed:
    """The worker of a process that is about to die: it takes calls and never finishes them by itself."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def room(self, wanted: int, _wait_seconds: float = 0.0) -> int:
        return wanted

    def submit(self, calls: Iterable[Call]) -> None:
        self.calls += calls


class OtherProcess:
    """It shares the database and the PSP of `payment`, and none of its loops runs."""

    def __init__(self, told: settings.Settings, psp: Psp, payment: Wired) -> None:
        self.worker = Doomed()
        authority = Authority(told.patience, told.lease)
        self.calls = Calls({psp.name: psp}, authority, told.lease, utc_now)
        self._payment = payment
        self._handle = Commands(authority, cast(CallWorker[Call, Result], self.worker))

    async def consume(self, *messages: Message) -> Call:
        """Handle a batch; the call that this process then has the lease on."""
        await self._payment.transactions.run(lambda transaction: self.handle(transaction, *messages))
        return self.worker.calls[-1]

    async def handle(self, transaction: Transaction, *messages: Message) -> None:
        """Handle a batch in that transaction."""
        await self._handle(transaction, [self._payment.received(message) for message in messages])

    async def record(self, *results: Result) -> Sequence[Call]:
        async def recorded(transaction: Transaction) -> Sequence[Call]:
            return await self.calls.record(transaction, results)

        return await self._payment.transactions.run(recorded)

    async def confirmable(self, call: Call) -> Call:
        """The call, once the PSP's object is made and its reference stored."""
        created = await self.calls.call(call)
        assert isinstance(created, Created)
        [following] = await self.record(created)
        return following
