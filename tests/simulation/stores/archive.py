"""The services' archives on tables in memory: what is over is found there, and comes back to change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final
from uuid import UUID

from services.payment import archive as payments
from services.payment.domain.payment import Payment, State
from services.provisioning.topups import archive as top_ups
from services.provisioning.topups.domain.top_up import FINAL
from services.provisioning.topups.store import Held
from services.renewal import archive as renewals
from services.renewal.domain.renewal import Renewal
from tests.simulation.database import Open, statement
from tests.simulation.stores import payment, provisioning, renewal
from tests.simulation.stores.payment import PaymentDatabase
from tests.simulation.stores.provisioning import ProvisioningDatabase
from tests.simulation.stores.renewal import RenewalDatabase

_CASES: Final = frozenset({"promise_broken", "unresolved", "refund_failed_later"})
"""Flags of renewals that a person has to look into: they stay where they are seen."""

_HELD: Final = frozenset({"held", "surplus"})
"""Accounts of money that is not where it belongs yet."""

# -- payment ----------------------------------------------------------------------------------------


@statement
async def lock_payments(transaction: Open, renewal_ids: Collection[UUID]) -> dict[UUID, Payment]:
    tables = payment.tables(transaction)
    found = await transaction.lock_each(tables.archive, sorted(set(renewal_ids)))
    return {renewal_id: kept.line.payment.copy() for renewal_id, kept in found}


@statement
async def read_payments(transaction: Open, renewal_ids: Collection[UUID]) -> dict[UUID, Payment]:
    table = payment.tables(transaction).archive
    found = {renewal_id: transaction.get(table, renewal_id) for renewal_id in renewal_ids}
    return {renewal_id: kept.line.payment.copy() for renewal_id, kept in found.items() if kept is not None}


@statement
async def bring_payments_back(transaction: Open, renewal_ids: Iterable[UUID]) -> None:
    tables = payment.tables(transaction)
    for renewal_id, kept in await transaction.lock_each(tables.archive, sorted(set(renewal_ids))):
        transaction.remove(tables.archive, renewal_id)
        await transaction.insert(tables.payments, renewal_id, kept.line)
        for ordinal, attempt in kept.attempts:
            await transaction.insert(tables.attempts, (renewal_id, ordinal), attempt)


def archive_payments(tables: PaymentDatabase) -> None:
    """What the archive's loop does in time: moves what is over and settled, by payment's own book."""
    for renewal_id, line in list(tables.payments.rows.items()):
        one = line.payment
        earned = one.state is State.CAPTURED and one.applied_at is not None
        over = one.operation is None and (earned or one.state in (State.CANCELLED, State.REFUNDED))
        if over and not _held_minor(tables, renewal_id):
            ordinals = sorted(ordinal for owner, ordinal in tables.attempts.rows if owner == renewal_id)
            calls = tuple((ordinal, tables.attempts.rows.pop((renewal_id, ordinal))) for ordinal in ordinals)
            tables.archive.rows[renewal_id] = payment.ArchivedLine(
                tables.payments.rows.pop(renewal_id), calls
            )


def _held_minor(tables: PaymentDatabase, renewal_id: UUID) -> int:
    """What the ledger still holds for it, in minor units."""
    lines = [line for (owner, _), line in tables.transfers.rows.items() if owner == renewal_id]
    came = sum(line.amount_minor for line in lines if line.credit_account in _HELD)
    return came - sum(line.amount_minor for line in lines if line.debit_account in _HELD)


# -- provisioning -----------------------------------------------------------------------------------


@statement
async def lock_top_ups(transaction: Open, renewal_ids: Sequence[UUID]) -> dict[UUID, Held]:
    tables = provisioning.tables(transaction)
    held: dict[UUID, Held] = {}
    for renewal_id, kept in await transaction.lock_each(tables.archive, sorted(set(renewal_ids))):
        subscription = transaction.get(tables.subscriptions, kept.line.order.subscription_id)
        iccid, carrier = subscription[:2] if subscription is not None else (None, None)
        held[renewal_id] = Held(kept.line.top_up, kept.line.order, iccid, carrier)
    return held


@statement
async def bring_top_ups_back(transaction: Open, renewal_ids: Collection[UUID]) -> None:
    tables = provisioning.tables(transaction)
    found = await transaction.lock_each(tables.archive, sorted(set(renewal_ids)))
    for renewal_id, kept in found:
        transaction.remove(tables.archive, renewal_id)
        await transaction.insert(tables.top_ups, renewal_id, kept.line)
        for key, attempt in kept.attempts:
            await transaction.insert(tables.attempts, key, attempt)


def archive_top_ups(tables: ProvisioningDatabase) -> None:
    """What the archive's loop does in time: moves what is decided for good and was not contradicted."""
    for renewal_id, line in list(tables.top_ups.rows.items()):
        tries = {
            key: tables.attempts.rows[key] for key in sorted(tables.attempts.rows) if key[0] == renewal_id
        }
        state = line.top_up.state
        contradicted = any(one.attempt.status == "applied" and state != "applied" for one in tries.values())
        if state in FINAL and not contradicted and all(one.ended_at is not None for one in tries.values()):
            for key in tries:
                del tables.attempts.rows[key]
            kept = provisioning.ArchivedLine(tables.top_ups.rows.pop(renewal_id), tuple(tries.items()))
            tables.archive.rows[renewal_id] = kept


