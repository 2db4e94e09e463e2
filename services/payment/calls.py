"""The effectful calls to gateways, for the CallWorker: claim rows, call once, record in micro-batches."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from services.payment import metrics, store
from services.payment.authority import Authority
from services.payment.domain.calls import Call
from services.payment.domain.capabilities import Resolution, resolution
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import WALLET, Decision, Operation, call_key
from services.payment.gateways.gateway import Gateway
from services.payment.store import Lease
from shared.clock import Clock
from shared.database import Connection
from shared.messaging.transaction import Transaction

MOST_FOLLOWING = 500
_ASKING = {Operation.REFUND, Operation.SURPLUS}


@dataclass(slots=True, frozen=True)
class Created:
    """The object exists, no money has moved: `call` goes on once its reference is stored."""

    call: Call


Result = Outcome | Created


class Calls:
    """What the CallWorker is given: `call`, `record` and `claim`."""

    def __init__(
        self, gateways: Mapping[str, Gateway], authority: Authority, lease: Lease, clock: Clock
    ) -> None:
        self._gateways = gateways
        self._authority = authority
        self._lease = lease
        self._clock = clock

    async def call(self, call: Call) -> Result:
        """One try. Every fault becomes an outcome; an exception here is a defect."""
        if call.gateway == WALLET:
            return self._outcome(call, Kind.WALLET)
        gateway = self._gateways.get(call.gateway)
        if gateway is None:
            kind = Kind.UNKNOWN if call.was_sent else Kind.FAILED
            return self._outcome(call, kind, "gateway_not_configured", reached_provider=False)
        result = await self._one(gateway, call)
        if isinstance(result, Outcome) and result.kind is Kind.UNKNOWN:
            metrics.unknown(call.operation)
        return result

    async def record(self, transaction: Transaction, results: Sequence[Result]) -> Sequence[Call]:
        """Write a micro-batch; returns the calls that follow: a confirmation, or what a fold began."""
        created = [result.call for result in results if isinstance(result, Created)]
        outcomes = [result for result in results if isinstance(result, Outcome)]
        following: list[Call] = []
        if created:
            following += await self._store_references(transaction, created)
        if outcomes:
            recorded = await self._authority.record(transaction, outcomes, MOST_FOLLOWING)
            following += recorded.calls
        return following

    async def claim(self, connection: Connection, limit: int) -> Sequence[Call]:
        """Take over what nobody holds."""
        now = time.monotonic()
        rows = await store.claim_calls(connection, limit, self._lease)
        send_until = now + self._lease.send.total_seconds()
        return [_claimed(row, send_until) for row in rows]

    async def _one(self, gateway: Gateway, call: Call) -> Result:
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
                if outcome.kind is not Kind.UNKNOWN:
                    return outcome
                asked = await gateway.ask_refund(call)
                # The repeat itself may still be on its way: that nothing is seen of it yet says nothing.
                return outcome if asked.code == "nothing_found" else asked
            case Resolution.PARK:
                return self._outcome(call, Kind.UNKNOWN, "cannot_be_asked")
        return await gateway.ask_refund(call)

    async def _capture(self, gateway: Gateway, call: Call) -> Result:
        if time.monotonic() > call.send_until:
            return self._outcome(call, Kind.NOT_SENT, "window_passed")
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
            return self._outcome(call, Kind.UNKNOWN, "cancel_wanted")
        resolve_by = self._resolution(gateway, call)
        if resolve_by is Resolution.PARK:
            return self._outcome(call, Kind.UNKNOWN, "cannot_be_asked")
        if call.token is not None and resolve_by is Resolution.REPEAT:
            outcome = await gateway.confirm(call)
            if outcome.kind is not Kind.UNKNOWN:
                return outcome
        return await gateway.ask(call)

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
    )
