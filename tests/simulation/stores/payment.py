"""services/payment/store.py on tables in memory: same names, same arguments, same answers.

Each function follows its statement in queries.sql: what it leaves alone is left alone here. So it is
longer than others: the store and all its statements, in their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from services.payment import store
from services.payment.domain.network_caps import FOR_EVER, MOST_DECLINES, counts, is_final
from services.payment.domain.payment import CallStatus, Decision, Method, Operation, Payment, State
from services.payment.store import Card, Lease, ToWrite
from shared.calls.fairness import fetch_fairly
from tests.simulation.database import Database, Open, Table, statement

_QUEUED_FOR: Final = timedelta(minutes=10)
_UNSETTLED: Final = frozenset({"sending", "unknown"})


class AttemptLine(NamedTuple):
    """A row of payment_attempts."""

    first_sent_at: datetime
    send_before: datetime | None
    ended_at: datetime | None
    operation: str
    status: str
    code: str | None
    provider_reference: str | None
    payment_method_id: str
    gateway: str


class TransferLine(NamedTuple):
    """A row of ledger_transfers."""

    kind: str
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str
    transferred_at: datetime


class MethodLine(NamedTuple):
    """A row of payment_methods, as far as payments read and write it."""

    payment_method_id: str
    payer_id: str
    gateway: str
    status: str
    network: str | None
    declined_at: tuple[datetime, ...]
    token: str | None
    card: bytes | None


class PaymentLine(NamedTuple):
    """A row of payments. It waits in the queue of `lane` while `queued_until` equals its `due_at`."""

    payment: Payment
    lane: str | None = None
    is_bulk: bool | None = None
    queued_until: datetime | None = None

    @property
    def is_queued(self) -> bool:
        due_at = self.payment.due_at
        return due_at is not None and self.queued_until == due_at and self.payment.operation is not None


class ArchivedLine(NamedTuple):
    """A payment that is over, whole, with its calls by their ordinals."""

    line: PaymentLine
    attempts: tuple[tuple[int, AttemptLine], ...]


class PaymentDatabase(Database):
    """Payment's tables."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.payments: Table[UUID, PaymentLine] = Table("payments")
        self.archive: Table[UUID, ArchivedLine] = Table("archive_register")
        self.attempts: Table[tuple[UUID, int], AttemptLine] = Table("payment_attempts")
        self.transfers: Table[tuple[UUID | None, UUID], TransferLine] = Table("ledger_transfers")
        self.methods: Table[str, MethodLine] = Table("payment_methods")
        self.wallets: Table[tuple[str, str], int] = Table("wallets")

    def next_due(self) -> datetime | None:
        """When a claim would find something first that waits in no queue."""
        lines = [line for line in self.payments.rows.values() if line.payment.operation is not None]
        due = (line.payment.due_at for line in lines)
        return min((due_at for due_at in due if due_at is not None), default=None)

    def queues(self) -> set[str | None]:
        """The gateways that calls wait for."""
        return {line.lane for line in self.payments.rows.values() if line.is_queued}

    def payment(self, renewal_id: UUID) -> Payment | None:
        """The payment as it stands, open or archived."""
        line = self.payments.rows.get(renewal_id)
        if line is None and (archived := self.archive.rows.get(renewal_id)) is not None:
            line = archived.line
        return None if line is None else line.payment


def tables(transaction: Open) -> PaymentDatabase:
    database = transaction.database
    assert isinstance(database, PaymentDatabase)
    return database


@statement
async def methods(
    transaction: Open, payment_method_ids: Iterable[str]
) -> tuple[dict[str, Method], dict[str, str | None]]:
    table = tables(transaction).methods
    found = [row for name in sorted(set(payment_method_ids)) if (row := transaction.get(table, name))]
    known = {row[0]: Method(*row[:6]) for row in found}
    return known, {row[0]: row.token for row in found}