# -- renewal ----------------------------------------------------------------------------------------


@statement
async def lock_renewals(transaction: Open, renewal_ids: Collection[UUID]) -> list[Renewal]:
    found = await transaction.lock_each(renewal.tables(transaction).archive, sorted(set(renewal_ids)))
    return [kept.line.renewal for _, kept in found]


@statement
async def bring_renewals_back(transaction: Open, renewal_ids: Collection[UUID]) -> None:
    tables = renewal.tables(transaction)
    for renewal_id, kept in await transaction.lock_each(tables.archive, sorted(set(renewal_ids))):
        transaction.remove(tables.archive, renewal_id)
        await transaction.insert(tables.renewals, renewal_id, kept.line)
        for version, line in kept.history:
            await transaction.insert(tables.history, (renewal_id, version), line)


def archive_renewals(tables: RenewalDatabase) -> None:
    """What the archive's loop does in time: moves what is closed, unless a person has to look into it."""
    for renewal_id, line in list(tables.renewals.rows.items()):
        if line.renewal.closed_at is not None and not _CASES & set(line.renewal.flags.split()):
            versions = sorted(version for owner, version in tables.history.rows if owner == renewal_id)
            told = tuple((version, tables.history.rows.pop((renewal_id, version))) for version in versions)
            tables.archive.rows[renewal_id] = renewal.ArchivedLine(tables.renewals.rows.pop(renewal_id), told)
            _keep_cycle(tables, line.renewal)


def _keep_cycle(tables: RenewalDatabase, archived: Renewal) -> None:
    """The number of the last top-up stays where admission asks."""
    known = tables.subscriptions.rows.get(archived.subscription_id)
    if known is not None and archived.top_up_cycle is not None:
        top_ups = max(known.top_ups, archived.top_up_cycle)
        tables.subscriptions.rows[archived.subscription_id] = known._replace(top_ups=top_ups)


FUNCTIONS: Final = {
    payments: {"_lock": lock_payments, "read": read_payments, "bring_back": bring_payments_back},
    top_ups: {"_lock": lock_top_ups, "_bring_back": bring_top_ups_back},
    renewals: {"lock": lock_renewals, "bring_back": bring_renewals_back},
}
NOT_ASKED: Final = {
    payments: {"find_payment", "find_attempts", "list_payments", "hold", "unearned"},
    top_ups: {"hold", "lock_attempts", "find", "of_subscription"},
    renewals: {"find_renewal", "find_history", "list_renewals"},
}
"""Functions that only HTTP needs, or that are made of others."""
