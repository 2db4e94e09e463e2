"""The one locked function: commands, API answers, webhooks and polls all enter here, by renewal id.

    insert what is missing, claimed -> lock what was there, in key order -> fold -> write -> calls

Constant number of statements whatever the batch: methods, (cards), insert, lock, (wallets), write, (wallets).
Declines are counted in one more. What may be about an archived payment is looked for before it is inserted:
commands, and prices of long ago.
"""

import time
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.payment import archive, card_tries, metrics, store
from services.payment.domain.calls import Call, call_of
from services.payment.domain.commands import Circumstances, Command, fold_command
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.outcomes import fold_outcome, fold_wallet
from services.payment.domain.payment import Change, Folded, Method, Operation, Patience, Payment
from services.payment.store import Lease, ToWrite
from shared.archive import is_young
from shared.contracts.prices import RenewalPriced
from shared.messaging.transaction import Transaction


class Order(NamedTuple):
    """A command as it came."""

    command: Command
    traceparent: str | None = None


@dataclass(slots=True, frozen=True)
class Recorded:
    """The calls that follow, claimed by the caller; and the renewals that no payment is known for."""

    calls: list[Call]
    unknown: set[UUID]


class Authority:
    """Folds batches of commands and of outcomes into the rows, under their locks."""

    def __init__(self, patience: Patience, lease: Lease) -> None:
        self._patience = patience
        self._lease = lease

    async def obey(self, transaction: Transaction, orders: Sequence[Order], room: int) -> list[Call]:
        """Fold commands; returns at most `room` calls for the caller to make once it has committed."""
        sent_from = time.monotonic()
        methods, tokens = await card_tries.read_methods(transaction, [order.command for order in orders])
        by_renewal: dict[UUID, list[Order]] = {}
        for order in orders:
            by_renewal.setdefault(order.command.renewal_id, []).append(order)
        new = {
            renewal_id: told
            for renewal_id, told in by_renewal.items()
            if _cannot_be_archived(told, transaction.now)
        }
        done, remaining = await self._open(transaction, new, methods, room, tokens) if new else ([], {})
        remaining |= {renewal_id: told for renewal_id, told in by_renewal.items() if renewal_id not in new}
        if remaining:
            room -= sum(write.is_leased for write in done)
            done += await self._obey_known(transaction, remaining, methods, room, tokens)
        return _announce(transaction, done, methods, tokens, sent_from + self._lease.send.total_seconds())

    async def record(self, transaction: Transaction, outcomes: Iterable[Outcome], room: int) -> Recorded:
        """Fold what gateways said; at most `room` calls follow. What concerns no row changes nothing."""
        sent_from = time.monotonic()
        by_renewal: dict[UUID, list[Outcome]] = {}
        for outcome in outcomes:
            by_renewal.setdefault(outcome.renewal_id, []).append(outcome)
        locked, archived = await archive.hold(transaction.connection, by_renewal)
        balances = await self._balances(transaction, by_renewal, locked)
        folds: list[Folded] = []
        for renewal_id, payment in locked.items():
            folded = Folded(payment)
            for outcome in by_renewal[renewal_id]:
                self._fold_outcome(folded, outcome, transaction, balances)
            folds.append(folded)
        done = await self._write(transaction, folds, room, {}, archived)
        calls = _announce(transaction, done, {}, {}, sent_from + self._lease.send.total_seconds())
        return Recorded(calls, by_renewal.keys() - locked.keys())

    async def _open(
        self,
        transaction: Transaction,
        by_renewal: Mapping[UUID, Sequence[Order]],
        methods: Mapping[str, Method],
        room: int,
        tokens: Mapping[str, str | None],
    ) -> tuple[list[ToWrite], dict[UUID, Sequence[Order]]]:
        """Insert the rows that are missing; those, and the orders that are left for rows that are there."""
        opening, later = self._opening(transaction, by_renewal, methods)
        writes = _leased(opening, room, tokens)
        opened = await store.open_payments(transaction.connection, writes, self._lease) if writes else set()
        done = [write for write in writes if _renewal_of(write) in opened]
        remaining = {
            renewal_id: rest
            for renewal_id in later
            if (rest := later[renewal_id] if renewal_id in opened else by_renewal[renewal_id])
        }
        return done, remaining

    async def _obey_known(
        self,
        transaction: Transaction,
        by_renewal: Mapping[UUID, Sequence[Order]],
        methods: Mapping[str, Method],
        room: int,
        tokens: Mapping[str, str | None],
    ) -> list[ToWrite]:
        """Fold orders on the rows that are there, in the archive too; only what is nowhere is inserted."""
        locked, archived = await archive.hold(transaction.connection, by_renewal)
        missing = {renewal_id: told for renewal_id, told in by_renewal.items() if renewal_id not in locked}
        done: list[ToWrite] = []
        known = {renewal_id: by_renewal[renewal_id] for renewal_id in locked}
        if missing:
            done, remaining = await self._open(transaction, missing, methods, room, tokens)
            room -= sum(write.is_leased for write in done)
            if remaining:
                locked |= await store.lock_payments(transaction.connection, remaining)
                known |= remaining
        folds = self._fold_known(transaction, known, locked, methods)
        return done + await self._write(transaction, folds, room, tokens, archived)

    def _opening(
        self,
        transaction: Transaction,
        by_renewal: Mapping[UUID, Sequence[Order]],
        methods: Mapping[str, Method],
    ) -> tuple[list[Folded], dict[UUID, Sequence[Order]]]:
        """Each key folded as if it had no row, up to its first change; and what is left of its orders."""
        opening: list[Folded] = []
        later: dict[UUID, Sequence[Order]] = {}
        for renewal_id, orders in by_renewal.items():
            folded = Folded(None)
            for position, order in enumerate(orders, 1):
                folded.add(self._fold(transaction, folded.payment, order, methods))
                if folded.payment is not None:
                    opening.append(folded)
                    later[renewal_id] = orders[position:]
                    break
        return opening, later

    def _fold_known(
        self,
        transaction: Transaction,
        by_renewal: Mapping[UUID, Sequence[Order]],
        locked: Mapping[UUID, Payment],
        methods: Mapping[str, Method],
    ) -> list[Folded]:
        """Each key folded on its locked row; a key without one has nothing to fold on."""
        folds = []
        for renewal_id, payment in locked.items():
            folded = Folded(payment)
            for order in by_renewal[renewal_id]:
                folded.add(self._fold(transaction, folded.payment, order, methods))
            folds.append(folded)
        return folds

    def _fold(
        self, transaction: Transaction, payment: Payment | None, order: Order, methods: Mapping[str, Method]
    ) -> Change | None:
        circumstances = Circumstances(transaction.now, methods, self._patience, order.traceparent)
        return fold_command(payment, order.command, circumstances)

    def _fold_outcome(
        self,
        folded: Folded,
        outcome: Outcome,
        transaction: Transaction,
        balances: dict[tuple[str, str], int],
    ) -> None:
        payment = folded.payment
        if payment is None:
            return
        if outcome.kind is not Kind.WALLET:
            change = fold_outcome(payment, outcome, transaction.now, self._patience)
        else:
            wallet = (payment.terms.payer_id, payment.currency)
            change = fold_wallet(payment, outcome, balances.get(wallet), transaction.now, self._patience)
            if change is not None and change.wallet_minor:
                balances[wallet] += change.wallet_minor
        if change is None:
            metrics.dropped(outcome.kind)
        folded.add(change)

    async def _balances(
        self,
        transaction: Transaction,
        by_renewal: Mapping[UUID, Sequence[Outcome]],
        locked: Mapping[UUID, Payment],
    ) -> dict[tuple[str, str], int]:
        wallets = {
            (payment.terms.payer_id, payment.currency)
            for renewal_id, payment in locked.items()
            if any(outcome.kind is Kind.WALLET for outcome in by_renewal[renewal_id])
        }
        return await store.lock_wallets(transaction.connection, wallets) if wallets else {}

    async def _write(
        self,
        transaction: Transaction,
        folds: Sequence[Folded],
        room: int,
        tokens: Mapping[str, str | None],
        archived: Set[UUID],
    ) -> list[ToWrite]:
        """Write what changed; returns everything that has something to say."""
        writes = _leased([folded for folded in folds if folded.changed], room, tokens)
        if writes:
            if archived:
                await archive.bring_back(transaction.connection, archived & set(map(_renewal_of, writes)))
            await store.write_payments(transaction.connection, writes, self._lease)
        return writes + [ToWrite(folded, False) for folded in folds if not folded.changed]


