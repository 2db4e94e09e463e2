"""usage at work on real servers, and the messages that it reads."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID, uuid5

import pytest

from services.usage import settings, wiring
from shared.clock import utc_now
from shared.contracts.checks import eid_with_check, luhn_digit
from shared.contracts.fields import Stacking
from shared.contracts.message import Grant, Terms
from shared.contracts.subscriptions import SubscriptionChanged
from shared.contracts.topups import TopUpApplied
from shared.contracts.usage_records import UsageRecorded
from tests.conftest import FreshDatabase
from tests.integration.wired import Wired, wired

NAMESPACE = UUID("0d1f3a52-63a4-4b8f-9b56-0a4c7f3f7c11")
T0 = utc_now().replace(hour=8, minute=0, second=0, microsecond=0) - timedelta(days=1)
LATER = utc_now() + timedelta(days=30)
_numbers = count(1)


def iccid(number: int) -> str:
    digits = f"8953010{number:011d}"
    return digits + luhn_digit(digits)


def someone() -> tuple[str, str]:
    """A subscription id and its ICCID that no other test has."""
    number = next(_numbers)
    return f"sub-{number}", iccid(number)


def subscription(subscription_id: str, its_iccid: str, version: int = 1) -> SubscriptionChanged:
    return SubscriptionChanged(
        subscription_id=subscription_id,
        version=version,
        brand="ola",
        carrier="cubacel",
        iccid=its_iccid,
        eid=eid_with_check("890490320000000000000000000000"),
        bound_imei=None,
        owner_id="owner-1",
        status="active",
        top_ups=0,
        changed_at=T0 + timedelta(seconds=version),
    )


def record(
    its_iccid: str, record_id: str, size: int, *, source: str = "cubacel", started_at: datetime = T0
) -> UsageRecorded:
    return UsageRecorded(
        source=source,
        record_id=record_id,
        iccid=its_iccid,
        bytes_up=size // 10,
        bytes_down=size - size // 10,
        country="CU",
        started_at=started_at,
        ended_at=started_at + timedelta(minutes=5),
    )


def top_up(
    subscription_id: str,
    cycle: int,
    data_bytes: int,
    stacking: Stacking = "extend",
    expires_at: datetime = LATER,
    applied_at: datetime = T0,
) -> TopUpApplied:
    return TopUpApplied(
        renewal_id=uuid5(NAMESPACE, f"{subscription_id} {cycle}"),
        subscription_id=subscription_id,
        version=3,
        terms=Terms(
            offering_id="cuba-1gb",
            max_amount_minor=1000,
            currency="USD",
            payment_method_ids=("card-1",),
            payer_id="payer-1",
        ),
        grant=Grant(data_bytes=data_bytes, validity_seconds=86_400, stacking=stacking, product_code="cu1"),
        amount_minor=1000,
        currency="USD",
        cycle=cycle,
        applied_at=applied_at,
        expires_at=expires_at,
    )


def sold(
    subscription_id: str, cycle: int, stacking: Stacking, validity: timedelta, applied_at: datetime = T0
) -> TopUpApplied:
    """A top-up of 1,000 bytes; when it ends the carrier did not say."""
    stated = top_up(subscription_id, cycle, 1_000, stacking, applied_at + validity, applied_at)
    grant = stated.grant.model_copy(update={"validity_seconds": int(validity.total_seconds())})
    return stated.model_copy(update={"grant": grant, "expiry_stated": False})


@pytest.fixture(scope="module")
async def usage(fresh_database: FreshDatabase, kafka_bootstrap: str) -> AsyncIterator[Wired]:
    url = await fresh_database("usage")
    told = settings.Settings(database_url=url, usage_max_kept_records=500)
    async with wired(
        lambda transactions: wiring.build(told, transactions), url, kafka_bootstrap, "usage"
    ) as service:
        yield service
