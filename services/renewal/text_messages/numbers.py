"""Whose number is whose: kept from what provisioning says of subscriptions."""

from collections.abc import Sequence

from services.renewal.text_messages import store
from shared.contracts.subscriptions import SubscriptionChanged
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction


async def keep_numbers(transaction: Transaction, batch: Sequence[Received]) -> None:
    """One statement, or none where nothing is said of numbers; of each subscription its newest word."""
    newest: dict[str, SubscriptionChanged] = {}
    for received in batch:
        state = received.message
        if not isinstance(state, SubscriptionChanged) or not _speaks_of_its_number(state):
            continue
        known = newest.get(state.subscription_id)
        if known is None or known.version < state.version:
            newest[state.subscription_id] = state
    if newest:
        # In key order: two processes that keep the same ones must not deadlock.
        rows = [(key, newest[key].version, newest[key].msisdn) for key in sorted(newest)]
        await store.upsert_numbers(transaction.connection, rows)


def _speaks_of_its_number(state: SubscriptionChanged) -> bool:
    """What a process from before numbers says tells nothing about one; nor does a first word without one.

    A later word without one must be kept: an earlier one that names a number may be read after it.
    """
    return "msisdn" in state.model_fields_set and (state.msisdn is not None or state.version > 1)
