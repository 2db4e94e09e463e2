"""Renewals are priced by what was in force when they were asked for, in every process alike."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from services.catalog import settings, wiring
from services.catalog.prices.current import CurrentPriceList
from services.catalog.prices.handlers import PriceRenewals
from shared.clock import utc_now
from shared.database import open_pool
from shared.messaging.handling import Sender
from shared.messaging.outbox import Outbox
from shared.messaging.transaction import Transactions
from tests.integration.catalog.conftest import (
    LEAD_SECONDS,
    OFFERING,
    new_offering_id,
    price_body,
    priced,
    request,
    sold,
)
from tests.integration.wired import Wired

LEAD = timedelta(seconds=LEAD_SECONDS)


async def test_a_renewal_is_priced_as_soon_as_the_first_price_is_written(catalog: Wired) -> None:
    assert await priced(catalog, request(await sold(catalog))) == 1000


async def test_the_same_request_gets_the_same_bytes_from_another_process_and_after_changes(
    catalog: Wired,
) -> None:
    offering_id = await sold(catalog)
    asked, too_dear = request(offering_id), request(offering_id, maximum=1)
    first = await catalog.answer("pricing", asked, too_dear)
    await catalog.request(
        "PUT", f"/v1/offerings/{offering_id}", {**OFFERING, "data_bytes": 5, "status": "withdrawn"}
    )
    await catalog.request("POST", f"/v1/offerings/{offering_id}/prices/p-1/withdrawal")
    other = wiring.build(
        settings.Settings(database_url="postgresql://unused"),
        Transactions(catalog.pool, Outbox(catalog.pool, catalog.producer, "catalog", utc_now), utc_now),
    )
    sender = Sender(utc_now())
    (pricing,) = (consumer for consumer in other.consumers if consumer.name == "pricing")
    await pricing.handle(sender, [catalog.received(asked), catalog.received(too_dear)])  # type: ignore[arg-type, call-arg]
    assert [each.payload for each in sender.outgoing] == [each.payload for each in first]
    assert [each.event_id for each in sender.outgoing] == [each.event_id for each in first]


async def test_what_is_not_sold_is_rejected_with_its_reason(catalog: Wired) -> None:
    offering_id = await sold(catalog)
    unpriced = new_offering_id()
    await catalog.request("PUT", f"/v1/offerings/{unpriced}", OFFERING)
    assert await priced(catalog, request("nothing")) == "offering_unknown"
    assert await priced(catalog, request(unpriced)) == "not_priced"
    assert await priced(catalog, request(offering_id, currency="EUR")) == "currency_mismatch"
    assert await priced(catalog, request(offering_id, maximum=999)) == "price_changed"
    assert await priced(catalog, request(offering_id, utc_now() - timedelta(days=1))) == "not_priced"


async def test_a_withdrawn_price_holds_until_its_withdrawal_and_then_the_one_before_it(
    catalog: Wired,
) -> None:
    offering_id = await sold(catalog, 1000)
    path = f"/v1/offerings/{offering_id}/prices/p-2"
    ahead = utc_now() + timedelta(minutes=6)
    assert (await catalog.request("PUT", path, price_body(1, ahead))).status == 200
    reply = await catalog.request("POST", f"{path}/withdrawal")
    again = await catalog.request("POST", f"{path}/withdrawal")
    assert reply.status == 200
    assert again.body == reply.body
    withdrawn = await catalog.request("POST", f"/v1/offerings/{offering_id}/prices/p-1/withdrawal")
    since = withdrawn.body["withdrawn_from"]
    asked_before, asked_after = request(offering_id), request(offering_id, utc_now() + LEAD)
    assert since > asked_before.requested_at.isoformat()
    assert await priced(catalog, asked_before) == 1000
    assert await priced(catalog, asked_after) == "not_priced"


async def test_a_changed_offering_is_granted_from_a_few_seconds_later_on(catalog: Wired) -> None:
    offering_id = await sold(catalog)
    await catalog.request("PUT", f"/v1/offerings/{offering_id}", {**OFFERING, "data_bytes": 7})
    now, later = await catalog.answer("pricing", request(offering_id), request(offering_id, utc_now() + LEAD))
    assert b'"data_bytes":1000000000' in now.payload
    assert b'"data_bytes":7' in later.payload


async def test_a_process_that_never_saw_a_change_is_told_before_it_answers_for_a_time_it_does_not_know(
    catalog: Wired,
) -> None:
    """Its list is as old as the offering; the price is withdrawn since, and nobody refreshes."""
    offering_id = await sold(catalog)
    stale = CurrentPriceList(catalog.pool, timedelta(0))
    await stale.refresh()
    await catalog.request("POST", f"/v1/offerings/{offering_id}/prices/p-1/withdrawal")
    sender = Sender(utc_now())
    asked = catalog.received(request(offering_id, utc_now() + LEAD))
    await PriceRenewals(stale)(sender, [asked])
    assert [each.type for each in sender.outgoing] == ["RenewalRejected"]


async def test_nobody_is_rejected_because_the_database_is_away(catalog: Wired) -> None:
    closed = await open_pool(catalog.url, application_name="tests", connections=1)
    current = CurrentPriceList(closed, LEAD)
    await current.refresh()
    await closed.close()
    sender = Sender(utc_now())
    with pytest.raises(asyncpg.InterfaceError):
        await PriceRenewals(current)(sender, [catalog.received(request("nothing"))])
    assert sender.outgoing == []


async def test_the_loop_brings_the_list_up_to_date_by_itself(catalog: Wired) -> None:
    offering_id = await sold(catalog)
    current: CurrentPriceList = catalog.consumer("pricing").handle._current  # type: ignore[union-attr]
    async with asyncio.timeout(10):
        while offering_id not in current.now_known.listings:
            await asyncio.sleep(0.05)
    assert current.now_known.known_until > utc_now()
