"""Instructions, top-ups and attempts for tests, at a fixed instant."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.provisioning.topups.domain.attempt import Attempt, Capabilities, Patience
from services.provisioning.topups.domain.findings import Known
from services.provisioning.topups.domain.instructions import Ground
from services.provisioning.topups.domain.top_up import Order, State, TopUp
from shared.contracts.message import Grant, Terms
from shared.contracts.payments import PaymentCaptured
from shared.contracts.topup_commands import ApplyTopUp, CancelTopUp, ResolveTopUp

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=30)
PAST = NOW - timedelta(seconds=1)
RENEWAL = UUID("0198d3a0-0000-7000-8000-000000000001")
TERMS = Terms(
    offering_id="cuba-1gb",
    max_amount_minor=1000,
    currency="USD",
    payment_method_ids=("card-1",),
    payer_id="anna",
)
GRANT = Grant(data_bytes=2**30, validity_seconds=86_400, product_code="cu1")
ORDER = Order(RENEWAL, "sub-1", TERMS, GRANT, 1000, "USD", "8999990000000000018", "cubacel", None)
GROUND = Ground(NOW)
PATIENCE = Patience()
FULL = Capabilities()
KNOWN = Known(FULL, PATIENCE, NOW)

_PURCHASE: dict[str, Any] = {
    "renewal_id": RENEWAL,
    "subscription_id": "sub-1",
    "version": 3,
    "terms": TERMS,
    "amount_minor": 1000,
    "currency": "USD",
    "grant": GRANT,
}


def captured(act_before: datetime = SOON, attempt: int = 1) -> PaymentCaptured:
    return PaymentCaptured(
        **_PURCHASE, attempt=attempt, act_before=act_before, payment_method_id="card-1", captured_at=PAST
    )


def apply(attempt: int = 1, act_before: datetime = SOON) -> ApplyTopUp:
    return ApplyTopUp(**_PURCHASE, attempt=attempt, act_before=act_before)


def cancel(act_before: datetime = SOON, attempt: int = 1) -> CancelTopUp:
    return CancelTopUp(
        renewal_id=RENEWAL,
        subscription_id="sub-1",
        version=5,
        attempt=attempt,
        terms=TERMS,
        act_before=act_before,
        reason="customer_cancelled",
    )


def resolve(*, applied: bool, act_before: datetime = SOON) -> ResolveTopUp:
    return ResolveTopUp(
        renewal_id=RENEWAL,
        subscription_id="sub-1",
        version=6,
        terms=TERMS,
        act_before=act_before,
        decision="applied" if applied else "not_applied",
        decided_by="operator-1",
    )


def top_up(state: State, **more: Any) -> TopUp:
    """A top-up whose second attempt (of the saga and at the carrier) is in that state, at version 7."""
    known: dict[str, Any] = {"attempt": 2, "version": 7, "act_before": SOON, "ordinal": 2}
    return TopUp(state, **(known | more))


def attempt(**more: Any) -> Attempt:
    """The attempt of `top_up`, sent ten seconds ago under its first lease."""
    sent: dict[str, Any] = {
        "operation": "apply",
        "ordinal": 2,
        "status": "sending",
        "claim": 1,
        "asked": 1,
        "first_sent_at": NOW - timedelta(seconds=10),
        "send_before": NOW - timedelta(seconds=7),
    }
    return Attempt(**(sent | more))
