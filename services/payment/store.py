"""Functions over queries.sql: rows in, rows out, no decisions.

Longer than most: a payment has many columns, and each is named on its way in and on its way out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from services.payment.domain.network_caps import FOR_EVER, MOST_DECLINES, counts, is_final
from services.payment.domain.payment import (
    AttemptRow,
    CallStatus,
    Decision,
    Folded,
    Method,
    Operation,
    Payment,
    State,
    Surplus,
    Transfer,
)
from shared.calls.fairness import fetch_fairly
from shared.contracts.message import Grant, RenewalMessage, Terms
from shared.contracts.registry import MESSAGES
from shared.database import Connection
from shared.database.arrays import columns, sparse
from shared.database.queries import load_queries

SQL = load_queries(__file__)
_first = itemgetter(0)
_STATES = {state.value: state for state in State}
_DECISIONS: dict[str | None, Decision | None] = {None: None, **{word.value: word for word in Decision}}
_OPERATIONS: dict[str | None, Operation | None] = {None: None, **{word.value: word for word in Operation}}
_STATUSES: dict[str | None, CallStatus | None] = {None: None, **{word.value: word for word in CallStatus}}


@dataclass(slots=True, frozen=True)
class Lease:
    """How long a claimed row is left alone, and until when its call may still be written to the network."""

    held: timedelta
    send: timedelta


@dataclass(slots=True, frozen=True)
class ToWrite:
    """A folded row, and whether this process makes its call now (else whoever polls first)."""

    folded: Folded
    is_leased: bool


async def methods(
    connection: Connection, payment_method_ids: Iterable[str]
) -> tuple[dict[str, Method], dict[str, str | None]]:
    """The named methods, and apart from them the tokens: those go to the calls and nowhere else."""
    rows = await connection.fetch(SQL["methods"], list(set(payment_method_ids)))
    known = {row[0]: Method(row[0], row[1], row[2], row[3], row[4], tuple(row[5] or ())) for row in rows}
    return known, {row[0]: row[6] for row in rows}


class Card(NamedTuple):
    """What counts against a card: its declines that may still count, and tries that are not answered yet."""

    card: bytes
    declined_at: tuple[datetime, ...]
    under_way: int


async def lock_cards(connection: Connection, payment_method_ids: Iterable[str]) -> dict[str, Card]:
    """The cards of these methods, by method: no other batch decides about them before this one ends."""
    rows = await connection.fetch(SQL["lock_cards"], list(payment_method_ids))
    counted = await connection.fetch(SQL["count_under_way"], list({row[1] for row in rows}))
    under_way = {row[0]: row[1] for row in counted}
    return {row[0]: Card(row[1], tuple(row[2] or ()), under_way.get(row[1], 0)) for row in rows}


async def open_payments(connection: Connection, writes: Sequence[ToWrite], lease: Lease) -> set[UUID]:
    """Insert the rows that are not there yet, with their first call; returns which were inserted."""
    rows = sorted((_opening(write) for write in writes), key=_first)
    opened = await connection.fetch(SQL["open_payments"], *sparse(columns(rows, 24)), lease.held, lease.send)
    return {row[0] for row in opened}


async def lock_payments(connection: Connection, renewal_ids: Iterable[UUID]) -> dict[UUID, Payment]:
    """The rows as they are now, locked until the transaction ends."""
    rows = await connection.fetch(SQL["lock_payments"], list(renewal_ids))
    return {row["renewal_id"]: payment_of(row) for row in rows}


async def lock_wallets(
    connection: Connection, wallets: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Balances in minor units by (payer, currency), locked; a wallet that is not there is left out."""
    rows = await connection.fetch(SQL["lock_wallets"], *columns(wallets, 2))
    return {(row[0], row[1]): row[2] for row in rows}


async def store_references(
    connection: Connection, created: Sequence[tuple[UUID, str, str, int, int]]
) -> set[UUID]:
    """Keep (renewal, gateway, reference, ordinal, claim); returns the renewals that still want the call."""
    rows = await connection.fetch(SQL["store_references"], *columns(sorted(created, key=_first), 5))
    return {row[0] for row in rows}


