"""Batches in, one transaction each, events out."""

from collections.abc import Callable, Sequence

from services.payment import archive, metrics, store
from services.payment.authority import Authority, Order
from services.payment.calls import Result
from services.payment.domain.calls import Call
from services.payment.domain.ledger import applied_id
from shared.calls.worker import CallWorker
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction
from shared.observability.logging import get_logger

_log = get_logger(__name__)


class Commands:
    """Reads `prices.v1` and `payment-commands.v1`: what is to be captured, cancelled, refunded."""

    def __init__(self, authority: Authority, worker: "CallWorker[Call, Result]") -> None:
        self._authority = authority
        self._worker = worker

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        room = await self._worker.room(len(batch))
        orders = [Order(received.message, received.traceparent) for received in batch]
        calls = await self._authority.obey(transaction, orders, room)
        if calls:
            transaction.after_commit(_handed_over(self._worker, calls))


def _handed_over(worker: "CallWorker[Call, Result]", calls: Sequence[Call]) -> Callable[[], None]:
    return lambda: worker.submit(calls)


async def apply_captures(transaction: Transaction, batch: Sequence[Received]) -> None:
    """TopUpApplied: what was held is earned, once per renewal, in one statement."""
    applied = {received.message.renewal_id: received.message.applied_at for received in batch}
    without = await store.apply_captures(
        transaction.connection,
        [(renewal_id, applied_id(renewal_id), at) for renewal_id, at in applied.items()],
    )
    if without:
        without = await archive.unearned(transaction.connection, without)
    if without:
        transaction.after_commit(lambda: metrics.APPLIED_WITHOUT_CAPTURE.inc(len(without)))
        for renewal_id in without:
            _log.error("top_up_applied_without_capture", renewal_id=str(renewal_id))
