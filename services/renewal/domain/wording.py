"""What the saga says: every command and event, made from the renewal as it has become."""

from datetime import datetime
from typing import Literal

from services.renewal.domain.policy import Moment
from services.renewal.domain.renewal import Renewal
from shared.contracts.message import Grant, Terms
from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment, ResolvePayment
from shared.contracts.renewals import (
    CustomerActionRequired,
    RenewalCancelled,
    RenewalCompleted,
    RenewalDelayed,
    RenewalFailed,
    RenewalParked,
    RenewalRefunded,
    RenewalRequested,
)
from shared.contracts.topup_commands import ApplyTopUp, CancelTopUp, ResolveTopUp

FIRST_VERSION = 1


class PriceUnknown(Exception):
    """A purchase was to be ordered before any message named its price: the matrix must not allow it."""


def _effect_before(renewal: Renewal, moment: Moment) -> datetime:
    """A deadline shifted by a stall may lie behind us: what is ordered now may still be acted upon."""
    return max(renewal.deadline_at, moment.after(moment.policy.effect_seconds))


def renewal_requested(renewal: Renewal, moment: Moment, terms: Terms | None = None) -> RenewalRequested:
    """Always version 1, hence always the same id: said again, it is the same question."""
    return RenewalRequested(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=FIRST_VERSION,
        terms=terms or renewal.agreed,
        requested_at=renewal.requested_at,
        act_before=_effect_before(renewal, moment),
        cycle=renewal.cycle,
    )


def capture_payment(renewal: Renewal, moment: Moment) -> CapturePayment:
    amount_minor, grant = _priced(renewal)
    terms = renewal.agreed
    return CapturePayment(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        attempt=renewal.payment_attempt,
        terms=terms,
        amount_minor=amount_minor,
        currency=terms.currency,
        grant=grant,
        act_before=_effect_before(renewal, moment),
        payment_method_id=renewal.payment_method_id,
    )


def apply_top_up(renewal: Renewal, moment: Moment) -> ApplyTopUp:
    amount_minor, grant = _priced(renewal)
    terms = renewal.agreed
    return ApplyTopUp(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        attempt=renewal.top_up_attempt,
        terms=terms,
        amount_minor=amount_minor,
        currency=terms.currency,
        grant=grant,
        act_before=_effect_before(renewal, moment),
    )


def _priced(renewal: Renewal) -> tuple[int, Grant]:
    if renewal.amount_minor is None or renewal.granted is None:
        raise PriceUnknown(renewal.renewal_id)
    return renewal.amount_minor, Grant.model_validate_json(renewal.granted)


def cancel_payment(renewal: Renewal, moment: Moment) -> CancelPayment:
    return CancelPayment(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        attempt=renewal.payment_attempt,
        terms=renewal.agreed,
        act_before=moment.after(moment.policy.command_seconds),
        reason=renewal.reason or "given_up",
    )


def cancel_top_up(renewal: Renewal, moment: Moment) -> CancelTopUp:
    return CancelTopUp(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        attempt=renewal.top_up_attempt,
        terms=renewal.agreed,
        act_before=moment.after(moment.policy.command_seconds),
        reason=renewal.reason or "given_up",
    )


def refund_payment(renewal: Renewal, moment: Moment) -> RefundPayment:
    return RefundPayment(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        attempt=renewal.refund_attempt,
        terms=renewal.agreed,
        act_before=moment.after(moment.policy.command_seconds),
        reason=renewal.reason or "given_up",
    )


def resolve_payment(
    renewal: Renewal, decision: Literal["captured", "not_captured", "refunded"], by: str, moment: Moment
) -> ResolvePayment:
    return ResolvePayment(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        attempt=renewal.payment_attempt,
        terms=renewal.agreed,
        act_before=moment.after(moment.policy.command_seconds),
        decision=decision,
        decided_by=by,
    )


def resolve_top_up(
    renewal: Renewal,
    decision: Literal["applied", "not_applied"],
    by: str,
    moment: Moment,
    seconds: float | None = None,
) -> ResolveTopUp:
    """`seconds`: how long it may be acted upon; None: as long as other commands."""
    return ResolveTopUp(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        attempt=renewal.top_up_attempt,
        terms=renewal.agreed,
        act_before=moment.after(moment.policy.command_seconds if seconds is None else seconds),
        decision=decision,
        decided_by=by,
    )


def renewal_completed(renewal: Renewal, at: datetime, terms: Terms | None = None) -> RenewalCompleted:
    """`cycle` is what provisioning counted; where only an operator knows, one more than at admission."""
    terms = terms or renewal.agreed
    cycle = renewal.top_up_cycle if renewal.top_up_cycle is not None else renewal.cycle + 1
    return RenewalCompleted(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        terms=terms,
        amount_minor=renewal.amount_minor or 0,
        currency=terms.currency,
        completed_at=at,
        cycle=cycle,
    )


def renewal_failed(renewal: Renewal, at: datetime) -> RenewalFailed:
    return RenewalFailed(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        terms=renewal.agreed,
        reason=renewal.reason or "given_up",
        failed_at=at,
    )


def renewal_cancelled(renewal: Renewal, at: datetime) -> RenewalCancelled:
    return RenewalCancelled(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        terms=renewal.agreed,
        reason=renewal.reason or "given_up",
        cancelled_at=at,
    )


def renewal_refunded(renewal: Renewal, at: datetime) -> RenewalRefunded:
    terms = renewal.agreed
    return RenewalRefunded(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        terms=terms,
        reason=renewal.reason or "given_up",
        amount_minor=renewal.amount_minor or 0,
        currency=terms.currency,
        refunded_at=at,
    )


def renewal_delayed(renewal: Renewal, promised_by: datetime) -> RenewalDelayed:
    return RenewalDelayed(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        terms=renewal.agreed,
        state=renewal.state,
        promised_by=promised_by,
    )


def customer_action_required(
    renewal: Renewal, action: Literal["confirm_payment", "choose_payment_method"], before: datetime
) -> CustomerActionRequired:
    return CustomerActionRequired(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        attempt=renewal.payment_attempt,
        terms=renewal.agreed,
        action=action,
        payment_method_id=renewal.payment_method_id,
        action_before=before,
    )


def renewal_parked(renewal: Renewal, at: datetime) -> RenewalParked:
    return RenewalParked(
        renewal_id=renewal.renewal_id,
        subscription_id=renewal.subscription_id,
        version=renewal.version,
        terms=renewal.agreed,
        reason=renewal.parked_reason or "unknown",
        parked_at=at,
    )