@statement
async def lock_cards(transaction: Open, payment_method_ids: Iterable[str]) -> dict[str, Card]:
    own = tables(transaction)
    named = [transaction.get(own.methods, name) for name in set(payment_method_ids)]
    cards = {row.card for row in named if row is not None and row.card is not None}
    names = sorted(name for name, row in transaction.scan(own.methods) if row.card in cards)
    locked = await transaction.lock_each(own.methods, names)
    under_way: Counter[bytes] = Counter()
    for _, line in transaction.scan(own.payments):
        method = transaction.get(own.methods, line.payment.payment_method_id or "")
        capturing = line.payment.due_at is not None and line.payment.state is State.CAPTURING
        if capturing and method is not None and method.card is not None:
            under_way[method.card] += 1
    return {
        name: Card(row.card, row.declined_at, under_way[row.card])
        for name, row in locked
        if row.card is not None
    }


@statement
async def open_payments(transaction: Open, writes: Sequence[ToWrite], lease: Lease) -> set[UUID]:
    own = tables(transaction)
    opened: set[UUID] = set()
    for write in sorted(writes, key=lambda one: _payment(one).renewal_id):
        folded = _payment(write)
        payment = folded.copy(
            capture_ordinal=folded.ordinal,
            claim=int(write.is_leased),
            due_at=transaction.clock + lease.held if write.is_leased else folded.due_at,
            objects=0,
            refund_attempt=0,
            surplus=(),
            refund_answer=None,
            **dict.fromkeys(_NOT_AT_FIRST),
        )
        line = PaymentLine(payment)
        if payment.operation is not None and not write.is_leased:
            until = transaction.now + _QUEUED_FOR
            is_bulk = not payment.terms.is_awaited
            line = PaymentLine(payment.copy(due_at=until), payment.gateway, is_bulk, until)
        transaction.about.add(payment.renewal_id)
        if not await transaction.insert(own.payments, payment.renewal_id, line):
            continue
        opened.add(payment.renewal_id)
        if payment.operation is not None:
            attempt = AttemptLine(
                transaction.clock,
                transaction.clock + lease.send if write.is_leased else None,
                None,
                payment.operation,
                "sending",
                None,
                None,
                payment.payment_method_id or "",
                payment.gateway or "",
            )
            await transaction.insert(own.attempts, (payment.renewal_id, payment.ordinal), attempt)
    return opened


_NOT_AT_FIRST: Final = (
    "provider_reference",
    "reference_gateway",
    "refund_reference",
    "applied_at",
    "disputed_at",
    "refund_returned_at",
)


@statement
async def lock_payments(transaction: Open, renewal_ids: Iterable[UUID]) -> dict[UUID, Payment]:
    wanted = sorted(set(renewal_ids))
    transaction.about.update(wanted)
    found = await transaction.lock_each(tables(transaction).payments, wanted)
    return {renewal_id: line.payment.copy() for renewal_id, line in found}


