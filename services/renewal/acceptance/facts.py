"""What the acceptance policy wants to know of payers and methods, kept beside what admission keeps."""

from collections.abc import Sequence

from services.renewal.acceptance import store
from shared.contracts.customers import CustomerChanged
from shared.contracts.payment_methods import PaymentMethodChanged
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction

FACTS = (CustomerChanged, PaymentMethodChanged)


async def keep_acceptance_facts(transaction: Transaction, batch: Sequence[Received]) -> None:
    """One statement each; of each thing only its highest version in the batch, in key order."""
    customers: dict[str, CustomerChanged] = {}
    methods: dict[str, PaymentMethodChanged] = {}
    for received in batch:
        state = received.message
        if isinstance(state, CustomerChanged):
            customer = customers.setdefault(state.key, state)
            customers[state.key] = max(customer, state, key=lambda one: one.version)
        elif isinstance(state, PaymentMethodChanged):
            method = methods.setdefault(state.key, state)
            methods[state.key] = max(method, state, key=lambda one: one.version)
    if customers:
        countries = [(key, one.version, one.country) for key, one in sorted(customers.items())]
        await store.upsert_payer_countries(transaction.connection, countries)
    if methods:
        kinds = [(key, one.version, one.kind) for key, one in sorted(methods.items())]
        await store.upsert_method_kinds(transaction.connection, kinds)
