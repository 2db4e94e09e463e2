"""The catalog at work on real servers, and requests to price."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from services.catalog import settings, wiring
from shared.clock import utc_now
from shared.contracts.message import Terms
from shared.contracts.prices import RenewalPriced, RenewalRejected
from shared.contracts.renewals import RenewalRequested
from tests.conftest import FreshDatabase
from tests.integration.wired import Wired, wired

LEAD_SECONDS = 2
_numbers = count(1)

OFFERING: dict[str, Any] = {
    "name": "Cuba 1 GB",
    "plan": "monthly",
    "destination": "CU",
    "data_bytes": 10**9,
    "validity_seconds": 30 * 86_400,
    "stacking": "extend",
    "product_code": "cu1",
}


def new_offering_id() -> str:
    """An offering id that no other test has."""
    return f"cuba-{next(_numbers)}"


def price_body(amount: int, effective_from: datetime, currency: str = "USD") -> dict[str, Any]:
    return {"currency": currency, "amount_minor": amount, "effective_from": effective_from.isoformat()}


def request(
    offering_id: str, requested_at: datetime | None = None, maximum: int = 10**6, currency: str = "USD"
) -> RenewalRequested:
    at = requested_at or utc_now()
    return RenewalRequested(
        renewal_id=uuid4(),
        subscription_id="sub-1",
        version=1,
        terms=Terms(
            offering_id=offering_id,
            max_amount_minor=maximum,
            currency=currency,
            payment_method_ids=("card-1",),
            payer_id="payer-1",
        ),
        requested_at=at,
        act_before=at + timedelta(minutes=10),
    )


async def priced(catalog: Wired, asked: RenewalRequested) -> int | str:
    """The amount, or why there is none."""
    (answer,) = await catalog.answer("pricing", asked)
    if answer.type == "RenewalRejected":
        return RenewalRejected.model_validate_json(answer.payload).reason
    return RenewalPriced.model_validate_json(answer.payload).amount_minor


async def sold(catalog: Wired, amount: int = 1000) -> str:
    """A new offering with a price that has been in force for an hour."""
    offering_id = new_offering_id()
    written = await catalog.request("PUT", f"/v1/offerings/{offering_id}", OFFERING)
    assert written.status == 200, written
    first = price_body(amount, utc_now() - timedelta(hours=1))
    written = await catalog.request("PUT", f"/v1/offerings/{offering_id}/prices/p-1", first)
    assert written.status == 200, written
    return offering_id


@pytest.fixture(scope="module")
async def catalog(fresh_database: FreshDatabase, kafka_bootstrap: str) -> AsyncIterator[Wired]:
    url = await fresh_database("catalog")
    told = settings.Settings(database_url=url, catalog_change_lead_seconds=LEAD_SECONDS)
    async with wired(
        lambda transactions: wiring.build(told, transactions), url, kafka_bootstrap, "catalog"
    ) as service:
        yield service
