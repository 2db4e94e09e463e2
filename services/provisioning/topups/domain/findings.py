"""What a call to the carrier told, folded into the attempt and the decision."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from services.provisioning.topups.domain.attempt import (
    Attempt,
    Capabilities,
    Patience,
    Status,
    absence_is_certain_at,
    back_off_seconds,
)
from services.provisioning.topups.domain.instructions import call_off
from services.provisioning.topups.domain.top_up import FINAL, TopUp

Kind = Literal[
    "applied",  # the data is on the eSIM
    "processing",  # the carrier has it and will say later
    "rejected",  # the carrier will never apply this order
    "failed",  # the carrier had it and it came to nothing
    "called_off",  # the carrier will never apply anything for this reference
    "not_found",  # nothing with our reference at the carrier
    "refused",  # this very call did nothing (429, no connection); earlier ones may have
    "unknown",  # time-out, 5xx, garbage: anything may have happened
    "late",  # not sent: its turn did not come in time
]


class Finding(NamedTuple):
    """The outcome of one call, as a value. `reason` is a bounded code."""

    kind: Kind
    reason: str | None = None
    reached_provider: bool = True
    retry_after_seconds: int | None = None
    provider_reference: str | None = None
    expires_at: datetime | None = None
    asked_at: datetime | None = None
    """Database time, not after the question: "not found" says nothing about anything later."""
    is_outage: bool = False
    """The carrier itself failed: it was not reached, did not answer in time, or answered 5xx."""
    excused: bool = False
    """It is known to be out of order: that says nothing about this top-up, and spends nothing."""


@dataclass(frozen=True, slots=True)
class Known:
    """How the carrier is, how long we wait, and what time it is at the database."""

    carrier: Capabilities
    patience: Patience
    now: datetime


class Settled(NamedTuple):
    """The rows after a finding. `wait_seconds` until the attempt may be claimed again, while it is open."""

    top_up: TopUp
    attempt: Attempt
    says: bool = False
    wait_seconds: float = 0.0
    contradiction: bool = False
    """The carrier applied what was already said to be rejected or cancelled: a person must look."""


def settle(top_up: TopUp, attempt: Attempt, finding: Finding, claim: int, known: Known) -> Settled:
    """Fold a finding that was made under the lease `claim`.

    A lease that was lost may still bring the good news; everything else it brings is dropped.
    """
    if finding.kind == "applied":
        return _applied(top_up, attempt, finding, known.now)
    if attempt.ended or claim != attempt.claim:
        return Settled(top_up, attempt)
    if finding.excused:
        return _excused(top_up, attempt, finding)
    if attempt.operation == "cancel":
        return _cancellation(top_up, attempt, finding, known)
    match finding.kind:
        case "rejected" | "called_off":
            return _refused_for_good(top_up, attempt, finding, known)
        case "failed":
            return _not_applied(top_up, attempt, finding, "failed")
        case "not_found":
            return _not_found(top_up, attempt, finding, known)
        case "refused" if attempt.asked <= 1:
            return _not_applied(top_up, attempt, finding, "failed")
        case "late":
            return _not_sent(top_up, attempt)
        case _:
            return _open(top_up, attempt, finding, known)


def _applied(top_up: TopUp, attempt: Attempt, finding: Finding, now: datetime) -> Settled:
    # It is the apply attempt that worked, whoever heard of it first.
    done = _ended(attempt, "applied" if attempt.operation == "apply" else "failed", finding)
    if top_up.state == "applied":
        return Settled(top_up, done)
    if top_up.state in FINAL:
        return Settled(top_up, done, contradiction=True)
    applied = top_up._replace(
        state="applied",
        version=top_up.version + 1,
        reason=None,
        provider_reference=finding.provider_reference,
        applied_at=now,
        expires_at=finding.expires_at,
    )
    return Settled(applied, done, says=True)


def _refused_for_good(top_up: TopUp, attempt: Attempt, finding: Finding, known: Known) -> Settled:
    done = _ended(attempt, "rejected" if finding.kind == "rejected" else "cancelled", finding)
    reason = finding.reason or "rejected"
    # Carriers have been seen to refuse and apply later: final only once it is called off.
    unsure = finding.kind == "rejected" and known.carrier.cancels
    if top_up.state == "calling_off":
        return Settled(_next(top_up, unsure=unsure), done)
    if top_up.state != "sending":
        return Settled(top_up, done)
    if top_up.cancel_wanted:
        return Settled(_next(top_up, state="cancelled"), done, says=True)
    if unsure:
        return Settled(call_off(top_up, unsure=True, cancel_wanted=False, reason=reason), done)
    return Settled(_next(top_up, state="rejected", reason=reason), done, says=True)


def _not_applied(
    top_up: TopUp, attempt: Attempt, finding: Finding, status: Status, *, same_ordinal: bool = False
) -> Settled:
    done = _ended(attempt, status, finding)
    if top_up.state == "calling_off":
        return Settled(_next(top_up, unsure=False), done)
    if top_up.state != "sending":
        return Settled(top_up, done)
    if top_up.cancel_wanted:
        return Settled(_next(top_up, state="cancelled"), done, says=True)
    failed = _next(
        top_up,
        state="failed",
        same_ordinal=same_ordinal,
        reason=finding.reason or status,
        reached_provider=finding.reached_provider,
        retry_after_seconds=finding.retry_after_seconds,
    )
    return Settled(failed, done, says=True)


def _not_found(top_up: TopUp, attempt: Attempt, finding: Finding, known: Known) -> Settled:
    if attempt.send_before is None or finding.asked_at is None:
        return _open(top_up, attempt, finding, known)
    certain_at = absence_is_certain_at(attempt.send_before, known.carrier, known.patience)
    if finding.asked_at > certain_at:
        return _not_applied(top_up, attempt, finding, "absent", same_ordinal=known.carrier.honours_keys)
    settled = _open(top_up, attempt, finding, known)
    until_certain = (certain_at - known.now).total_seconds()
    return settled._replace(wait_seconds=max(settled.wait_seconds, until_certain))


def _not_sent(top_up: TopUp, attempt: Attempt) -> Settled:
    if attempt.asked > 1:
        return Settled(top_up, attempt._replace(asked=attempt.asked - 1), wait_seconds=0.0)
    if top_up.state == "sending" and not top_up.cancel_wanted:
        again = attempt._replace(status="waiting", asked=0)
        return Settled(_next(top_up, state="pending"), again)
    return _not_applied(top_up, attempt, Finding("late", "not_sent", reached_provider=False), "failed")


def _excused(top_up: TopUp, attempt: Attempt, finding: Finding) -> Settled:
    """Asked again when the carrier is back. An outage uses up none of the questions, however long it is."""
    if finding.kind == "refused" and attempt.operation == "apply" and attempt.asked <= 1:
        return _not_sent(top_up, attempt)
    # Once is kept: what was sent once is not taken for unsent.
    return Settled(top_up, attempt._replace(asked=max(attempt.asked - 1, 1), reason=finding.reason))


def _open(top_up: TopUp, attempt: Attempt, finding: Finding, known: Known) -> Settled:
    """Nothing is certain: ask again later, or give up asking."""
    can_be_asked = known.carrier.honours_keys or known.carrier.queries or finding.kind == "processing"
    if not can_be_asked or _gives_up(attempt, known):
        return _given_up(top_up, _ended(attempt, "undetermined", finding), finding, known)
    again = attempt._replace(
        status="processing" if finding.kind == "processing" else attempt.status,
        provider_reference=finding.provider_reference or attempt.provider_reference,
        reason=finding.reason,
    )
    return Settled(top_up, again, wait_seconds=_wait(attempt, finding, known.patience))


def _given_up(top_up: TopUp, done: Attempt, finding: Finding, known: Known) -> Settled:
    if top_up.state != "sending":
        return Settled(top_up, done)
    reason = finding.reason or "no_answer"
    if known.carrier.cancels:
        # The one question that is answered for good: applied, or never to be. A carrier that keeps failing
        # under one key answers no other, and no person has to look at what the carrier can settle.
        return Settled(call_off(top_up, unsure=True, cancel_wanted=top_up.cancel_wanted, reason=reason), done)
    return Settled(_next(top_up, state="undetermined", reason=reason), done, says=True)


def _cancellation(top_up: TopUp, attempt: Attempt, finding: Finding, known: Known) -> Settled:
    if finding.kind == "late":
        return Settled(top_up, attempt._replace(status="waiting", asked=attempt.asked - 1))
    if top_up.state != "calling_off":
        return Settled(top_up, _ended(attempt, "failed", finding))
    if finding.kind == "called_off":
        return Settled(_ends_without(top_up), _ended(attempt, "cancelled", finding), says=True)
    if not _gives_up(attempt, known):
        again = attempt._replace(reason=finding.reason)
        return Settled(top_up, again, wait_seconds=_wait(attempt, finding, known.patience))
    done = _ended(attempt, "undetermined", finding)
    if top_up.unsure:
        return Settled(_next(top_up, state="undetermined", reason="cancellation_unanswered"), done, says=True)
    # Every attempt is known not to have been applied; the carrier's word would only have been surer.
    return Settled(_ends_without(top_up), done, says=True)


def _ends_without(top_up: TopUp) -> TopUp:
    return _next(top_up, state="cancelled" if top_up.cancel_wanted else "rejected", unsure=False)


def _gives_up(attempt: Attempt, known: Known) -> bool:
    """After the deadline, but not before some questions: after a long outage all deadlines have passed."""
    if attempt.first_sent_at is None or attempt.asked <= known.patience.repeats:
        return False
    return known.now >= attempt.first_sent_at + timedelta(seconds=known.patience.resolution)


def _wait(attempt: Attempt, finding: Finding, patience: Patience) -> float:
    return max(back_off_seconds(attempt.asked, patience), float(finding.retry_after_seconds or 0))


def _ended(attempt: Attempt, status: Status, finding: Finding) -> Attempt:
    return attempt._replace(
        status=status,
        ended=True,
        reason=finding.reason,
        provider_reference=finding.provider_reference or attempt.provider_reference,
    )


def _next(top_up: TopUp, **changes: Any) -> TopUp:
    return top_up._replace(version=top_up.version + 1, **changes)
