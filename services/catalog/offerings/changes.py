"""Offerings change, several at once; every change is told on offerings.v1."""

from collections.abc import Sequence
from datetime import timedelta

from services.catalog.offerings import store
from services.catalog.offerings.domain.offering import Offering, in_force_from, next_version
from services.catalog.revision import lock_price_list, next_revision
from shared.contracts.offerings import OfferingChanged
from shared.messaging.transaction import Transaction


async def change_offerings(
    transaction: Transaction, wanted: Sequence[Offering], lead: timedelta
) -> list[Offering]:
    """Write what changes, say it, and answer each as it is then. The last of several about one id wins."""
    connection = transaction.connection
    now = await lock_price_list(connection)
    existing = await store.read_offerings(connection, {offering.offering_id for offering in wanted})
    latest = {offering.offering_id: offering for offering in wanted}
    changed = [
        version
        for offering_id, offering in latest.items()
        if (version := next_version(existing.get(offering_id), offering)) is not None
    ]
    if changed:
        revision = await next_revision(connection)
        versions = [in_force_from(offering, now, lead) for offering in changed]
        await store.write_offerings(connection, changed, versions, revision, now)
        for offering in changed:
            transaction.send(_event(offering))
    present = existing | {offering.offering_id: offering for offering in changed}
    return [present[offering.offering_id] for offering in wanted]


def _event(offering: Offering) -> OfferingChanged:
    return OfferingChanged(
        version=offering.version,
        offering_id=offering.offering_id,
        name=offering.name,
        destination=offering.destination,
        data_bytes=offering.data_bytes,
        validity_seconds=offering.validity_seconds,
        stacking=offering.stacking,
        product_code=offering.product_code,
        brands=offering.brands,
        carriers=offering.carriers,
        subscription_statuses=offering.subscription_statuses,
        status=offering.status,
    )
