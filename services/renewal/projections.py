"""What others told us of their things, kept for admission: one table per compacted topic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.renewal.text_messages.numbers import keep_numbers
from shared.contracts.customers import CustomerChanged
from shared.contracts.message import State
from shared.contracts.offerings import OfferingChanged
from shared.contracts.payment_methods import PaymentMethodChanged
from shared.contracts.subscriptions import SubscriptionChanged
from shared.database.arrays import columns
from shared.database.queries import load_queries
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction

_SQL = load_queries(__file__, "projections.sql")


def _subscription(state: SubscriptionChanged) -> tuple[Any, ...]:
    return (
        state.subscription_id,
        state.version,
        state.brand,
        state.carrier,
        state.owner_id,
        state.status,
        state.bound_imei is not None,
        state.device_matches,
        state.top_ups,
        state.bound_imei,
    )


def _customer(state: CustomerChanged) -> tuple[Any, ...]:
    return state.customer_id, state.version, state.identity_verified


def _payment_method(state: PaymentMethodChanged) -> tuple[Any, ...]:
    return state.payment_method_id, state.version, state.payer_id, state.status


def _offering(state: OfferingChanged) -> tuple[Any, ...]:
    return (
        state.offering_id,
        state.version,
        ",".join(state.brands),
        ",".join(state.carriers),
        ",".join(state.subscription_statuses),
        state.status,
    )


@dataclass(frozen=True, slots=True)
class Projection:
    """How one message becomes a row of `width` values, and the statement that keeps it."""

    query: str
    width: int
    row: Callable[[Any], tuple[Any, ...]]


PROJECTIONS: Final[dict[type[State], Projection]] = {
    SubscriptionChanged: Projection("upsert_subscriptions", 10, _subscription),
    CustomerChanged: Projection("upsert_customers", 3, _customer),
    PaymentMethodChanged: Projection("upsert_payment_methods", 4, _payment_method),
    OfferingChanged: Projection("upsert_offerings", 6, _offering),
}


async def keep_projections(transaction: Transaction, batch: Sequence[Received]) -> None:
    """One statement per kind of thing, one for numbers; of each only its highest version in the batch."""
    newest: dict[type[State], dict[str, Any]] = {kind: {} for kind in PROJECTIONS}
    for received in batch:
        state = received.message
        known = newest[type(state)].get(state.key)
        if known is None or known.version < state.version:
            newest[type(state)][state.key] = state
    for kind, states in newest.items():
        if states:
            projection = PROJECTIONS[kind]
            # In key order: two processes that upsert the same things must not deadlock.
            rows = [projection.row(states[key]) for key in sorted(states)]
            await transaction.connection.execute(_SQL[projection.query], *columns(rows, projection.width))
    await keep_numbers(transaction, batch)
    ended = [key for key, state in newest[SubscriptionChanged].items() if state.status == "terminated"]
    if ended:
        # What waits for a pause, a stop or an answer would wait for ever, and be told to wait.
        await transaction.connection.execute(_SQL["look_at_ended"], ended, transaction.now)
