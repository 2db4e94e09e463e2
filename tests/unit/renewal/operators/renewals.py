"""Renewals as operators find them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.renewal.domain.renewal import Renewal, State
from shared.contracts.message import Grant, Terms

REQUESTED_AT = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
TERMS = Terms(
    offering_id="cuba-1gb",
    max_amount_minor=1000,
    currency="USD",
    payment_method_ids=("card-1",),
    payer_id="owner-1",
    origin="customer",
)
GRANT = Grant(data_bytes=10**9, validity_seconds=86_400, product_code="CU-1GB")


def a_renewal(state: State, version: int = 4, **different: Any) -> Renewal:
    """A priced one in that state."""
    return Renewal(
        renewal_id=UUID(int=2),
        subscription_id="sub-1",
        terms=TERMS.model_dump_json(),
        cycle=0,
        requested_at=REQUESTED_AT,
        traceparent=None,
        heard_at=REQUESTED_AT,
        deadline_at=REQUESTED_AT + timedelta(minutes=15),
        payment_method_id="card-1",
        state=state,
        version=version,
        amount_minor=900,
        granted=GRANT.model_dump_json(),
    )._replace(**different)
