"""An offering changes by versions, each in force from a moment that everyone can know in time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.catalog.offerings.domain.offering import EVER, Offering, in_force_from, next_version

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LEAD = timedelta(seconds=5)
WANTED = Offering(
    offering_id="cuba-1gb",
    version=0,
    name="Cuba 1 GB",
    plan="data",
    destination="CU",
    data_bytes=10**9,
    validity_seconds=86_400,
    stacking="extend",
    product_code="cu1",
    brands=(),
    carriers=(),
    subscription_statuses=("active",),
    status="on_sale",
)


def test_the_first_version_is_in_force_for_every_request() -> None:
    first = next_version(None, WANTED)
    assert first is not None
    assert first.version == 1
    assert in_force_from(first, NOW, LEAD).effective_from == EVER


def test_the_same_again_is_no_version() -> None:
    first = next_version(None, WANTED)
    assert next_version(first, WANTED) is None


def test_a_change_is_in_force_when_every_process_knows_it() -> None:
    first = next_version(None, WANTED)
    second = next_version(first, replace(WANTED, data_bytes=2 * 10**9))
    assert second is not None
    assert second.version == 2
    assert in_force_from(second, NOW, LEAD).effective_from == NOW + LEAD
    assert in_force_from(second, NOW, LEAD).data_bytes == 2 * 10**9