async def write_payments(connection: Connection, writes: Sequence[ToWrite], lease: Lease) -> None:
    """All that the folds changed, in one statement; declines and wallets in others, where there are any."""
    rows = [_changed(write) for write in writes]
    begun: list[tuple[Any, ...]] = []
    results: list[tuple[Any, ...]] = []
    declined: list[tuple[str, bool]] = []
    for write in writes:
        payment = write.folded.payment
        if payment is None:
            continue
        for attempt in write.folded.attempts.values():
            if attempt.key is None:
                results.append(_result(payment.renewal_id, attempt))
                if counts(attempt):
                    declined.append((attempt.payment_method_id, is_final(attempt.code)))
            else:
                is_leased = write.is_leased and attempt.ordinal == payment.ordinal
                begun.append((*_begun(payment.renewal_id, attempt), is_leased))
    transfers = [_transfer(transfer) for write in writes for transfer in write.folded.transfers]
    await connection.execute(
        SQL["write_payments"],
        *sparse(columns(rows, 28)),
        lease.held,
        lease.send,
        *sparse(columns(begun, 9)),
        *sparse(columns(results, 5)),
        *sparse(columns(transfers, 7)),
    )
    if declined:
        await connection.execute(SQL["count_declines"], *columns(declined, 2), MOST_DECLINES, FOR_EVER)
    moves: dict[tuple[str, str], int] = {}
    for write in writes:
        payment = write.folded.payment
        if payment is not None and write.folded.wallet_minor:
            wallet = (payment.terms.payer_id, payment.currency)
            moves[wallet] = moves.get(wallet, 0) + write.folded.wallet_minor
    if moves:
        await connection.execute(
            SQL["move_balances"], *columns([(*wallet, moved) for wallet, moved in moves.items()], 3)
        )


async def claim_calls(connection: Connection, limit: int, lease: Lease) -> list[asyncpg.Record]:
    """Rows whose call nobody holds, now held by the caller for the length of the lease."""
    picked = await connection.fetch(SQL["pick_due_calls"], limit)
    return await _take_calls(connection, picked, lease)


async def claim_queued(
    connection: Connection, wanted: Mapping[str, int], lease: Lease
) -> list[asyncpg.Record]:
    """So many calls as are wanted from each gateway's queue, people first; held like those."""

    async def pick(numbers: Mapping[str, int], is_bulk: bool) -> list[asyncpg.Record]:
        return await connection.fetch(
            SQL["pick_queued_calls"], list(numbers), list(numbers.values()), is_bulk
        )

    return await _take_calls(connection, await fetch_fairly(wanted, pick, itemgetter("lane")), lease)


async def _take_calls(
    connection: Connection, picked: Sequence[asyncpg.Record], lease: Lease
) -> list[asyncpg.Record]:
    if not picked:
        return []
    renewal_ids = [row[0] for row in picked]
    rows = await connection.fetch(SQL["take_calls"], renewal_ids, lease.held, lease.send)
    taken = {row["renewal_id"]: row for row in rows}
    return [taken[renewal_id] for renewal_id in renewal_ids]


async def queue_calls(
    connection: Connection, queued: Sequence[tuple[UUID, int, int, str, bool, bool, datetime | None]]
) -> None:
    """Give calls back that were not taken: (renewal, ordinal, claim, lane, bulk, unsent, sent before)."""
    await connection.execute(SQL["queue_calls"], *columns(sorted(queued, key=_first), 7))


async def count_queued(connection: Connection) -> dict[str, int]:
    """How many calls wait in each queue that is not empty."""
    return {row[0]: row[1] for row in await connection.fetch(SQL["count_queued_calls"])}


async def read_oldest_surplus(connection: Connection) -> datetime | None:
    """The earliest resolution deadline of surplus that goes back; None where there is none."""
    deadline: datetime | None = await connection.fetchval(SQL["read_oldest_surplus"])
    return deadline


async def apply_captures(
    connection: Connection, applied: Sequence[tuple[UUID, UUID, datetime]]
) -> list[UUID]:
    """Mark (renewal, transfer id, instant) as earned; returns the renewals for which no money is held.

    One statement, and another where some earned nothing now.
    """
    rows = await connection.fetch(SQL["apply_captures"], *columns(sorted(applied, key=_first), 3))
    if len(rows) == len(applied):
        return []
    earned = {row[0] for row in rows}
    others = [renewal_id for renewal_id, *_ in applied if renewal_id not in earned]
    return [row[0] for row in await connection.fetch(SQL["unearned"], others)]


def payment_of(row: asyncpg.Record) -> Payment:
    """The payment that a row of `payments` holds."""
    grant = row["grant_given"]
    return Payment(
        renewal_id=row["renewal_id"],
        subscription_id=row["subscription_id"],
        terms=Terms.model_validate_json(row["terms"]),
        currency=row["currency"],
        version=row["version"],
        state=_STATES[row["state"]],
        decision=_DECISIONS[row["decision"]],
        attempt=row["attempt"],
        payment_method_id=row["payment_method_id"],
        gateway=row["gateway"],
        amount_minor=row["amount_minor"],
        grant=None if grant is None else Grant.model_validate_json(grant),
        act_before=row["act_before"],
        provider_reference=row["provider_reference"],
        reference_gateway=row["reference_gateway"],
        objects=row["objects"],
        operation=_OPERATIONS[row["operation"]],
        ordinal=row["ordinal"],
        capture_ordinal=row["capture_ordinal"],
        call_status=_STATUSES[row["call_status"]],
        claim=row["claim"],
        due_at=row["due_at"],
        resolve_before=row["resolve_before"],
        cancel_wanted=row["cancel_wanted"],
        refund_attempt=row["refund_attempt"],
        surplus=surplus_of(row["surplus"]),
        answer=_read_answer(row["answer"]),
        refund_answer=_read_answer(row["refund_answer"]),
        refund_reference=row["refund_reference"],
        captured_at=row["captured_at"],
        captured_version=row["captured_version"],
        applied_at=row["applied_at"],
        disputed_at=row["disputed_at"],
        refund_returned_at=row["refund_returned_at"],
        traceparent=row["traceparent"],
    )


