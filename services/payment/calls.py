"""The effectful calls to gateways, for the CallWorker: claim rows, call once, record in micro-batches."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from services.payment import metrics, store
from services.payment.authority import Authority
from services.payment.card_declines import CardDeclines
from services.payment.domain.calls import Call
from services.payment.domain.capabilities import Resolution, resolution
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import WALLET, Decision, Method, Operation, call_key
from services.payment.gateways.gateway import Gateway
from services.payment.store import Lease
from shared.calls.breaker import Sign
from shared.calls.calls import Claimed
from shared.clock import Clock
from shared.database import Connection
from shared.messaging.transaction import Transaction

MOST_FOLLOWING = 500
QUESTION_SECONDS = 2.0
_ASKING = {Operation.REFUND, Operation.SURPLUS}
_UNASKED = {Kind.NOT_SENT, Kind.WALLET}
MayAsk = Callable[[str, float], Awaitable[bool]]
"""(gateway, how long to wait) -> whether one more request may be sent to it."""


@dataclass(slots=True, frozen=True)
class Created:
    """The object exists, no money has moved: `call` goes on once its reference is stored."""

    call: Call


@dataclass(slots=True, frozen=True)
class Queued:
    """The gateway takes no call now: the row waits for it. `is_unsent`: as it was before the call."""

    call: Call
    is_unsent: bool


Made = Outcome | Created
Result = Made | Queued


class Calls:
    """What the CallWorker is told of the calls to gateways (shared/calls/calls.py)."""

    def __init__(
        self, gateways: Mapping[str, Gateway], authority: Authority, lease: Lease, clock: Clock
    ) -> None:
        self._gateways = gateways
        self._authority = authority
        self._lease = lease
        self._clock = clock
        self._may_ask: MayAsk | None = None
        self._declines = CardDeclines(lease.send, clock)

    def limit_questions(self, may_ask: MayAsk) -> None:
        """A second request within one call waits for its turn, as the first one did."""
        self._may_ask = may_ask

    def gateway(self, call: Call) -> str:
        """A gateway's lane; what nobody outside is asked has the wallets'."""
        return call.gateway if call.gateway in self._gateways else WALLET

    def is_urgent(self, call: Call) -> bool:
        return not call.is_bulk

    def sign(self, _call: Call, result: Result) -> Sign:
        if not isinstance(result, Outcome):
            return Sign.ANSWERED
        if result.is_outage:
            return Sign.FAILED
        is_silent = result.kind in _UNASKED or not result.reached_provider
        return Sign.NOTHING if is_silent else Sign.ANSWERED

    def put_off(self, call: Call) -> Result:
        return Queued(call, is_unsent=True)

    def excused(self, call: Call, result: Result) -> Result:
        unsent = isinstance(result, Outcome) and result.kind is not Kind.UNKNOWN
        return Queued(call, is_unsent=unsent)

    async def queued(self, connection: Connection) -> Mapping[str, int]:
        deadline = await store.read_oldest_surplus(connection)
        overdue = 0.0 if deadline is None else (self._clock() - deadline).total_seconds()
        metrics.SURPLUS_OLDEST.set(max(overdue, 0.0))
        return await store.count_queued(connection)

    async def call(self, call: Call) -> Made:
        """One try. Every fault becomes an outcome; an exception here is a defect."""
        if call.gateway == WALLET:
            return self._outcome(call, Kind.WALLET)
        gateway = self._gateways.get(call.gateway)
        if gateway is None:
            kind = Kind.UNKNOWN if call.was_sent else Kind.FAILED
            return self._outcome(call, kind, "gateway_not_configured", reached_provider=False)
        result = await self._one(gateway, call)
        if isinstance(result, Outcome):
            if result.kind is Kind.UNKNOWN:
                metrics.unknown(call.operation)
            elif result.kind is Kind.DECLINED:
                self._declines.heard(call, result.code)
        return result

    async def record(self, transaction: Transaction, results: Sequence[Result]) -> Sequence[Call]:
        """Write a micro-batch; returns the calls that follow: a confirmation, or what a fold began."""
        created = [result.call for result in results if isinstance(result, Created)]
        outcomes = [result for result in results if isinstance(result, Outcome)]
        queued = [result for result in results if isinstance(result, Queued)]
        following: list[Call] = []
        if queued:
            await store.queue_calls(transaction.connection, [self._queue(one) for one in queued])
        if created:
            following += await self._store_references(transaction, created)
        if outcomes:
            recorded = await self._authority.record(transaction, outcomes, MOST_FOLLOWING)
            following += recorded.calls
        return following

    async def claim(self, connection: Connection, limit: int, wanted: Mapping[str, int]) -> Claimed[Call]:
        """Take over what nobody holds."""
        send_until = time.monotonic() + self._lease.send.total_seconds()
        due = await store.claim_calls(connection, limit, self._lease) if limit else []
        queued = await store.claim_queued(connection, wanted, self._lease) if wanted else []
        return Claimed(
            [_claimed(row, send_until) for row in due], [_claimed(row, send_until) for row in queued]
        )

    def _queue(self, one: Queued) -> tuple[UUID, int, int, str, bool, bool, datetime | None]:
        """The row as the store takes it. A question has no attempt of its own to be left as it was."""
        call = one.call
        unsent = one.is_unsent and call.operation is not Operation.ASK
        lane = self.gateway(call)
        return (call.renewal_id, call.ordinal, call.claim, lane, call.is_bulk, unsent, call.sent_before)

    async def _asked_too(self, call: Call, outcome: Outcome) -> bool:
        """Whether a repeat that told nothing may be followed by a question."""
        return outcome.kind is Kind.UNKNOWN and await self._has_room(call)

    async def _sends_too(self, call: Call) -> bool:
        """Whether a question that found nothing may be followed by the call itself, under the same key."""
        return await self._has_room(call) and time.monotonic() <= call.send_until

    async def _has_room(self, call: Call) -> bool:
        return self._may_ask is None or await self._may_ask(call.gateway, QUESTION_SECONDS)

    async def _one(self, gateway: Gateway, call: Call) -> Made:
        if call.operation is Operation.CAPTURE:
            return await self._capture(gateway, call)
        if call.operation is Operation.ASK:
            return await gateway.ask(call)
        if time.monotonic() > call.send_until:
            return self._outcome(call, Kind.NOT_SENT, "window_passed")
        if call.operation is Operation.VOID:
            return await gateway.void(call)
        if call.call_reference is not None:
            return await gateway.ask_refund(call)
        if not call.was_sent:
            return await gateway.refund(call)
        match self._resolution(gateway, call):
            case Resolution.REPEAT:
                outcome = await gateway.refund(call)
                if not await self._asked_too(call, outcome):
                    return outcome
                return await gateway.ask_refund(self._repeated(call))
            case Resolution.PARK:
                return self._outcome(call, Kind.UNKNOWN, "cannot_be_asked", reached_provider=False)
        return await gateway.ask_refund(call)

    async def _capture(self, gateway: Gateway, call: Call) -> Made:
        if time.monotonic() > call.send_until:
            return self._outcome(call, Kind.NOT_SENT, "window_passed")
        if call.reference is None or not call.was_sent:
            # Nothing of it has been confirmed, so it may still be left undone.
            refusal = self._declines.refusal(call)
            if refusal is not None:
                return self._outcome(call, Kind.DECLINED, refusal, reached_provider=False)
        if call.reference is None:
            outcome = await gateway.create(call)
            if outcome.kind is Kind.CREATED:
                call.reference, call.was_sent = outcome.reference, False
                return Created(call)
            return outcome
        if not call.was_sent:
            return await gateway.confirm(call)
        if call.cancel_wanted:
            # To repeat the call now could take the money that nobody wants taken: the object is cancelled.
            return self._outcome(call, Kind.UNKNOWN, "cancel_wanted", reached_provider=False)
        resolve_by = self._resolution(gateway, call)
        if resolve_by is Resolution.PARK:
            return self._outcome(call, Kind.UNKNOWN, "cannot_be_asked", reached_provider=False)
        if call.token is None or resolve_by is Resolution.ASK:
            return await gateway.ask(call)
        if gateway.is_quiet(call):
            asked = await gateway.ask(call)
            is_undone = asked.kind is Kind.NOTHING_FOUND
            return await gateway.confirm(call) if is_undone and await self._sends_too(call) else asked
        outcome = await gateway.confirm(call)
        if not await self._asked_too(call, outcome):
            return outcome
        return await gateway.ask(self._repeated(call))

    def _repeated(self, call: Call) -> Call:
        """The call as a question is to take it: the repeat may still be on its way, however old the first."""
        return replace(call, sent_before=self._clock())

    def _resolution(self, gateway: Gateway, call: Call) -> Resolution:
        return resolution(gateway.capabilities, call.first_sent_at or self._clock(), self._clock())

    async def _store_references(self, transaction: Transaction, created: Sequence[Call]) -> list[Call]:
        """An object's reference is committed before the object is asked to take money."""
        references = [
            (call.renewal_id, call.gateway, call.reference or "", call.ordinal, call.claim)
            for call in created
        ]
        wanted = await store.store_references(transaction.connection, references)
        return [call for call in created if call.renewal_id in wanted]

    def _outcome(self, call: Call, kind: Kind, code: str = "", *, reached_provider: bool = True) -> Outcome:
        return Outcome(
            call.renewal_id,
            kind,
            self._clock(),
            call.operation,
            call.ordinal,
            call.claim,
            call.gateway,
            code=code,
            reached_provider=reached_provider,
        )


