"""What payment says, built from the row: said again, it is the same message with the same id."""

from datetime import datetime
from typing import Any

from services.payment.domain.decline_codes import decline_class
from services.payment.domain.payment import LONG_PAST, Payment, Surplus
from shared.contracts.message import RenewalMessage
from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    RefundAttemptFailed,
    RefundRejected,
    SurplusRefunded,
)


def captured(payment: Payment) -> PaymentCaptured:
    """The instruction to top up; one that starts nothing where the wish to cancel came before the capture."""
    if (
        payment.captured_at is None
        or payment.captured_version is None
        or payment.amount_minor is None
        or payment.grant is None
    ):
        raise ValueError("nothing was captured")
    return PaymentCaptured(
        renewal_id=payment.renewal_id,
        subscription_id=payment.subscription_id,
        version=payment.captured_version,
        attempt=payment.attempt,
        terms=payment.terms,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        grant=payment.grant,
        act_before=payment.act_before or LONG_PAST,
        payment_method_id=payment.payment_method_id or "none",
        captured_at=payment.captured_at,
    )


def declined(payment: Payment, code: str) -> PaymentDeclined:
    return PaymentDeclined(
        **_head(payment),
        payment_method_id=payment.payment_method_id or "none",
        decline_class=decline_class(code),
        decline_code=code,
    )


def attempt_failed(
    payment: Payment, reason: str, *, reached_provider: bool, retry_after_seconds: int | None = None
) -> PaymentAttemptFailed:
    return PaymentAttemptFailed(
        **_head(payment),
        payment_method_id=payment.payment_method_id or "none",
        reason=reason,
        reached_provider=reached_provider,
        retry_after_seconds=retry_after_seconds,
    )


def action_required(payment: Payment, action_before: datetime) -> PaymentActionRequired:
    return PaymentActionRequired(
        **_head(payment), payment_method_id=payment.payment_method_id or "none", action_before=action_before
    )


def cancelled(payment: Payment, reason: str, *, unresolved: bool) -> PaymentCancelled:
    return PaymentCancelled(**_head(payment), reason=reason, unresolved=unresolved)


def refunded(payment: Payment, at: datetime) -> PaymentRefunded:
    return PaymentRefunded(
        **_refund_head(payment),
        amount_minor=payment.amount_minor or 0,
        currency=payment.currency,
        refunded_at=at,
    )


def refund_failed(
    payment: Payment, reason: str, *, reached_provider: bool, retry_after_seconds: int | None = None
) -> RefundAttemptFailed:
    return RefundAttemptFailed(
        **_refund_head(payment),
        reason=reason,
        reached_provider=reached_provider,
        retry_after_seconds=retry_after_seconds,
    )


def refund_rejected(payment: Payment, reason: str) -> RefundRejected:
    return RefundRejected(**_refund_head(payment), reason=reason)


def surplus_refunded(payment: Payment, surplus: Surplus, at: datetime) -> SurplusRefunded:
    return SurplusRefunded(
        **_head(payment),
        ordinal=surplus.ordinal,
        amount_minor=surplus.amount_minor,
        currency=surplus.currency,
        refunded_at=at,
    )


def disputed(payment: Payment, reason: str, at: datetime) -> PaymentDisputed:
    return PaymentDisputed(
        **_head(payment),
        amount_minor=payment.amount_minor or 0,
        currency=payment.currency,
        reason=reason,
        disputed_at=at,
    )


def decision(payment: Payment) -> tuple[RenewalMessage, ...]:
    """The decision once more."""
    if payment.captured_version is not None:
        return (captured(payment),)
    return (payment.answer,) if payment.answer is not None else ()


def _head(payment: Payment) -> dict[str, Any]:
    return {
        "renewal_id": payment.renewal_id,
        "subscription_id": payment.subscription_id,
        "version": payment.version,
        "attempt": payment.attempt,
        "terms": payment.terms,
    }


def _refund_head(payment: Payment) -> dict[str, Any]:
    return _head(payment) | {"attempt": max(payment.refund_attempt, 1)}
