"""What payment exports. Amounts are in minor units, by currency; no label holds an id."""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from services.payment.domain.payment import Folded
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
from shared.observability.metrics import children

_captures = children(
    Counter("recarga_payment_captures_total", "Capture attempts by what was said of them", ["outcome"])
)
_refunds = children(Counter("recarga_payment_refunds_total", "Refund attempts by what was said", ["outcome"]))
_captured = children(
    Counter("recarga_payment_captured_minor_total", "Money captured, in minor units", ["currency"])
)
_refunded = children(
    Counter("recarga_payment_refunded_minor_total", "Money refunded, in minor units", ["currency"])
)
_surplus = children(
    Counter("recarga_payment_surplus_minor_total", "Surplus sent back, in minor units", ["currency"])
)
_unknown = children(
    Counter("recarga_payment_calls_unknown_total", "Calls that ended without a known outcome", ["operation"])
)
_dropped = children(
    Counter("recarga_payment_outcomes_dropped_total", "Outcomes that changed nothing", ["kind"])
)
_webhooks = children(Counter("recarga_payment_webhooks_total", "Webhooks received", ["result"]))
APPLIED_WITHOUT_CAPTURE = Counter(
    "recarga_payment_applied_without_capture_total", "Top-ups for which no captured money is held"
)
UNRESOLVED = Counter(
    "recarga_payment_unresolved_total", "Payments that ended as cancelled without knowing: an operator case"
)
SURPLUS_OLDEST = Gauge(
    "recarga_payment_surplus_oldest_seconds",
    "Since the oldest surplus should have gone back",
)
REFUNDS_RETURNED = Counter(
    "recarga_payment_refunds_returned_total", "Refunds that came back after they had succeeded"
)

_OF_CAPTURE: dict[type[RenewalMessage], str] = {
    PaymentCaptured: "captured",
    PaymentDeclined: "declined",
    PaymentAttemptFailed: "failed",
    PaymentActionRequired: "action_required",
    PaymentCancelled: "cancelled",
    PaymentDisputed: "disputed",
}
_OF_REFUND: dict[type[RenewalMessage], str] = {
    PaymentRefunded: "refunded",
    RefundAttemptFailed: "failed",
    RefundRejected: "rejected",
    SurplusRefunded: "surplus_refunded",
}


def said(folds: Iterable[Folded]) -> None:
    """Count what committed folds said for the first time; what is only repeated changed nothing."""
    for folded in folds:
        if folded.changed:
            for message in folded.messages:
                _count(message)
            if any(transfer.kind == "refund_returned" for transfer in folded.transfers):
                REFUNDS_RETURNED.inc()


def _count(message: RenewalMessage) -> None:
    outcome = _OF_CAPTURE.get(type(message))
    if outcome is not None:
        _captures(outcome).inc()
    else:
        _refunds(_OF_REFUND[type(message)]).inc()
    match message:
        case PaymentCaptured():
            _captured(message.currency).inc(message.amount_minor)
        case PaymentRefunded():
            _refunded(message.currency).inc(message.amount_minor)
        case SurplusRefunded():
            _surplus(message.currency).inc(message.amount_minor)
        case PaymentCancelled() if message.unresolved:
            UNRESOLVED.inc()


def unknown(operation: str) -> None:
    _unknown(operation).inc()


def dropped(kind: str) -> None:
    _dropped(kind).inc()


def webhook(result: str) -> None:
    _webhooks(result).inc()
