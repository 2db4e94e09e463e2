"""What rules want to know of offerings, kept beside what admission keeps: how long each lasts, and where."""

from collections.abc import Sequence

from services.renewal.rules import store
from shared.contracts.offerings import OfferingChanged
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction


async def keep_offering_terms(transaction: Transaction, batch: Sequence[Received]) -> None:
    """One statement; of each offering only its highest version in the batch, in key order."""
    newest: dict[str, OfferingChanged] = {}
    for received in batch:
        state = received.message
        known = newest.get(state.key)
        if known is None or known.version < state.version:
            newest[state.key] = state
    rows = [
        (
            state.offering_id,
            state.version,
            state.validity_seconds,
            state.data_bytes,
            state.destination,
            state.status,
        )
        for _, state in sorted(newest.items())
    ]
    await store.upsert_offering_terms(transaction.connection, rows)