def _cannot_be_archived(orders: Sequence[Order], now: datetime) -> bool:
    """Whether the renewal has begun too recently, as the happy path always has: then no archive is asked."""
    return any(
        isinstance(order.command, RenewalPriced) and is_young(order.command.priced_at, now)
        for order in orders
    )


def _leased(folds: Sequence[Folded], room: int, tokens: Mapping[str, str | None]) -> list[ToWrite]:
    """The first `room` rows with a call to make are claimed by this process, the others by whoever polls."""
    writes = []
    for folded in folds:
        payment = folded.payment
        is_leased = (
            folded.begins
            and room > 0
            and payment is not None
            # The token is read with the claim; here only those of the batch's own commands are at hand.
            and (payment.operation is not Operation.CAPTURE or payment.payment_method_id in tokens)
        )
        room -= is_leased
        writes.append(ToWrite(folded, is_leased))
    return writes


def _renewal_of(write: ToWrite) -> UUID | None:
    return write.folded.payment.renewal_id if write.folded.payment is not None else None


def _announce(
    transaction: Transaction,
    done: Sequence[ToWrite],
    methods: Mapping[str, Method],
    tokens: Mapping[str, str | None],
    send_until: float,
) -> list[Call]:
    """Say what the folds said; returns the calls that this process has claimed."""
    calls = []
    transaction.after_commit(lambda: metrics.said(write.folded for write in done))
    for write in done:
        folded = write.folded
        payment = folded.payment
        if payment is None:
            continue
        for message in folded.messages:
            transaction.send(message, payment.traceparent)
        if write.is_leased:
            key = folded.attempts[payment.ordinal].key
            if key is None:
                raise ValueError("a call without its key was begun")
            named = payment.payment_method_id or ""
            calls.append(call_of(payment, key, tokens.get(named), send_until, methods.get(named)))
    return calls
