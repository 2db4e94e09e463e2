"""What payment does, by the functions that production runs.

Production's own: `fold_command`, `fold_outcome`, `fold_wallet`, `Folded`, `call_of`, the whole of `Calls`
(what is asked of a gateway, and when), `Psp` (what an answer means), `outcome_of` (what a webhook means).
Written anew here, as short as it goes: what queries.sql does to the rows. Each place names its statement.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, Final

from services.payment.authority import Authority
from services.payment.calls import Calls, Result
from services.payment.domain import commands, outcomes
from services.payment.domain.calls import Call, call_of
from services.payment.domain.commands import Command
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import (
    WALLET,
    CallStatus,
    Change,
    Decision,
    Folded,
    Operation,
    Payment,
    State,
    call_key,
    object_key,
)
from services.payment.gateways.psp import Psp as Gateway
from services.payment.store import Lease
from shared.calls.breaker import Sign
from shared.contracts.message import Message
from shared.contracts.payment_commands import CancelPayment
from shared.contracts.payments import PaymentCancelled, PaymentCaptured
from shared.contracts.topups import TopUpApplied
from tests.exhaustive import psp
from tests.exhaustive.abstraction import FUTURE, NOW, PAST, is_timely
from tests.exhaustive.case import CALL_TIMEOUT, CURRENCY, PAYMENT_PATIENCE, RENEWAL, Case
from tests.exhaustive.choices import Choices
from tests.exhaustive.line import WORKERS, Delayed, Line, finished
from tests.exhaustive.parts import Told as ToldOf
from tests.exhaustive.payment import EARLIER, LATEST, Job, PaymentSide, earned, freeze, job_of, with_result
from tests.exhaustive.psp import Hook, Psp

Told = ToldOf[PaymentSide]
_LEASE: Final = Lease(held=CALL_TIMEOUT * 4, send=CALL_TIMEOUT)
_LONG_AGO: Final = NOW - timedelta(days=3)
_ENDLESS: Final = float("inf")
_AFTER_CAPTURE: Final = frozenset({"disputed", "given back by somebody"})
_AFTER_REFUND: Final = _AFTER_CAPTURE | {"returns"}
_FACTS: Final = frozenset({Kind.CAPTURED, Kind.VOIDED, Kind.REFUNDED, Kind.REFUND_RETURNED, Kind.DISPUTED})
_DECISIONS: Final = (PaymentCaptured, PaymentCancelled)


class PaymentMachine:
    """The steps that payment's side can take in one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._methods = {method.payment_method_id: method for method in case.methods}
        self._authority = Authority(PAYMENT_PATIENCE, _LEASE)

    def at_first(self) -> PaymentSide:
        told = self.case.tells_all
        psps = (Psp(name, can, tells_all=told) for name, can in self.case.psps.items())
        return PaymentSide(None, tuple(psps))

    def steps(self, side: PaymentSide) -> Iterator[Callable[[Choices], Told | None]]:
        """Everything that can happen here without a letter."""
        for place in range(len(side.jobs)):
            yield partial(self._job, side, place)
        if side.row is not None and not any(job.holds for job in side.jobs):
            yield partial(self._claim, side)
        for place, one in enumerate(side.psps):
            for name, kind, after in psp.events(one, self._rare(side)):
                told = side.with_psp(place, after), f"{after.name}: {name}", ()
                yield partial(_suffered, told, kind)
            for hook in one.hooks:
                yield partial(self._hook, side, place, hook)
        for request in side.wire:
            yield partial(self._arrives, side, request)

    def receives(self, side: PaymentSide, message: Message, choices: Choices) -> Told:
        """A letter is read: `Authority.obey`, or `apply_captures`."""
        if isinstance(message, TopUpApplied):
            return earned(side), "", ()
        assert isinstance(message, Command)
        if isinstance(message, CancelPayment) and side.row is None and is_timely(message):
            side = side._replace(called_off=True)
        circumstances = commands.Circumstances(NOW, self._methods, PAYMENT_PATIENCE)
        return self._write(side, commands.fold_command(side.payment, message, circumstances), "", choices)

    # -- workers ------------------------------------------------------------------------------------

    def _job(self, side: PaymentSide, place: int, choices: Choices) -> Told | None:
        job = side.jobs[place]
        others = side.jobs[:place] + side.jobs[place + 1 :]
        match choices.among("", *(WORKERS if job.holds else ())):
            case "dies":
                return side.with_jobs(others), str(job), ()
            case "loses its lease":
                return self._tidy(side.with_jobs((*others, job._replace(holds=False)))), str(job), ()
        if job.result is None:
            return self._make(side, job, others, choices)
        return self._record(side.with_jobs(others), job, choices)

    def _make(self, side: PaymentSide, job: Job, others: tuple[Job, ...], choices: Choices) -> Told:
        """`Calls.call`, over a line on which anything can happen, unless the gateway takes no calls now."""
        lines = {one.name: Line(one.name, one, psp.answer, choices) for one in side.psps}
        for line in lines.values():
            line.is_timely = job.holds
        gateways = {
            name: Gateway(name, line, self.case.psps[name], CALL_TIMEOUT, lambda: NOW)
            for name, line in lines.items()
        }
        calls = Calls(gateways, self._authority, _LEASE, lambda: NOW)
        call = self._call(side, job, choices)
        result: Result
        if job.holds and choices.among("", ("waits for its gateway", "breaker open")):
            result = calls.put_off(call)
        else:
            result = finished(calls.call(call))
            is_outage = job.holds and calls.sign(call, result) is Sign.FAILED
            if is_outage and choices.among("", ("excused by an open breaker", "breaker open")):
                result = calls.excused(call, result)
        done = with_result(job, result)
        after = side.with_jobs((*others, done))._replace(
            psps=tuple(lines[one.name].there for one in side.psps),
            wire=side.wire.union(*(line.delayed for line in lines.values())),
        )
        return self._tidy(after), f"{job} calls {job.gateway}: {done.told}", ()

    def _call(self, side: PaymentSide, job: Job, choices: Choices) -> Call:
        """The call as its worker holds it. When it is asked is chosen where a question may be asked."""
        in_time = self._in_time(job, choices)
        sent_before = None
        if job.was_sent:
            on_its_way = any(one.request.key == str(job.key) and one.is_timely for one in side.wire)
            late = not on_its_way and choices.among("asked late", "asked early") == "asked late"
            sent_before = PAST if late else NOW
        first_sent_at = _LONG_AGO if job.is_old else NOW
        return Call(
            RENEWAL,
            job.operation,
            job.ordinal,
            LATEST if job.holds else EARLIER,
            job.gateway,
            job.key,
            job.objects,
            self.case.amount_minor,
            CURRENCY,
            _ENDLESS if in_time else -_ENDLESS,
            job.reference,
            job.token,
            job.was_sent,
            job.call_reference,
            first_sent_at if job.was_sent else None,
            sent_before,
            job.cancel_wanted,
        )

    def _in_time(self, job: Job, choices: Choices) -> bool:
        """Whether the send window is still open. A zombie has either not looked yet, or just has."""
        if job.holds:
            return choices.among("", ("too late to send", "slow worker")) == ""
        if not self._zombies_send(job):
            return False
        return choices.among("sends all the same", "too late to send") != "too late to send"

    def _record(self, side: PaymentSide, job: Job, choices: Choices) -> Told:
        """`Calls.record`: an object's reference (`store_references`), a call given back (`queue_calls`), or
        an outcome folded into the row."""
        payment = side.known
        is_ours = job.holds and payment.ordinal == job.ordinal and payment.operation is not None
        if isinstance(job.result, Outcome):
            outcome = job.result._replace(claim=LATEST if job.holds else EARLIER)
            if is_ours and outcome.kind is Kind.DECLINED and job.operation is Operation.CAPTURE:
                side = side._replace(refused=job.key)
            return self._fold(side, outcome, f"{job} writes down {job.told}", choices)
        if job.result != "created":
            if is_ours:
                payment.call_status = CallStatus.UNKNOWN
                was_sent = job.sent_before if job.result == "queued unsent" else side.was_sent
                side = side._replace(row=freeze(payment), was_sent=was_sent)
            return self._tidy(side), f"{job} gives the call back", ()
        wanted = payment.operation is Operation.CAPTURE and payment.provider_reference is None
        if not is_ours or not wanted:
            return self._tidy(side), f"{job} finds that its object is not wanted any more", ()
        payment.provider_reference, payment.reference_gateway = job.reference, job.gateway
        after = side.with_jobs((*side.jobs, job._replace(result=None)))._replace(row=freeze(payment))
        return after, f"{job} stores its object {job.reference}", ()

    def _fold(self, side: PaymentSide, outcome: Outcome, name: str, choices: Choices) -> Told:
        payment = side.known
        if outcome.kind is Kind.WALLET:
            change = outcomes.fold_wallet(payment, outcome, side.purse_minor, NOW, PAYMENT_PATIENCE)
            return self._write(side, change, name, choices)
        if outcome.kind not in _FACTS and payment.resolve_before is not None:
            overdue = choices.among("", "the resolution deadline has passed") != ""
            payment.resolve_before = PAST if overdue else FUTURE
        change = outcomes.fold_outcome(payment, outcome, NOW, PAYMENT_PATIENCE)
        return self._write(side, change, name, choices)

    def _claim(self, side: PaymentSide, choices: Choices) -> Told | None:
        """`take_calls`: a row whose call nobody holds, because of a pause, a queue or a lost lease."""
        payment = side.known
        if payment.operation is None:
            return None
        key = call_key(RENEWAL, payment.operation, payment.payment_method_id or "", payment.ordinal)
        job = job_of(call_of(payment, key, _token(payment), _ENDLESS))
        psps = side.psps
        idle = side.was_sent and not side.jobs and not side.wire
        is_old = idle and choices.among("", ("the keys are forgotten by now", "keys forgotten")) != ""
        if is_old:
            psps = tuple(map(psp.forgetful, psps))
        asks = payment.operation in (Operation.REFUND, Operation.SURPLUS)
        job = job._replace(
            was_sent=side.was_sent,
            sent_before=side.was_sent,
            call_reference=side.refund_reference if asks else None,
            cancel_wanted=payment.cancel_wanted is not None or payment.decision is Decision.CANCELLED,
            is_old=is_old,
        )
        payment.call_status = CallStatus.SENDING
        after = side.with_jobs((*side.jobs, job))._replace(row=freeze(payment), was_sent=True, psps=psps)
        return after, f"a worker takes over the call ({job.operation} {job.ordinal})", ()

    # -- the PSP, unasked ---------------------------------------------------------------------------

    def _rare(self, side: PaymentSide) -> frozenset[str]:
        """What happens days after its cause: by then the cause is written down, leases last for seconds."""
        payment = side.payment
        if payment is None or payment.decision is not Decision.CAPTURED:
            return frozenset()
        return _AFTER_REFUND if payment.state is State.REFUNDED else _AFTER_CAPTURE

    def _hook(self, side: PaymentSide, place: int, hook: Hook, choices: Choices) -> Told:
        told = side.psps[place]
        outcome = psp.told_unasked(told, hook)
        rest = side.with_psp(place, told._replace(hooks=told.hooks - {hook}))
        name = f"webhook {hook.kind}"
        if hook.kind in psp.LOSABLE and choices.among("", ("is lost", "webhook lost")):
            return rest, name, ()
        return self._fold(rest, outcome, name, choices)

    def _arrives(self, side: PaymentSide, one: Delayed, choices: Choices) -> Told:
        rest = side._replace(wire=side.wire - {one})
        if choices.among("arrives late", "is lost") == "is lost":
            return self._tidy(rest), one.request.path, ()
        place = next(place for place, known in enumerate(side.psps) if known.name == one.system)
        after, _ = psp.answer(side.psps[place], one.request, choices)
        return self._tidy(rest.with_psp(place, after)), one.request.path, ()

    # -- rows ---------------------------------------------------------------------------------------

    def _write(self, side: PaymentSide, change: Change | None, name: str, choices: Choices) -> Told:
        """`open_payments` and `write_payments`: the row, its calls, the money; a new call is claimed at once
        where the workers have room."""
        folded = Folded(side.payment)
        folded.add(change)
        payment = folded.payment
        if payment is None:
            return side, name, ()
        changes: dict[str, Any] = {"row": freeze(payment)}
        before = side.payment
        if before is None or payment.ordinal != before.ordinal:
            changes |= {"was_sent": False, "refund_reference": None}
        for attempt in folded.attempts.values():
            if attempt.ordinal == payment.ordinal and attempt.key is None and attempt.reference is not None:
                changes["refund_reference"] = attempt.reference
        jobs = side.jobs
        if folded.changed and folded.begins and not choices.among("", ("no worker has room", "no room")):
            key = folded.attempts[payment.ordinal].key
            assert key is not None, "a call without its key was begun"
            begun = job_of(call_of(payment, key, _token(payment), _ENDLESS))
            jobs = (*(job._replace(holds=False) for job in side.jobs), begun)
            changes["was_sent"] = True
        changes |= _refusals(side, folded)
        changes["ledger"] = side.ledger.union(folded.transfers)
        decided = (type(one).__name__ for one in folded.messages if isinstance(one, _DECISIONS))
        changes["said"] = side.said.union(decided)
        changes["purse_minor"] = side.purse_minor + folded.wallet_minor
        return self._tidy(side.with_jobs(jobs)._replace(**changes)), name, tuple(folded.messages)

    def _tidy(self, side: PaymentSide) -> PaymentSide:
        """Keys that nobody can use again, and news that nobody hears, would only tell states apart."""
        payment = side.known
        under_way = (payment.operation, payment.ordinal)
        jobs = [
            job._replace(holds=False)
            if job.result is not None and (job.operation, job.ordinal) != under_way
            else job
            for job in side.jobs
        ]
        side = side.with_jobs(job for job in jobs if not self._is_over(payment, job))
        usable = {str(job.key) for job in side.jobs} | {one.request.key or "" for one in side.wire}
        # After "nothing was seen" the same call comes again under the same key.
        operation = payment.operation or Operation.CAPTURE
        usable.add(str(call_key(RENEWAL, operation, payment.payment_method_id or "", payment.ordinal)))
        if payment.provider_reference is None or side.jobs:
            usable |= {str(object_key(one.name, RENEWAL, payment.objects)) for one in side.psps}
        return side._replace(psps=tuple(psp.remembering(one, usable) for one in side.psps))

    def _is_over(self, payment: Payment, job: Job) -> bool:
        """Whether what a worker without a lease brings is dropped now and ever, as production says."""
        if job.holds:
            return False
        if job.result is None:
            # A question that nobody waits for is as good as not asked; what it could bring, a webhook brings.
            return job.operation is Operation.ASK or not self._zombies_send(job)
        if not isinstance(job.result, Outcome):
            return True
        outcome = job.result._replace(claim=EARLIER)
        if outcome.kind in _FACTS - {Kind.CAPTURED} or outcome.kind is Kind.WALLET:
            return False
        asked = payment.copy(operation=job.operation, ordinal=job.ordinal)
        return outcomes.fold_outcome(asked, outcome, NOW, PAYMENT_PATIENCE) is None

    def _zombies_send(self, job: Job) -> bool:
        return job.gateway != WALLET and self.case.zombies_send[0]


def _refusals(side: PaymentSide, folded: Folded) -> dict[str, Any]:
    """What is kept of the last decline: nothing where all is decided, or where a capture begins anew."""
    payment = folded.payment
    if side.refused is None or payment is None:
        return {}
    if folded.changed and folded.begins and payment.operation is Operation.CAPTURE:
        return {"refused": None, "repeated": folded.attempts[payment.ordinal].key == side.refused}
    return {"refused": None} if payment.decision is not None else {}


def _suffered(told: Told, kind: str, choices: Choices) -> Told | None:
    """Something that happens of itself, if deviations of its kind happen at all."""
    return told if not kind or choices.suffers(kind) else None


def _token(payment: Payment) -> str | None:
    return None if payment.payment_method_id is None else f"tok-{payment.payment_method_id}"
