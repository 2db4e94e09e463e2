"""What provisioning does, by the functions that production runs.

Production's own: `fold`, `next_call`, `settle`, `opened`, `closed`, `answer`, and `SandboxCarrier` (what an
answer means). Written anew here, as short as it goes: what queries.sql does to the rows, and which question
goes to which method of the gateway. Each place names its statement.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from services.provisioning.topups.domain import attempt as attempts
from services.provisioning.topups.domain import findings, instructions
from services.provisioning.topups.domain.answers import answer
from services.provisioning.topups.domain.attempt import Attempt
from services.provisioning.topups.domain.findings import Finding, Known, Settled
from services.provisioning.topups.domain.instructions import Ground, Instruction
from services.provisioning.topups.domain.top_up import FINAL, SPOKEN, TopUp
from services.provisioning.topups.gateways.sandbox import SandboxCarrier
from shared.contracts.message import Message
from shared.contracts.topup_commands import CancelTopUp
from tests.exhaustive import carrier
from tests.exhaustive.abstraction import FUTURE, NOW, PAST, is_timely, plain
from tests.exhaustive.carrier import Carrier
from tests.exhaustive.case import RENEWAL, TOP_UP_PATIENCE, Case
from tests.exhaustive.choices import Choices
from tests.exhaustive.line import WORKERS, Delayed, Line, finished
from tests.exhaustive.parts import Told as ToldOf
from tests.exhaustive.provisioning import (
    EARLIER,
    LATEST,
    MANY_CALLS,
    AttemptKey,
    Job,
    ProvisioningSide,
    key_of,
    plain_top_up,
)

Told = ToldOf[ProvisioningSide]


class ProvisioningMachine:
    """The steps that provisioning's side can take in one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._order = case.order

    def at_first(self) -> ProvisioningSide:
        return ProvisioningSide(Carrier(self.case.carrier))

    def steps(self, side: ProvisioningSide) -> Iterator[Callable[[Choices], Told | None]]:
        """Everything that can happen here without a letter."""
        for place in range(len(side.jobs)):
            yield partial(self._job, side, place)
        held = {job.key for job in side.jobs if job.holds}
        for one in side.attempts:
            if not one.ended and key_of(one) not in held:
                yield partial(self._claim, side, one)
        for name, after in carrier.events(side.carrier):
            yield partial(_happened, (side._replace(carrier=after), f"carrier: {name}", ()))
        for request in side.wire:
            yield partial(self._arrives, side, request)

    def receives(self, side: ProvisioningSide, message: Message, choices: Choices) -> Told:
        """A letter is read, as TopUpInstructions does; a new row begins like a new attempt."""
        assert isinstance(message, Instruction)
        before = side.top_up
        if isinstance(message, CancelTopUp) and before is None and is_timely(message):
            side = side._replace(called_off=True)
        after, says = instructions.fold(before, message, Ground(NOW, cancels=self.case.carrier.cancels))
        if after is None:
            return side, "", ()
        return self._write(side, before, after, says and after.state in SPOKEN, "", choices)

    # -- workers ------------------------------------------------------------------------------------

    def _job(self, side: ProvisioningSide, place: int, choices: Choices) -> Told | None:
        job = side.jobs[place]
        others = side.jobs[:place] + side.jobs[place + 1 :]
        match choices.among("", *(WORKERS if job.holds else ())):
            case "dies":
                return side.with_jobs(others), str(job), ()
            case "loses its lease":
                return self._tidy(side.with_jobs((*others, job._replace(holds=False)))), str(job), ()
        if job.finding is None:
            return self._make(side, job, others, choices)
        return self._record(side.with_jobs(others), job, job.finding, choices)

    def _make(self, side: ProvisioningSide, job: Job, others: tuple[Job, ...], choices: Choices) -> Told:
        """`TopUpCalls.call`, over a line on which anything can happen, unless the carrier takes no calls."""
        line = Line("carrier", side.carrier, carrier.answer, choices)
        line.is_timely = job.holds
        if not self._in_time(job, choices):
            finding = Finding("late", "send_window_closed")
        else:
            finding = finished(self._ask(SandboxCarrier(line), job))
            if job.holds and finding.is_outage:
                excused = choices.among("", ("excused by an open breaker", "breaker open")) != ""
                finding = finding._replace(excused=excused)
        told = finding._replace(expires_at=None, reason=plain(finding.reason), is_outage=False)
        after = side.with_jobs((*others, job._replace(finding=told)))
        after = after._replace(carrier=line.there, wire=side.wire.union(line.delayed))
        return self._tidy(after), f"{job} {job.call}: {finding.kind} {finding.reason or ''}", ()

    async def _ask(self, gateway: SandboxCarrier, job: Job) -> Finding:
        key = attempts.idempotency_key(RENEWAL, job.operation, job.ordinal)
        match job.call:
            case "apply":
                return await gateway.apply(self._order, key)
            case "cancel":
                return await gateway.cancel(self._order, key)
            case "find":
                found = await gateway.find(self._order)
                return found._replace(asked_at=FUTURE if job.is_late else PAST)
            case "look_up":
                return await gateway.look_up(self._order, job.provider_reference or "")
            case "nothing":
                return Finding("unknown", "cannot_be_asked")

    def _in_time(self, job: Job, choices: Choices) -> bool:
        """Whether the send window is still open. A zombie has either not looked yet, or just has."""
        effectful = attempts.is_effectful(job.call)
        if job.holds:
            kind = "slow worker" if effectful else "breaker open"
            return choices.among("", ("too late to send", kind)) == ""
        return not effectful or choices.among("sends all the same", "too late") != "too late"

    def _record(self, side: ProvisioningSide, job: Job, finding: Finding, choices: Choices) -> Told:
        """`TopUpCalls.record`: the finding is folded into the attempt and the decision."""
        before = side.known
        held = next(one for one in side.attempts if key_of(one) == job.key)
        now = NOW
        if held.asked > TOP_UP_PATIENCE.repeats and choices.among("", "the resolution deadline has passed"):
            now = NOW + timedelta(seconds=TOP_UP_PATIENCE.resolution)
        known = Known(self.case.carrier, TOP_UP_PATIENCE, now)
        settled = findings.settle(before, held, finding, LATEST if job.holds else EARLIER, known)
        if settled.attempt is not held:
            side = side.with_attempt(settled.attempt)
        side = side._replace(contradicted=side.contradicted or settled.contradiction)
        name = f"{job} writes down {finding.kind} {finding.reason or ''}"
        return self._write(side, before, settled.top_up, settled.says, name, choices)

    def _claim(self, side: ProvisioningSide, one: Attempt, choices: Choices) -> Told:
        """`pick_due_attempts`, `next_call`, `take_attempts`: an attempt that nobody holds."""
        top_up = side.known
        there, is_late, now = side.carrier, False, NOW
        idle = one.status != "waiting" and not side.jobs and not side.wire
        if idle and choices.among("", ("the keys are forgotten by now", "keys forgotten")):
            there, now = carrier.remembering(there, (), is_asked=False), NOW + timedelta(days=2)
        call = attempts.next_call(top_up, one, self.case.carrier, TOP_UP_PATIENCE, now)
        if call == "find" and not any(request.is_timely for request in side.wire):
            is_late = choices.among("late", "early") == "late"
        if is_late:
            there = carrier.old(there)
        taken = one._replace(
            status="sending" if one.status == "waiting" else one.status,
            claim=LATEST,
            asked=min(one.asked + 1, MANY_CALLS),
            send_before=NOW if attempts.is_effectful(call) else one.send_before,
            first_sent_at=NOW,
        )
        if top_up.state == "pending" and one.operation == "apply":
            top_up = top_up._replace(state="sending")
        job = Job(one.operation, one.ordinal, call, one.provider_reference, is_late)
        after = side.with_attempt(taken).with_jobs((*side.jobs, job))._replace(carrier=there, top_up=top_up)
        return after, f"a worker takes over ({one.operation} {one.ordinal}), to {call}", ()

    # -- the carrier, unasked -----------------------------------------------------------------------

    def _arrives(self, side: ProvisioningSide, one: Delayed, choices: Choices) -> Told:
        rest = side._replace(wire=side.wire - {one})
        if choices.among("arrives late", "is lost") == "is lost":
            return self._tidy(rest), one.request.path, ()
        after, _ = carrier.answer(side.carrier, one.request, choices)
        return self._tidy(rest._replace(carrier=after)), one.request.path, ()

    # -- rows ---------------------------------------------------------------------------------------

    def _write(
        self,
        side: ProvisioningSide,
        before: TopUp | None,
        after: TopUp,
        says: bool,
        name: str,
        choices: Choices,
    ) -> Told:
        """`insert_top_ups`, `write_decisions` and `open_attempts`: a new attempt is claimed at once where the
        workers have room."""
        begun = attempts.opened(before, after)
        is_claimed = bool(begun) and not choices.among("", ("no worker has room", "no room"))
        if is_claimed and after.state == "pending":
            after = after._replace(state="sending")
        now = plain_top_up(after)
        messages: tuple[Message, ...] = ()
        said = side.said
        if says:
            message = answer(self._order, now if after.applied_at is None else now._replace(cycle=1))
            messages = (message,)
            if now.state in FINAL:
                said |= {type(message).__name__}
        written = side._replace(top_up=now, said=said)
        if before is not None:
            for operation, ordinal, status in attempts.closed(before, after):
                written = written.closed(operation, ordinal, status)
        for operation, ordinal in begun:
            written = written.opened(operation, ordinal, is_claimed=is_claimed)
        return self._tidy(written), name, messages

    def _tidy(self, side: ProvisioningSide) -> ProvisioningSide:
        """What is over and known, and keys that nobody can use again, would only tell states apart."""
        top_up = side.known
        side = side.with_jobs(job for job in side.jobs if not self._is_over(top_up, job))
        needed: set[AttemptKey] = {job.key for job in side.jobs}
        if top_up.same_ordinal:
            needed.add(("apply", top_up.ordinal))
        kept = tuple(
            one if not one.ended else Attempt(*key_of(one), "failed", LATEST, 0, NOW, ended=True)
            for one in side.attempts
            if not one.ended or key_of(one) in needed
        )
        usable = needed | {key_of(one) for one in kept if not one.ended}
        keys = {str(attempts.idempotency_key(RENEWAL, *each)) for each in usable}
        keys |= {one.request.key or "" for one in side.wire}
        asked = bool(side.jobs) or any(not one.ended for one in kept)
        there = carrier.remembering(side.carrier, keys, is_asked=asked)
        return side._replace(attempts=kept, carrier=there)

    def _is_over(self, top_up: TopUp, job: Job) -> bool:
        """Whether what a worker without a lease brings is dropped now and ever, as production says."""
        if job.holds:
            return False
        if job.finding is None:
            return not attempts.is_effectful(job.call) or not self.case.zombies_send[1]
        asked = Attempt(*job.key, "sending", LATEST, MANY_CALLS, NOW, NOW)
        known = Known(self.case.carrier, TOP_UP_PATIENCE, NOW)
        return findings.settle(top_up, asked, job.finding, EARLIER, known) == Settled(top_up, asked)


def _happened(told: Told, _choices: Choices) -> Told:
    return told
