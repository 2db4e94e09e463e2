"""The ways out: giving up, giving back, asking a person, closing. Other rules lead into these."""

from services.renewal.domain import wording
from services.renewal.domain.change import Change, alarmed, moved, noted
from services.renewal.domain.policy import CALLED_OFF, Moment, WhenSpent
from services.renewal.domain.renewal import Flag, Renewal, State
from services.renewal.domain.retries import not_failed_yet
from shared.contracts.payments import PaymentCancelled, PaymentDisputed, PaymentRefunded
from shared.contracts.topups import TopUpApplied


def cancel_payment(renewal: Renewal, reason: str, moment: Moment, detail: str | None = None) -> Change:
    """Give up before a capture was seen. The renewal ends only when payment says that it holds nothing."""
    new = moved(renewal, "cancelling_payment", moment.at, reason=reason)
    return Change(new, (wording.cancel_payment(new, moment),), reason, detail)


def cancel_top_up(renewal: Renewal, reason: str, moment: Moment, detail: str | None = None) -> Change:
    """Give up after the capture: the money may go back only once nothing can be applied any more."""
    new = moved(asked_anew(renewal), "cancelling_top_up", moment.at, reason=reason)
    return Change(new, (wording.cancel_top_up(new, moment),), reason, detail)


def asked_anew(renewal: Renewal) -> Renewal:
    """What provisioning could not find out it tries again once it calls off: until then nobody knows.

    A further attempt: what was said of the one before must not park again what has been decided since, and
    people may decide while some of it is still to be read.
    """
    if renewal.top_up == "undetermined":
        renewal = renewal._replace(top_up=None)
    elif renewal.state != "parked":
        return renewal
    return renewal._replace(top_up_attempt=renewal.top_up_attempt + 1)


def spent(
    renewal: Renewal, when_spent: WhenSpent, reason: str, moment: Moment, detail: str | None = None
) -> Change | None:
    """What the policy says to do once a budget is used up. None: the next step of the decline's row."""
    if when_spent == "next_step":
        return None
    if when_spent == "park":
        return park(renewal, renewal.state, reason, moment)._replace(detail=detail)
    if renewal.captured_at is None:
        return cancel_payment(renewal, reason, moment, detail)
    return cancel_top_up(renewal, reason, moment, detail)


def refund(renewal: Renewal, reason: str, moment: Moment) -> Change:
    """Give the money back: provisioning has promised that nothing is or will be applied."""
    new = moved(
        not_failed_yet(renewal),
        "refunding",
        moment.at,
        reason=renewal.reason or reason,
        refund_before=moment.after(moment.policy.refund_seconds),
    )
    return Change(new, (wording.refund_payment(new, moment),), reason)


def park(renewal: Renewal, came_from: State, reason: str, moment: Moment) -> Change:
    """A person must decide. The slot stays taken, so that nothing new is begun meanwhile."""
    new = moved(renewal, "parked", moment.at, parked_from=came_from, parked_reason=reason)
    return Change(new, (wording.renewal_parked(new, moment.at),), reason)


def unpaid(renewal: Renewal, message: PaymentCancelled, moment: Moment) -> Change:
    """PaymentCancelled ends it: cancelled if somebody called it off, failed otherwise."""
    reason = renewal.reason or message.reason
    flags = renewal.flagged("unresolved") if message.unresolved else renewal.flags
    if reason in CALLED_OFF:
        new = moved(renewal, "cancelled", moment.at, reason=reason, flags=flags)
        return Change(new, (wording.renewal_cancelled(new, moment.at),), reason)
    new = moved(renewal, "failed", moment.at, reason=reason, flags=flags)
    return Change(new, (wording.renewal_failed(new, moment.at),), reason)


def note_known(renewal: Renewal, message: PaymentCancelled, _moment: Moment) -> Change | None:
    """What payment could not learn in time it knows now: nothing was taken."""
    if message.unresolved or not renewal.has_flag("unresolved"):
        return None
    return Change(noted(renewal, flags=renewal.settled("unresolved")), reason="nothing_was_taken")


def unpaid_parked(renewal: Renewal, message: PaymentCancelled, moment: Moment) -> Change | None:
    """Only where no capture was seen: payment never says both."""
    if renewal.captured_at is not None:
        return clash(renewal, message, moment)
    return unpaid(renewal, message, moment)


def refunded(renewal: Renewal, message: PaymentRefunded, moment: Moment) -> Change:
    new = moved(
        renewal,
        "refunded",
        moment.at,
        amount_minor=message.amount_minor,
        reason=renewal.reason or renewal.parked_reason or "refunded_elsewhere",
    )
    return Change(new, (wording.renewal_refunded(new, message.refunded_at),), new.reason)


def clash(renewal: Renewal, message: object, _moment: Moment) -> Change | None:
    """An authority said what it has promised never to say here."""
    return alarmed(renewal, f"{type(message).__name__} while {renewal.state}")


def note_unwanted(renewal: Renewal, message: TopUpApplied, moment: Moment) -> Change | None:
    """The same, and noted that the data is there: a person who decides how it ends must not overlook that."""
    if renewal.applied_at is not None:
        return None
    change = clash(renewal, message, moment) or Change(noted(renewal))
    return change._replace(renewal=change.renewal._replace(applied_at=message.applied_at))


def note_applied(renewal: Renewal, message: TopUpApplied, _moment: Moment) -> Change | None:
    """What provisioning says of one that people closed as completed: when it was, and which cycle began."""
    if renewal.applied_at is not None:
        return None
    return Change(noted(renewal, applied_at=message.applied_at, top_up_cycle=message.cycle))


def _flag(renewal: Renewal, flag: Flag) -> Change | None:
    if renewal.has_flag(flag):
        return None
    return Change(noted(renewal, flags=renewal.flagged(flag)), reason=flag)


def note_dispute(renewal: Renewal, _message: PaymentDisputed, _moment: Moment) -> Change | None:
    """Recorded once, wherever the renewal stands: the case is worked on at the bank, not here."""
    return _flag(renewal, "disputed")


def note_refund(renewal: Renewal, _message: PaymentRefunded, _moment: Moment) -> Change | None:
    """Recorded once; where a cancellation is under way, its answer leads to the same end."""
    return _flag(renewal, "refunded_elsewhere")