def _claimed(row: asyncpg.Record, send_until: float) -> Call:
    """The call of a row that `claim_calls` has just claimed."""
    operation = Operation(row["operation"])
    gateway, reference = row["gateway"] or "", row["provider_reference"]
    amount_minor, currency = row["amount_minor"] or 0, row["currency"]
    if operation in (Operation.VOID, Operation.ASK):
        gateway = row["reference_gateway"] or gateway
    elif operation is Operation.SURPLUS:
        surplus = next(held for held in store.surplus_of(row["surplus"]) if not held.settled)
        gateway, reference = surplus.gateway, surplus.reference
        amount_minor, currency = surplus.left_minor, surplus.currency
    return Call(
        row["renewal_id"],
        operation,
        row["ordinal"],
        row["claim"],
        gateway,
        call_key(row["renewal_id"], operation, row["payment_method_id"] or "", row["ordinal"]),
        row["objects"],
        amount_minor,
        currency,
        send_until,
        reference,
        row["token"],
        was_sent=row["sent_before"] is not None,
        call_reference=row["call_reference"] if operation in _ASKING else None,
        first_sent_at=row["first_sent_at"],
        sent_before=row["sent_before"],
        cancel_wanted=row["cancel_wanted"] is not None or row["decision"] == Decision.CANCELLED,
        is_bulk=row["is_bulk"],
        method=_tried(row, gateway) if operation is Operation.CAPTURE else None,
    )


def _tried(row: asyncpg.Record, gateway: str) -> Method:
    """The method of a claimed capture, as far as its card's declines go."""
    declined_at = tuple(row["declined_at"] or ())
    return Method(row["payment_method_id"] or "", "", gateway, "active", row["network"], declined_at)
