"""Batches in, one transaction each, a constant number of statements, events out."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from services.renewal import metrics, store, waiting
from services.renewal.catch_up import CatchUp
from services.renewal.customer_links import CustomerLinks
from services.renewal.domain.asking import TRIGGER_KINDS, Request, Trigger, trigger_of
from services.renewal.domain.policy import Policy
from services.renewal.moves import Moves
from shared.contracts.message import Message, RenewalMessage
from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    RefundAttemptFailed,
    RefundRejected,
    SurplusRefunded,
)
from shared.contracts.prices import RenewalPriced, RenewalRejected
from shared.contracts.renewal_requests import RequestRenewal
from shared.contracts.topups import (
    TopUpApplied,
    TopUpAttemptFailed,
    TopUpCancelled,
    TopUpRejected,
    TopUpUndetermined,
)
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction
from shared.observability.logging import get_logger

_log: Final = get_logger(__name__)

SAGA_TOPICS: Final = ("prices.v1", "payments.v1", "topups.v1")
SAGA_MESSAGES: Final[tuple[type[RenewalMessage], ...]] = (
    RenewalPriced,
    RenewalRejected,
    PaymentCaptured,
    PaymentDeclined,
    PaymentAttemptFailed,
    PaymentActionRequired,
    PaymentCancelled,
    PaymentRefunded,
    RefundAttemptFailed,
    RefundRejected,
    SurplusRefunded,
    PaymentDisputed,
    TopUpApplied,
    TopUpRejected,
    TopUpAttemptFailed,
    TopUpCancelled,
    TopUpUndetermined,
)
ADMISSION_TOPICS: Final = ("renewal-requests.v1", "quotas.v1")
ADMISSION_MESSAGES: Final[tuple[type[Message], ...]] = (RequestRenewal, *TRIGGER_KINDS)

_USUAL_ORDER: Final = {topic: place for place, topic in enumerate(SAGA_TOPICS)}


class SagaHandler:
    """Every fact about a renewal passes here; the happy path is only recorded."""

    def __init__(self, policy: Policy, catch_up: CatchUp, links: CustomerLinks | None = None) -> None:
        self._policy = policy
        self._catch_up = catch_up
        self._links = links

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        by_renewal: dict[UUID, list[Received]] = {}
        for received in batch:
            by_renewal.setdefault(received.message.renewal_id, []).append(received)
        locked = await store.lock(transaction.connection, list(by_renewal))
        moves = Moves(transaction, self._policy, locked, self._links)
        orphans: list[Received] = []
        for renewal_id, about_it in by_renewal.items():
            if moves.find(renewal_id) is None:
                orphans += about_it
            else:
                _fold(moves, renewal_id, about_it)
        await moves.write()
        if orphans:
            await _keep_orphans(transaction, orphans)
        transaction.after_commit(lambda: self._catch_up.read(batch, transaction.now))


def _fold(moves: Moves, renewal_id: UUID, about_it: list[Received]) -> None:
    if len(about_it) > 1:
        # One batch spans topics: in the order in which they were caused fewer things look out of order.
        about_it.sort(key=lambda received: _USUAL_ORDER.get(received.topic, 0))
    for received in about_it:
        renewal = moves.find(renewal_id)
        if renewal is not None:
            moves.apply(renewal, received.message, received.traceparent)


async def _keep_orphans(transaction: Transaction, orphans: Sequence[Received]) -> None:
    rows = {
        received.message.event_id: store.Orphan(
            received.message.event_id,
            received.topic,
            type(received.message).__name__,
            received.message.renewal_id,
            received.message.subscription_id,
            received.message.model_dump_json(),
            received.traceparent,
            transaction.now,
        )
        for received in orphans
    }
    await store.keep_orphans(transaction.connection, list(rows.values()))
    transaction.after_commit(lambda: _report_orphans(len(orphans)))


def _report_orphans(count: int) -> None:
    metrics.ORPHANS.inc(count)
    _log.error("events_of_unknown_renewals_kept", count=count)


class AdmissionHandler:
    """Requests of other systems and the triggers of rules: the same desk as over HTTP."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def __call__(self, transaction: Transaction, batch: Sequence[Received]) -> None:
        asking = [_asking(received) for received in batch]
        await waiting.ask(transaction, asking, self._policy)


def _asking(received: Received) -> Request | Trigger:
    message = received.message
    if not isinstance(message, RequestRenewal):
        return trigger_of(message, received.traceparent)
    return Request(
        caller=message.caller,
        request_id=message.request_id,
        subscription_id=message.subscription_id,
        offering_id=message.offering_id,
        max_amount_minor=message.expected_amount_minor,
        currency=message.currency,
        payment_method_ids=message.payment_method_ids,
        payer_id=message.payer_id,
        act_before=message.act_before,
        traceparent=received.traceparent,
        is_told=True,
        is_bulk=True,
    )
