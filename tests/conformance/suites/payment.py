"""Payments: decisions with their calls, transfers and wallets; claims and queues; cards; the archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, cast

from services.payment import archive, store
from services.payment.domain.payment import (
    AttemptRow,
    CallStatus,
    Decision,
    Folded,
    Operation,
    Payment,
    State,
    Surplus,
    Transfer,
)
from services.payment.store import Lease, ToWrite
from shared.contracts.message import Grant, Terms, deterministic_id
from shared.contracts.payments import PaymentCancelled, PaymentDeclined
from tests.conformance.actors import Actor
from tests.conformance.lots import RENEWALS, SUBSCRIPTIONS, TRACES, Lot
from tests.conformance.stage import Mirror, Stage
from tests.conformance.suites.ground import archived_by, functions_of, untied
from tests.simulation.stores import archive as archives
from tests.simulation.stores import payment as memory
from tests.simulation.stores.payment import ArchivedLine, AttemptLine, MethodLine, PaymentLine, TransferLine

LEASE: Final = Lease(held=timedelta(seconds=15), send=timedelta(seconds=3))
GATEWAYS: Final = ("alpha", "beta")
PAYERS: Final = ("payer-1", "payer-2")
CURRENCIES: Final = ("EUR", "USD")
CALLED: Final = (Operation.CAPTURE, Operation.VOID, Operation.REFUND, Operation.SURPLUS)
CARDS: Final = {"card-1": "a", "card-2": "a", "card-3": "b", "purse": None}
"""Which card each method is: two names may mean the same."""
METHODS: Final = tuple(CARDS)
CODES: Final = (None, "do_not_honor", "action_required", "network_cap_reached", "stolen_card")
GRANT: Final = Grant(data_bytes=2**30, validity_seconds=86_400, product_code="cu1")


class PaymentSuite:
    functions = functions_of(memory, archives, store, archive)
    not_kept: Mapping[str, frozenset[str]] = {
        "payments": frozenset({"created_at"}),
        "payment_methods": frozenset({"kind", "version", "changed_at"}),
        "wallets": frozenset({"opened_at"}),
        "archived_payments": frozenset({"closed_at", "subscription_id"}),
        "archive_register": frozenset({"closed_at"}),
        "call_permits": frozenset("*"),
        "wallet_deposits": frozenset("*"),
    }

    def __init__(self) -> None:
        self.removal = archive.removal(cast(Any, None), timedelta(), timedelta())
        self.steps = {
            "open": _open,
            "fold": _fold,
            "fold again": _fold,
            "claim": _claim,
            "claim queued": _claim_queued,
            "queue": _queue,
            "store references": _store_references,
            "earn": _earn,
            "bring back": _bring_back,
            "bring back again": _bring_back,
            "look": _look,
            "lock": _lock,
        }
        self.between = {"archive": self._archive, "archive again": self._archive}
        self.mirrors = (
            Mirror("payments", "payments", "select * from payments", _payment_of),
            Mirror("attempts", "payment_attempts", "select * from payment_attempts", _attempt_of),
            Mirror("transfers", "ledger_transfers", "select * from ledger_transfers", _transfer_of),
            Mirror("methods", "payment_methods", "select * from payment_methods", _method_of),
            Mirror("wallets", "wallets", "select * from wallets", _wallet_of),
            Mirror("archive", "archived_payments", _ARCHIVED, _archived_of),
        )

    def memory(self, clock: Callable[[], datetime]) -> memory.PaymentDatabase:
        return memory.PaymentDatabase(clock)

    async def settle_in(self, stage: Stage) -> None:
        # So many that only a few more are remembered.
        tries = tuple(stage.now - timedelta(days=1, seconds=number) for number in range(33))
        for name, card in CARDS.items():
            token = None if card is None else f"tok-{name}"
            digest = None if card is None else sha256(card.encode()).digest()
            gateway = "wallet" if card is None else "alpha"
            declined_at = tries if card == "b" else ()
            line = MethodLine(name, PAYERS[0], gateway, "active", "visa", declined_at, token, digest)
            await stage.put(
                "methods",
                name,
                line,
                "payment_methods",
                # Null, as it is until something is declined.
                **line._asdict() | {"declined_at": declined_at or None},
                kind="wallet" if card is None else "card",
                version=1,
            )
        for payer_id, balance in zip(PAYERS, (1000, 0), strict=True):
            await stage.put(
                "wallets",
                (payer_id, "USD"),
                balance,
                "wallets",
                payer_id=payer_id,
                currency="USD",
                balance_minor=balance,
            )

    async def _archive(self, stage: Stage, lot: Lot) -> None:
        await stage.alone(_close, lot)
        await archived_by(self.removal, stage)
        archives.archive_payments(stage.memory)


# -- steps ------------------------------------------------------------------------------------------


async def _open(actor: Actor, lot: Lot) -> None:
    archived = actor.stage.memory.archive.rows
    writes = []
    for renewal_id in lot.some([each for each in RENEWALS if each not in archived], at_least=0):
        blank = Payment(renewal_id, lot.one(SUBSCRIPTIONS), _terms(lot), "USD", traceparent=lot.one(TRACES))
        blank = blank.copy(amount_minor=lot.one((None, 0, 700)), grant=lot.perhaps(GRANT))
        payment = _drawn(lot, blank, actor.stage.now, (Operation.CAPTURE, Operation.VOID))
        is_leased = payment.operation is not None and lot.chance(0.5)
        writes.append(ToWrite(Folded(payment), is_leased))
    if writes:
        await actor.call(store.open_payments, writes, LEASE)


async def _fold(actor: Actor, lot: Lot) -> None:
    """What a batch does: lock, fold, write."""
    held = await actor.call(store.lock_payments, lot.some(RENEWALS))
    wallets = [(payer, currency) for payer in PAYERS for currency in CURRENCIES]
    if lot.chance(0.4):
        await actor.call(store.lock_wallets, lot.some(wallets))
        moves = lot.chance(0.7)
    else:
        moves = False
    writes = []
    for payment in held.values():
        after = _drawn(lot, payment, actor.stage.now, tuple(Operation))
        folded = Folded(after, wallet_minor=lot.one((0, -600, -300, 200)) if moves else 0)
        folded.attempts = {row.ordinal: row for row in _attempts(lot, after)}
        folded.transfers = [_transfer(lot, after) for _ in range(lot.one((0, 0, 1, 2)))]
        # A question has no attempt of its own.
        writes.append(ToWrite(folded, after.operation is not None and lot.chance(0.4)))
    if writes:
        await actor.call(store.write_payments, writes, LEASE)


async def _close(actor: Actor, lot: Lot) -> None:
    """What may be archived soon."""
    held = await actor.call(store.lock_payments, lot.some(RENEWALS, at_most=6, at_least=3))
    idle = {"operation": None, "call_status": None, "due_at": None}
    closed = [
        Folded(payment.changed(state=lot.one((State.CANCELLED, State.REFUNDED)), **idle))
        for payment in held.values()
    ]
    if closed:
        await actor.call(store.write_payments, [ToWrite(folded, False) for folded in closed], LEASE)


async def _claim(actor: Actor, lot: Lot) -> None:
    dues = {
        renewal_id: line.payment.due_at
        for renewal_id, line in actor.sees().scan(actor.stage.memory.payments)
        if line.payment.due_at is not None and line.payment.operation is not None
    }
    limit = untied(lot.one((1, 2, 9)), list(dues.values()))
    await actor.call(store.claim_calls, limit, LEASE, order=lambda row: dues[row["renewal_id"]])


async def _claim_queued(actor: Actor, lot: Lot) -> None:
    queued = {
        renewal_id: line
        for renewal_id, line in actor.sees().scan(actor.stage.memory.payments)
        if line.is_queued
    }
    dues = [line.payment.due_at for line in queued.values()]
    wanted = {lane: untied(lot.number(1, 6), dues) for lane in lot.some((*GATEWAYS, "nobody"))}

    def place(row: Any) -> Any:
        line = queued[row["renewal_id"]]
        return line.is_bulk, line.lane, line.payment.due_at

    await actor.call(store.claim_queued, wanted, LEASE, order=place)
    await actor.call(store.count_queued)
    await actor.call(store.read_oldest_surplus)


async def _queue(actor: Actor, lot: Lot) -> None:
    queued = [
        (*_call(actor, lot, renewal_id), lot.one(GATEWAYS), lot.chance(0.3), lot.chance(0.5), sent_before)
        for renewal_id in lot.some(RENEWALS)
        for sent_before in [lot.perhaps(lot.near(actor.stage.now))]
    ]
    await actor.call(store.queue_calls, queued)


async def _store_references(actor: Actor, lot: Lot) -> None:
    created = []
    for renewal_id in lot.some(RENEWALS):
        _, ordinal, claim = _call(actor, lot, renewal_id)
        created.append((renewal_id, lot.one(GATEWAYS), lot.one(("pi-1", "pi-2")), ordinal, claim))
    await actor.call(store.store_references, created)


async def _earn(actor: Actor, lot: Lot) -> None:
    applied = [
        (renewal_id, deterministic_id(renewal_id, "applied"), lot.near(actor.stage.now))
        for renewal_id in lot.some(RENEWALS)
    ]
    await actor.call(store.apply_captures, applied, order=lambda _: 0)


async def _bring_back(actor: Actor, lot: Lot) -> None:
    found = await actor.call(archive._lock, lot.some(RENEWALS, at_most=6, at_least=3))
    await actor.call(archive.read, lot.some(RENEWALS))
    if found and lot.chance(0.7):
        await actor.call(archive.bring_back, list(found))


async def _look(actor: Actor, lot: Lot) -> None:
    await actor.call(store.methods, lot.some((*METHODS, "unheard-of")))
    if lot.chance(0.6):
        await actor.call(store.lock_cards, lot.some((*METHODS, "unheard-of")))


async def _lock(actor: Actor, lot: Lot) -> None:
    await actor.call(store.lock_payments, lot.some(RENEWALS, at_most=1))


# -- values -----------------------------------------------------------------------------------------


def _terms(lot: Lot) -> Terms:
    return Terms(
        offering_id="cuba-1gb",
        max_amount_minor=1500,
        currency="USD",
        payment_method_ids=METHODS,
        payer_id=lot.one(PAYERS),
        origin=lot.one(("customer", "rule")),
        is_bulk=lot.one((False, True)),
    )


def _drawn(lot: Lot, payment: Payment, now: datetime, operations: tuple[Operation, ...]) -> Payment:
    """The next version of the row, anything the tables allow."""
    decision = payment.decision or lot.perhaps(lot.one(tuple(Decision)))
    operation = lot.perhaps(lot.one(operations), 0.7)
    state = lot.one(tuple(State))
    if decision is Decision.CAPTURED and lot.chance(0.5):
        state, operation = State.CAPTURED, None
    if lot.chance(0.25):
        state, operation = lot.one((State.CANCELLED, State.REFUNDED)), None
    ordinal = payment.ordinal + (operation is not None and lot.chance(0.6))
    return payment.changed(
        state=state,
        decision=decision,
        captured_at=(payment.captured_at or now) if decision is Decision.CAPTURED else None,
        captured_version=lot.perhaps(7),
        operation=operation,
        call_status=None if operation is None else lot.one((CallStatus.SENDING, CallStatus.UNKNOWN)),
        ordinal=ordinal,
        capture_ordinal=max(ordinal - lot.number(0, 1), 0),
        objects=lot.number(0, 2),
        attempt=lot.number(1, 3),
        refund_attempt=lot.number(0, 2),
        due_at=None if operation is None else lot.near(now),
        act_before=lot.near(now),
        resolve_before=lot.perhaps(lot.near(now)),
        disputed_at=lot.perhaps(now, 0.2),
        refund_returned_at=lot.perhaps(now, 0.2),
        cancel_wanted=lot.perhaps("customer_cancelled", 0.3),
        payment_method_id=lot.one(METHODS) if operation is not None else lot.perhaps(lot.one(METHODS)),
        gateway=lot.one(GATEWAYS),
        reference_gateway=lot.perhaps(lot.one(GATEWAYS)),
        provider_reference=lot.perhaps(lot.one(("pi-1", "pi-2")), 0.3),
        surplus=tuple(
            Surplus("alpha", f"pi-{number}", 700, "USD", number, returned={"re-1": 300})
            for number in range(1, lot.number(1, 3))
        ),
        answer=lot.perhaps(_declined(payment)),
        refund_answer=lot.perhaps(_cancelled(payment)),
        refund_reference=lot.perhaps("re-1"),
    )


def _declined(payment: Payment) -> PaymentDeclined:
    return PaymentDeclined(
        **_head(payment), payment_method_id="card-1", decline_class="soft", decline_code="do_not_honor"
    )


def _cancelled(payment: Payment) -> PaymentCancelled:
    return PaymentCancelled(**_head(payment), reason="customer_cancelled", unresolved=True)


def _head(payment: Payment) -> dict[str, Any]:
    return {
        "renewal_id": payment.renewal_id,
        "subscription_id": payment.subscription_id,
        "version": payment.version,
        "terms": payment.terms,
    }


def _attempts(lot: Lot, payment: Payment) -> list[AttemptRow]:
    """The call that is begun, the same again, and what is known of others, some of which there are not."""
    rows = []
    for ordinal in lot.some(range(payment.ordinal + 1), at_least=0):
        begins = ordinal == payment.ordinal and payment.operation is not None and lot.chance(0.7)
        key = deterministic_id(payment.renewal_id, ordinal) if begins else None
        status, code = lot.one(tuple(CallStatus)), lot.one(CODES)
        reference = lot.perhaps("ch-1")
        method = lot.one(METHODS)
        rows.append(
            AttemptRow(ordinal, lot.one(CALLED), method, lot.one(GATEWAYS), key, status, code, reference)
        )
    return rows


def _transfer(lot: Lot, payment: Payment) -> Transfer:
    kind, debit, credit = lot.one(
        (
            ("capture", "psp:alpha", "held"),
            ("refund", "held", "psp:alpha"),
            ("surplus_found", "psp:alpha", "surplus"),
        )
    )
    id_ = deterministic_id(payment.renewal_id, kind)
    return Transfer(id_, kind, debit, credit, lot.one((700, 900)), "USD", payment.renewal_id)


def _call(actor: Actor, lot: Lot, renewal_id: Any) -> tuple[Any, int, int]:
    """The call under way with its claim, or one that was before it."""
    line = actor.sees().get(actor.stage.memory.payments, renewal_id)
    if line is None:
        return renewal_id, 1, 1
    ordinal = line.payment.ordinal - lot.chance(0.15)
    return renewal_id, ordinal, line.payment.claim - lot.chance(0.25)


# -- rows -------------------------------------------------------------------------------------------

_ARCHIVED: Final = """
select p.*, r.renewal_id as registered, (
    select array_agg(c) from json_populate_recordset(null::payment_attempts, a.attempts) as c
) as attempts
from archive_register as r
left join archived_payments as a on r.renewal_id = a.renewal_id and r.closed_at = a.closed_at
left join lateral json_populate_record(null::payments, a.payment) as p on true
"""


def _payment_of(row: Mapping[str, Any]) -> tuple[Any, PaymentLine]:
    payment = store.payment_of(cast(Any, row))
    return row["renewal_id"], PaymentLine(payment, row["lane"], row["is_bulk"], row["queued_until"])


def _attempt_of(row: Mapping[str, Any]) -> tuple[Any, AttemptLine]:
    line = AttemptLine._make(row[name] for name in AttemptLine._fields)
    return (row["renewal_id"], row["ordinal"]), line


def _transfer_of(row: Mapping[str, Any]) -> tuple[Any, TransferLine]:
    return (row["renewal_id"], row["id"]), TransferLine._make(row[name] for name in TransferLine._fields)


def _method_of(row: Mapping[str, Any]) -> tuple[Any, MethodLine]:
    line = MethodLine._make(row[name] for name in MethodLine._fields)
    return row["payment_method_id"], line._replace(declined_at=tuple(line.declined_at or ()))


def _wallet_of(row: Mapping[str, Any]) -> tuple[Any, int]:
    return (row["payer_id"], row["currency"]), row["balance_minor"]


def _archived_of(row: Mapping[str, Any]) -> tuple[Any, ArchivedLine]:
    calls = sorted((each["ordinal"], _attempt_of(each)[1]) for each in row["attempts"] or ())
    return row["registered"], ArchivedLine(_payment_of(row)[1], tuple(calls))
