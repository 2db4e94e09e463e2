"""The whole catalog on its topics: a request goes in on one, its price comes out on another."""

from uuid import uuid4

from services.catalog import settings, wiring
from shared.contracts.prices import RenewalRejected
from tests.conftest import FreshDatabase
from tests.integration.catalog.conftest import request
from tests.integration.on_topics import running


async def test_a_request_on_its_topic_is_answered_on_prices(
    fresh_database: FreshDatabase, kafka_bootstrap: str
) -> None:
    told = settings.Settings(database_url=await fresh_database("catalog"), kafka_bootstrap=kafka_bootstrap)
    subscription_id = f"sub-{uuid4().hex}"
    asked = request("nothing-of-the-kind").model_copy(update={"subscription_id": subscription_id})
    async with running("catalog", wiring.build, told) as topics:
        await topics.send(asked)
        (answer,) = await topics.until("prices.v1", subscription_id, bool)
    assert isinstance(answer, RenewalRejected)
    assert (answer.renewal_id, answer.reason) == (asked.renewal_id, "offering_unknown")