@statement
async def lock_wallets(transaction: Open, wallets: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    return dict(await transaction.lock_each(tables(transaction).wallets, sorted(set(wallets))))


@statement
async def store_references(
    transaction: Open, created: Sequence[tuple[UUID, str, str, int, int]]
) -> set[UUID]:
    table = tables(transaction).payments
    named = {renewal_id: (gateway, reference) for renewal_id, gateway, reference, *_ in created}
    transaction.about.update(named)
    wanted = {
        renewal_id: partial(_is_asked, (Operation.CAPTURE, ordinal, claim, None))
        for renewal_id, _, _, ordinal, claim in sorted(created)
    }
    found = await transaction.lock_where(table, wanted)
    for renewal_id, line in found:
        gateway, reference = named[renewal_id]
        stored = line.payment.copy(provider_reference=reference, reference_gateway=gateway)
        transaction.put(table, renewal_id, line._replace(payment=stored))
    return {renewal_id for renewal_id, _ in found}


def _is_asked(call: tuple[Any, ...], row: PaymentLine) -> bool:
    payment = row.payment
    return call == (payment.operation, payment.ordinal, payment.claim, payment.provider_reference)


@statement
async def write_payments(transaction: Open, writes: Sequence[ToWrite], lease: Lease) -> None:
    own = tables(transaction)
    for write in writes:
        payment = _payment(write)
        transaction.about.add(payment.renewal_id)
        row = await transaction.lock(own.payments, payment.renewal_id)
        if row is not None:
            updated = _updated(row.payment, write, transaction, lease)
            transaction.put(own.payments, payment.renewal_id, row._replace(payment=updated))
        await _write_attempts(transaction, own, write, lease)
        for transfer in write.folded.transfers:
            line = TransferLine(*transfer[1:6], transaction.now)
            await transaction.insert(own.transfers, (transfer.renewal_id, transfer.id), line)
    declined = [
        (attempt.payment_method_id, is_final(attempt.code))
        for write in writes
        for attempt in write.folded.attempts.values()
        if attempt.key is None and counts(attempt)
    ]
    if declined:
        await _count_declines(transaction, declined)
    moves: Counter[tuple[str, str]] = Counter()
    for write in writes:
        if write.folded.wallet_minor:
            payment = _payment(write)
            moves[payment.terms.payer_id, payment.currency] += write.folded.wallet_minor
    for wallet, minor in moves.items():
        await _move(transaction, wallet, minor)


def _updated(row: Payment, write: ToWrite, transaction: Open, lease: Lease) -> Payment:
    payment = _payment(write)
    return payment.copy(
        claim=row.claim + write.is_leased,
        due_at=transaction.clock + lease.held if write.is_leased else payment.due_at,
        **{name: getattr(row, name) for name in _NEVER_UPDATED},
    )


_NEVER_UPDATED: Final = (
    "subscription_id",
    "terms",
    "currency",
    "amount_minor",
    "grant",
    "applied_at",
    "traceparent",
)


async def _write_attempts(transaction: Open, own: PaymentDatabase, write: ToWrite, lease: Lease) -> None:
    payment = _payment(write)
    for attempt in write.folded.attempts.values():
        key = (payment.renewal_id, attempt.ordinal)
        row = await transaction.lock(own.attempts, key)
        if attempt.key is not None:
            is_leased = write.is_leased and attempt.ordinal == payment.ordinal
            send_before = transaction.clock + lease.send if is_leased else None
            ended_at = None if attempt.status in _UNSETTLED else transaction.now
            if row is not None:
                row = row._replace(
                    status=attempt.status,
                    code=attempt.code,
                    ended_at=ended_at,
                    send_before=send_before or row.send_before,
                )
            else:
                row = AttemptLine(
                    transaction.clock,
                    send_before,
                    ended_at,
                    attempt.operation,
                    attempt.status,
                    attempt.code,
                    attempt.reference,
                    attempt.payment_method_id,
                    attempt.gateway,
                )
                await transaction.insert(own.attempts, key, row)
            transaction.put(own.attempts, key, row)
        elif row is not None and _may_say(row, attempt.status):
            settled = row._replace(
                status=attempt.status,
                code=attempt.code,
                ended_at=None if attempt.status == CallStatus.UNKNOWN else transaction.now,
                provider_reference=attempt.reference or row.provider_reference,
            )
            transaction.put(own.attempts, key, settled)


def _may_say(row: AttemptLine, status: str) -> bool:
    """What is settled stays so: only a later success says otherwise, or what came of the payer's turn."""
    return row.status in _UNSETTLED or status == CallStatus.SUCCEEDED or row.code == "action_required"


async def _count_declines(transaction: Open, declined: Sequence[tuple[str, bool]]) -> None:
    """Under every name that the cards have; no more than any cap asks about."""
    table = tables(transaction).methods
    named = [(transaction.get(table, name), final) for name, final in declined]
    times = Counter(row.card for row, _ in named if row is not None and row.card is not None)
    finals = {row.card for row, final in named if row is not None and final}
    names = sorted(name for name, row in transaction.scan(table) if row.card in times)
    for name, row in await transaction.lock_each(table, names):
        earlier = (at for at in row.declined_at if at != FOR_EVER)
        ageing = (*[transaction.now] * times[row.card or b""], *earlier)
        never = (FOR_EVER,) if row.card in finals or FOR_EVER in row.declined_at else ()
        transaction.put(table, name, row._replace(declined_at=(*never, *ageing)[:MOST_DECLINES]))


async def _move(transaction: Open, wallet: tuple[str, str], minor: int) -> None:
    table = tables(transaction).wallets
    balance = await transaction.lock(table, wallet)
    if balance is None:
        return
    if balance + minor < 0:
        raise asyncpg.CheckViolationError("a wallet below zero")
    transaction.put(table, wallet, balance + minor)


@statement
async def claim_calls(transaction: Open, limit: int, lease: Lease) -> list[dict[str, Any]]:
    own = tables(transaction)
    due = sorted(
        (line.payment.due_at, renewal_id)
        for renewal_id, line in transaction.scan(own.payments)
        if line.payment.due_at is not None
        and line.payment.due_at <= transaction.now
        and line.payment.operation is not None
    )
    picked: list[UUID] = []
    for _, renewal_id in due:
        if len(picked) < limit and transaction.is_free(own.payments, renewal_id):
            transaction.take(own.payments, renewal_id)
            picked.append(renewal_id)
    return await _take_calls(transaction, picked, lease)


@statement
async def claim_queued(transaction: Open, wanted: Mapping[str, int], lease: Lease) -> list[dict[str, Any]]:
    own = tables(transaction)

    async def pick(numbers: Mapping[str, int], is_bulk: bool) -> list[tuple[UUID, str]]:
        found: list[tuple[UUID, str]] = []
        for lane, number in numbers.items():
            waiting = sorted(
                (line.payment.due_at, renewal_id)
                for renewal_id, line in transaction.scan(own.payments)
                if line.is_queued and line.lane == lane and line.is_bulk == is_bulk and line.payment.due_at
            )
            of_lane: list[tuple[UUID, str]] = []
            for _, renewal_id in waiting:
                if len(of_lane) < number and transaction.is_free(own.payments, renewal_id):
                    transaction.take(own.payments, renewal_id)
                    of_lane.append((renewal_id, lane))
            found += of_lane
        return found

    picked = dict.fromkeys(row[0] for row in await fetch_fairly(wanted, pick, lambda row: row[1]))
    return await _take_calls(transaction, list(picked), lease)


async def _take_calls(transaction: Open, picked: Sequence[UUID], lease: Lease) -> list[dict[str, Any]]:
    own = tables(transaction)
    claimed: list[dict[str, Any]] = []
    transaction.about.update(picked)
    for renewal_id in picked:
        line = await transaction.lock(own.payments, renewal_id)
        assert line is not None
        payment, key = line.payment, (renewal_id, line.payment.ordinal)
        attempt = await transaction.lock(own.attempts, key)
        if attempt is None:
            raise KeyError(renewal_id)
        claimed.append(
            _claimed(payment, attempt, transaction.get(own.methods, payment.payment_method_id or ""))
        )
        resolve_before = payment.resolve_before
        if line.is_queued and resolve_before is not None and line.queued_until is not None:
            resolve_before += transaction.now - (line.queued_until - _QUEUED_FOR)
        held = payment.copy(
            due_at=transaction.clock + lease.held,
            claim=payment.claim + 1,
            call_status=CallStatus.SENDING,
            resolve_before=resolve_before,
        )
        transaction.put(own.payments, renewal_id, line._replace(payment=held))
        if payment.operation is not Operation.ASK:
            stamped = attempt._replace(send_before=transaction.clock + lease.send, status="sending")
            transaction.put(own.attempts, key, stamped)
    return claimed


@statement
async def queue_calls(
    transaction: Open, queued: Sequence[tuple[UUID, int, int, str, bool, bool, datetime | None]]
) -> None:
    own = tables(transaction)
    given = {row[0]: row for row in sorted(queued, key=itemgetter(0))}
    transaction.about.update(given)
    wanted = {renewal_id: partial(_is_held, (row[2], row[1])) for renewal_id, row in given.items()}
    for renewal_id, line in await transaction.lock_where(own.payments, wanted):
        _, ordinal, _, lane, is_bulk, is_unsent, sent_before = given[renewal_id]
        until = transaction.now + _QUEUED_FOR
        waiting = line.payment.copy(call_status=CallStatus.UNKNOWN, due_at=until)
        transaction.put(own.payments, renewal_id, PaymentLine(waiting, lane, is_bulk, until))
        attempt = await transaction.lock(own.attempts, (renewal_id, ordinal))
        if is_unsent and attempt is not None:
            transaction.put(own.attempts, (renewal_id, ordinal), attempt._replace(send_before=sent_before))


def _is_held(call: tuple[int, int], row: PaymentLine) -> bool:
    payment = row.payment
    return payment.operation is not None and call == (payment.claim, payment.ordinal)


@statement
async def count_queued(transaction: Open) -> dict[str, int]:
    waiting = [line for _, line in transaction.scan(tables(transaction).payments) if line.is_queued]
    return dict(Counter(line.lane or "" for line in waiting))


@statement
async def read_oldest_surplus(transaction: Open) -> datetime | None:
    payments = [line.payment for _, line in transaction.scan(tables(transaction).payments)]
    tried = [one.resolve_before for one in payments if one.operation is Operation.SURPLUS and one.surplus]
    return min((until for until in tried if until is not None), default=None)


def _claimed(payment: Payment, attempt: AttemptLine, method: MethodLine | None) -> dict[str, Any]:
    same = {name: getattr(payment, name) for name in _CLAIMED}
    return same | {
        "claim": payment.claim + 1,
        "surplus": orjson.dumps(payment.surplus).decode() if payment.surplus else None,
        "sent_before": attempt.send_before,
        "first_sent_at": attempt.first_sent_at,
        "call_reference": attempt.provider_reference,
        "is_bulk": not payment.terms.is_awaited,
        "token": method.token if method is not None else None,
        "network": method.network if method is not None else None,
        "declined_at": (list(method.declined_at) or None) if method is not None else None,
    }


_CLAIMED: Final = (
    "renewal_id",
    "operation",
    "ordinal",
    "payment_method_id",
    "gateway",
    "reference_gateway",
    "provider_reference",
    "objects",
    "amount_minor",
    "currency",
    "cancel_wanted",
    "decision",
)


@statement
async def apply_captures(transaction: Open, applied: Sequence[tuple[UUID, UUID, datetime]]) -> list[UUID]:
    own = tables(transaction)
    named = {row[0]: row for row in sorted(applied, key=itemgetter(0))}
    transaction.about.update(named)
    earned = await transaction.lock_where(own.payments, dict.fromkeys(named, _may_earn))
    for renewal_id, row in earned:
        payment, (_, transfer_id, applied_at) = row.payment, named[renewal_id]
        earning = replace(payment, applied_at=applied_at, version=payment.version + 1)
        transaction.put(own.payments, renewal_id, row._replace(payment=earning))
        if payment.amount_minor and payment.disputed_at is None:
            line = TransferLine(
                "applied", "held", "applied", payment.amount_minor, payment.currency, transaction.now
            )
            await transaction.insert(own.transfers, (renewal_id, transfer_id), line)
    others = [renewal_id for renewal_id in named if renewal_id not in dict(earned)]
    found = {renewal_id: transaction.get(own.payments, renewal_id) for renewal_id in others}
    return [renewal_id for renewal_id, row in found.items() if row is None or row.payment.applied_at is None]


def _may_earn(row: PaymentLine) -> bool:
    payment = row.payment
    is_captured = payment.decision is Decision.CAPTURED and payment.state is not State.REFUNDED
    return is_captured and payment.applied_at is None


def _payment(write: ToWrite) -> Payment:
    assert write.folded.payment is not None
    return write.folded.payment


FUNCTIONS: Final = {
    store: {
        "methods": methods,
        "lock_cards": lock_cards,
        "open_payments": open_payments,
        "lock_payments": lock_payments,
        "lock_wallets": lock_wallets,
        "store_references": store_references,
        "write_payments": write_payments,
        "claim_calls": claim_calls,
        "claim_queued": claim_queued,
        "queue_calls": queue_calls,
        "count_queued": count_queued,
        "read_oldest_surplus": read_oldest_surplus,
        "apply_captures": apply_captures,
    },
}
NOT_ASKED: Final = {
    store: {"read_payment", "read_attempts", "read_transfers", "list_payments", "read_accounts", "read_proof"}
    | {"_take_calls"}
}
"""Functions that only HTTP needs, or that are made of others."""