def surplus_of(text: str | None) -> tuple[Surplus, ...]:
    """The surplus that a column of that name holds."""
    return () if text is None else tuple(Surplus(**held) for held in orjson.loads(text))


def _opening(write: ToWrite) -> tuple[Any, ...]:
    folded = write.folded
    payment = folded.payment
    if payment is None:
        raise ValueError("nothing to insert")
    return (
        payment.renewal_id,
        payment.version,
        payment.attempt,
        payment.ordinal,
        payment.due_at,
        payment.act_before,
        payment.resolve_before,
        payment.captured_at,
        payment.captured_version,
        payment.state,
        payment.decision,
        payment.operation,
        payment.call_status,
        payment.cancel_wanted,
        payment.payment_method_id,
        payment.gateway,
        _written_answer(payment.answer),
        payment.amount_minor,
        payment.currency,
        payment.subscription_id,
        payment.terms.model_dump_json(),
        None if payment.grant is None else payment.grant.model_dump_json(),
        payment.traceparent,
        write.is_leased,
    )


def _changed(write: ToWrite) -> tuple[Any, ...]:
    payment = write.folded.payment
    if payment is None:
        raise ValueError("nothing to update")
    return (
        payment.renewal_id,
        payment.version,
        payment.attempt,
        payment.ordinal,
        payment.capture_ordinal,
        payment.objects,
        payment.refund_attempt,
        payment.captured_version,
        payment.due_at,
        payment.act_before,
        payment.resolve_before,
        payment.captured_at,
        payment.disputed_at,
        payment.refund_returned_at,
        payment.state,
        payment.decision,
        payment.operation,
        payment.call_status,
        payment.cancel_wanted,
        payment.payment_method_id,
        payment.gateway,
        payment.reference_gateway,
        payment.provider_reference,
        orjson.dumps(payment.surplus).decode() if payment.surplus else None,
        _written_answer(payment.answer),
        _written_answer(payment.refund_answer),
        payment.refund_reference,
        write.is_leased,
    )


def _begun(renewal_id: UUID, attempt: AttemptRow) -> tuple[Any, ...]:
    return (
        renewal_id,
        attempt.ordinal,
        attempt.operation,
        attempt.status,
        attempt.code,
        attempt.reference,
        attempt.payment_method_id,
        attempt.gateway,
    )


def _result(renewal_id: UUID, attempt: AttemptRow) -> tuple[Any, ...]:
    return renewal_id, attempt.ordinal, attempt.status, attempt.code, attempt.reference


def _transfer(transfer: Transfer) -> tuple[Any, ...]:
    return (
        transfer.id,
        transfer.renewal_id,
        transfer.kind,
        transfer.debit_account,
        transfer.credit_account,
        transfer.amount_minor,
        transfer.currency,
    )


def _written_answer(answer: RenewalMessage | None) -> str | None:
    """The message as it was sent, with its type, so that it can be sent again to the letter."""
    if answer is None:
        return None
    return f'{{"type":"{type(answer).__name__}","message":{answer.model_dump_json()}}}'


def _read_answer(text: str | None) -> RenewalMessage | None:
    if text is None:
        return None
    document = orjson.loads(text)
    answer = MESSAGES[document["type"]].model_validate_json(orjson.dumps(document["message"]))
    if not isinstance(answer, RenewalMessage):
        raise ValueError(f"{document['type']} is no answer about a renewal")
    return answer


async def read_transfers(connection: Connection, renewal_id: UUID) -> list[dict[str, Any]]:
    """The ledger lines of a payment, in order."""
    return [dict(row) for row in await connection.fetch(SQL["read_transfers"], renewal_id)]


async def read_accounts(connection: Connection) -> list[dict[str, Any]]:
    """Every account but the payers' wallets, with its sums in minor units."""
    return [dict(row) for row in await connection.fetch(SQL["read_accounts"])]


async def read_proof(connection: Connection) -> list[dict[str, Any]]:
    """The equation of the books, per currency, in minor units."""
    return [dict(row) for row in await connection.fetch(SQL["read_proof"])]
